"""The way of a browser to the provider and back."""

import secrets
from hashlib import sha256

from msgspec import Struct


class Trip:
    """A way to the provider and back. The browser that began it keeps the secret, from which all else is derived."""

    def __init__(self, secret: str | None = None) -> None:
        self.secret = secret or secrets.token_urlsafe(32)
        self.state, self.nonce, self.verifier = (
            sha256(f"{purpose} {self.secret}".encode("utf-8", "surrogatepass")).hexdigest()
            for purpose in ("state", "nonce", "verifier")
        )


class Answer(Struct, frozen=True):
    """The parameters with which a browser comes back from the provider."""

    state: str
    code: str
    iss: str
    error: str
