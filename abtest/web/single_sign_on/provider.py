"""An OpenID provider: where people sign in, and what it then says about them.

OpenID Connect Core 1.0 and Discovery 1.0, with PKCE (RFC 7636) and the issuer in the answer (RFC 9207). Authlib says
what to send and whether to believe what comes; Tornado's client sends it.
"""

import asyncio
import logging
import time
from typing import Any, TypeVar
from urllib.parse import quote_plus

import msgspec
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.client import DEFAULT_HEADERS
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import get_well_known_url
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import KeySet
from msgspec import Struct
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httputil import url_concat

from abtest.domain import Identity
from abtest.errors import NotAdmitted, ProviderFailed, UnknownSignIn
from abtest.web.single_sign_on.claims import UNREADABLE, Claims, identity, lacks, read_keys, verified
from abtest.web.single_sign_on.configuration import Configuration, is_safe
from abtest.web.single_sign_on.trips import Answer, Trip

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 5.0
KEPT_SECONDS = 3_600.0
KEYS_AGAIN_AFTER_SECONDS = 10.0
"""An unknown key may be a new one: then the keys are asked for again, but not before this time."""
MOST_BYTES = 1_048_576
MOST_AT_ONCE = 20
EXPIRED = (400, "invalid_grant")
"""RFC 6749, 5.2: the code was used already, or is too old."""

T = TypeVar("T")

log = logging.getLogger("abtest.web")


