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
"""Compared with the password when there is no such person, so that the answer takes just as long."""
MOST_COMPARED = 25
"""How many passwords may wait to be compared: about five seconds of work."""


def new_secret() -> str:
    """A random secret of 256 bits, in the form that is shown once."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> bytes:
    """What is kept of a secret: its SHA-256.

    Only passwords need a slow hash, since people make them up; nobody can try 2^256 secrets, at any speed. A secret
    is looked up by its hash, never compared byte by byte. How long that takes depends on the hash of what was sent,
    which nobody can steer, so it reveals nothing about a secret that is kept.
    """
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Passwords:
    """Hashes passwords with Argon2id, as RFC 9106 recommends second, but in one lane, so on one processor.

    A hash takes a fifth of a second and 64 MiB. It is computed in a thread, so that other requests don't wait, and
    one at a time, so that many people who sign in use no more than one.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._compared = 0

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        async with self._turn:
            return await asyncio.to_thread(HASHER.hash, _bytes(password))

    async def match(self, password: str, kept: str | None) -> bool:
        """Whether `kept` is what is kept of this password; False for None, after the same time.

        Raises Unavailable when too many wait: so a flood of passwords doesn't fill the memory, and people who set a
        password by a link don't wait for long.
        """
        if self._compared >= MOST_COMPARED:
            raise Unavailable("too many people are signing in; try again in a moment", code="queue_full")
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
    """One form of a password, since keyboards write the same letter in different ways."""
    return normalize("NFC", password).encode("utf-8", "surrogatepass")
