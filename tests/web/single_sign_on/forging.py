"""An OpenID provider that says whatever a test wants, true or not."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry
from msgspec import structs
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from abtest.web.server import port_of
from abtest.web.single_sign_on.configuration import Configuration

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
STRANGE: dict[str, Any] = {"kty": "post-quantum", "kid": "odd"}
Change = Callable[[Any], Any]


class Forger:
    """What it says of itself, its keys, and the token and user info of its only user; all of it may be changed."""

    def __init__(self) -> None:
        (self._socket,) = bind_sockets(0, "127.0.0.1")
        self.issuer = f"http://127.0.0.1:{port_of([self._socket])}"
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            **{name: f"{self.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")},
        }
        self.keys: list[dict[str, Any]] = [STRANGE, *(each.as_dict(private=False) for each in (RSA, EC))]
        self.claims: dict[str, Any] = {"preferred_username": "anna"}  # beside the usual ones, or instead of them
        self._usual: dict[str, Any] = {}
        self.user_info: dict[str, Any] = {}
        self.key: Key = RSA
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "rsa"}
        self.token: Change = lambda token: token
        self.answers: dict[str, Change] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, list[str]]]] = []

    def start(self) -> None:
        """Begin to answer, in the loop that runs."""
        self.server = HTTPServer(Application([("/(.*)", _Answering, {"forger": self})]))
        self.server.add_socket(self._socket)

    def nonce(self, url: str) -> None:
        """Let the user sign in at the URL that a browser was sent to."""
        now = int(time.time())
        self._usual = {
            "iss": self.issuer,
            "sub": "1",
            "aud": "abtest",
            "iat": now,
            "exp": now + 300,
            "nonce": parse_qs(urlsplit(url).query)["nonce"][0],
        }

    def id_token(self) -> str:
        claims = {name: claim for name, claim in (self._usual | self.claims).items() if claim is not None}
        registry = JWSRegistry(algorithms=[self.header["alg"]], strict_check_header=False)
        return str(self.token(jwt.encode(self.header, claims, self.key, registry=registry)))

    def configuration(self, **others: Any) -> Configuration:
        """A client of it."""
        usual = Configuration(
            issuer=self.issuer,
            client_id="abtest",
            client_secret="secret",
            label="the forger",
            scope="openid profile email",
            name_claim="preferred_username",
            role_claim="",
            roles=(),
            return_url="http://127.0.0.1/sign-in/provider/return",
            signed_out_url="http://127.0.0.1/sign-in",
        )
        return structs.replace(usual, **others)


class _Answering(RequestHandler):
    def initialize(self, forger: Forger) -> None:
        self._forger = forger

    async def get(self, path: str) -> None:
        forger = self._forger
        body = {name: [each.decode() for each in given] for name, given in self.request.body_arguments.items()}
        forger.asked.append((path, dict(self.request.headers), body))
        told: dict[str, Callable[[], Any]] = {
            ".well-known/openid-configuration": lambda: forger.metadata,
            "jwks_uri": lambda: {"keys": forger.keys},
            "token_endpoint": lambda: {
                "id_token": forger.id_token(),
                "access_token": "access",
                "token_type": "Bearer",
            },
            "userinfo_endpoint": lambda: forger.user_info,
        }
        answer = forger.answers.get(path, lambda same: same)(told[path]())
        if isinstance(answer, int):
            self.set_status(answer)
            self.set_header("Location", f"/{path}")
            answer = {"error": "invalid_grant" if answer == 400 else "odd"}
        self.finish((await answer) if isinstance(answer, asyncio.Future) else answer)

    post = get