class Metadata(Struct, frozen=True):
    """What a provider says about itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Known(Struct, frozen=True):
    """What is known about the provider. `since`: when it was asked, on a monotonic clock."""

    metadata: Metadata
    keys: KeySet
    since: float


class Tokens(Struct, frozen=True):
    """What a code was exchanged for."""

    id_token: str
    access_token: str


class Provider:
    """Where people sign in. Its metadata and its keys are asked for when they are first needed."""

    def __init__(self, configuration: Configuration) -> None:
        self.label = configuration.label
        self._configuration = configuration
        self._known: Known | None = None
        self._learning: asyncio.Task[Known] | None = None
        self._client: AsyncHTTPClient | None = None

    async def begin(self, trip: Trip) -> str:
        """The URL at which a trip begins. Raises ProviderFailed."""
        known = await self._knowledge()
        return str(
            prepare_grant_uri(
                known.metadata.authorization_endpoint,
                self._configuration.client_id,
                "code",
                self._configuration.return_url,
                self._configuration.scope,
                trip.state,
                nonce=trip.nonce,
                code_challenge=create_s256_code_challenge(trip.verifier),
                code_challenge_method="S256",
            )
        )

    async def end(self, trip: Trip, answer: Answer) -> Identity:
        """Who came back from a trip. Raises UnknownSignIn, NotAdmitted or ProviderFailed."""
        if answer.state != trip.state:
            raise UnknownSignIn
        known = await self._knowledge()
        named = answer.iss or known.metadata.authorization_response_iss_parameter_supported
        if named and answer.iss != self._configuration.issuer:
            raise self._failed("its answer names another issuer")
        if answer.error == "access_denied":
            raise NotAdmitted(f"{self.label} did not let you in, or you cancelled there")
        if answer.error or not answer.code:
            raise self._failed(f"it sent no code but the error {answer.error[:80]!a}")
        tokens = await self._exchange(known.metadata, answer.code, trip.verifier)
        claims = await self._verified(tokens, known, trip.nonce)
        if lacks(claims, self._configuration) and known.metadata.userinfo_endpoint:
            claims = {**await self._user_info(known.metadata.userinfo_endpoint, tokens, claims["sub"]), **claims}
        return identity(claims, self._configuration)

    async def sign_out_url(self) -> str | None:
        """Where a browser signs out of the provider too, if that is known."""
        try:
            there = (await self._knowledge()).metadata.end_session_endpoint
        except ProviderFailed:
            return None
        parameters = {
            "client_id": self._configuration.client_id,
            "post_logout_redirect_uri": self._configuration.signed_out_url,
        }
        return url_concat(there, parameters) if there else None

    async def _exchange(self, metadata: Metadata, code: str, verifier: str) -> Tokens:
        body = prepare_token_request(
            "authorization_code", code=code, redirect_uri=self._configuration.return_url, code_verifier=verifier
        )
        client_id, secret, method = self._configuration.client_id, self._configuration.client_secret, "none"
        if secret:
            basic = "client_secret_basic" in metadata.token_endpoint_auth_methods_supported
            method = "client_secret_basic" if basic else "client_secret_post"
            if basic:  # RFC 6749, 2.3.1, which Authlib leaves to its caller
                client_id, secret = quote_plus(client_id), quote_plus(secret)
        auth = ClientAuth(client_id, secret, method)
        url, headers, body = auth.prepare("POST", metadata.token_endpoint, dict(DEFAULT_HEADERS), body)
        return await self._fetch(url, Tokens, method="POST", headers=headers, body=body)

    async def _verified(self, tokens: Tokens, known: Known, nonce: str) -> Claims:
        try:
            try:
                return verified(tokens.id_token, known.keys, self._configuration, nonce, tokens.access_token)
            except InvalidKeyIdError:
                if time.monotonic() - known.since < KEYS_AGAIN_AFTER_SECONDS:
                    raise
                keys = (await self._learn()).keys
                return verified(tokens.id_token, keys, self._configuration, nonce, tokens.access_token)
        except UNREADABLE as error:
            raise self._failed(f"its ID token is not valid: {type(error).__name__}: {error}") from None

    async def _user_info(self, url: str, tokens: Tokens, subject: str) -> Claims:
        claims = await self._fetch(url, dict[str, Any], headers={"Authorization": f"Bearer {tokens.access_token}"})
        if claims.get("sub") != subject:
            raise self._failed("its information about the user is about somebody else")
        return claims

    async def _knowledge(self) -> Known:
        if self._known is None or time.monotonic() - self._known.since > KEPT_SECONDS:
            return await self._learn()
        return self._known

    async def _learn(self) -> Known:
        """Ask the provider, once for all who wait for it."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._ask())
        return await asyncio.shield(self._learning)

    async def _ask(self) -> Known:
        metadata = await self._fetch(get_well_known_url(self._configuration.issuer, external=True), Metadata)
        if metadata.issuer != self._configuration.issuer:
            raise self._failed(f"it calls itself {metadata.issuer[:200]!a}; ABTEST_OIDC_ISSUER must be the same")
        endpoints = [metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri]
        endpoints += filter(None, (metadata.userinfo_endpoint, metadata.end_session_endpoint))
        if not all(map(is_safe, endpoints)):
            raise self._failed("it names a URL without https")
        try:
            keys = read_keys(await self._fetch(metadata.jwks_uri, dict[str, Any]))
        except UNREADABLE:
            raise self._failed("its keys can't be read") from None
        self._known = Known(metadata, keys, time.monotonic())
        return self._known

    async def _fetch(self, url: str, kind: type[T], **options: Any) -> T:
        """The answer of this URL, read as this type."""
        if self._client is None:
            self._client = AsyncHTTPClient(force_instance=True, max_clients=MOST_AT_ONCE, max_body_size=MOST_BYTES)
        request = HTTPRequest(
            url,
            connect_timeout=CONNECT_SECONDS,
            request_timeout=ANSWER_SECONDS,
            follow_redirects=False,
            decompress_response=False,
            **options,
        )
        try:
            response = await self._client.fetch(request)
            return msgspec.json.decode(response.body, type=kind)
        except HTTPClientError as error:
            code = _code(error)
            failed = self._failed(f"{url}: {error} {code}")
            raise (UnknownSignIn() if (error.code, code) == EXPIRED else failed) from None
        except msgspec.DecodeError as error:
            raise self._failed(f"the answer of {url} can't be read: {error}") from None
        except (OSError, ValueError) as error:
            raise self._failed(f"{url}: {type(error).__name__}: {error}") from None

    def _failed(self, reason: str) -> ProviderFailed:
        """An error for the person; the reason is for whoever runs the server, in the log."""
        log.warning("single sign-on failed: %s", reason)
        return ProviderFailed(f"{self.label} doesn't answer, or not as it should; the log of this server says more")


def _code(error: HTTPClientError) -> str:
    """The code of an OAuth error, which is no secret."""
    try:
        told = msgspec.json.decode(error.response.body if error.response else b"", type=dict[str, Any]).get("error")
    except msgspec.DecodeError:
        return ""
    return ascii(told)[1:80].rstrip("'")
