"""Secrets and passwords: how they are made, what is kept of them, and how they are compared."""

import asyncio
import secrets
from hashlib import sha256
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from abtest.errors import Unavailable

HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)
UNKNOWN = "$argon2id$v=19$m=65536,t=3,p=1$TWptkXYAoBfq/RINrxZ/HA$xxbPP4sGOdTZiBMIYdtqmJm0Oz3uYoEb0cUJe8hlAMU"
"""Takes the place of the hash of a person that there is not, so that the answer takes as long."""
MOST_COMPARED = 25
"""So many passwords may wait to be compared: about five seconds."""


def new_secret() -> str:
    """A random secret of 256 bits, as it is shown once."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> bytes:
    """What is kept of a secret: its SHA-256.

    A slow hash protects what people make up; nobody can try 2^256 secrets, at any speed. A secret is found by its
    hash. How long that takes depends on the hash of what was sent, which nobody can steer, so it tells nothing about
    a secret that is kept; bytes of secrets are never compared.
    """
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Passwords:
    """Hashes passwords with Argon2id, as the second choice of RFC 9106 but in one lane, so in one processor.

    That takes a fifth of a second and 64 MiB. It is done in a thread, so no other request waits; one at a time, so
    however many sign in, it takes no more than that.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._compared = 0

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        async with self._turn:
            return await asyncio.to_thread(HASHER.hash, _bytes(password))

    async def match(self, password: str, kept: str | None) -> bool:
        """Whether this is the password of which this was kept; False for None, after the same time.

        Raises Unavailable when too many wait: whoever sends more than can be compared fills no memory, and lets
        nobody who sets a password by a link wait for long.
        """
        if self._compared >= MOST_COMPARED:
            raise Unavailable("too many people sign in at once; try again", code="queue_full")
        self._compared += 1
        try:
            async with self._turn:
                await asyncio.to_thread(HASHER.verify, kept or UNKNOWN, _bytes(password))
        except VerifyMismatchError:
            return False
        finally:
            self._compared -= 1
        return kept is not None


def _bytes(password: str) -> bytes:
    """Keyboards write the same letter in different ways."""
    return normalize("NFC", password).encode("utf-8", "surrogatepass")
