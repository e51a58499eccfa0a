"""What a provider says, and what is believed of it."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, RSAKey
from msgspec import structs
from tornado.ioloop import IOLoop

from abtest.domain import Identity, Role
from abtest.errors import NotAdmitted, ProviderFailed, UnknownSignIn
from abtest.web.single_sign_on import Answer, Trip
from abtest.web.single_sign_on import provider as provider_module
from abtest.web.single_sign_on.configuration import parse_roles
from abtest.web.single_sign_on.provider import Provider
from tests.web.single_sign_on.forging import EC, RSA, Forger


@pytest.fixture
def forger(io_loop: IOLoop) -> Iterator[Forger]:
    async def start() -> Forger:
        forger = Forger()
        forger.start()
        return forger

    forger = io_loop.run_sync(start)
    yield forger
    forger.server.stop()


async def come(forger: Forger, provider: Provider | None = None, **answer: Any) -> Identity:
    """Go there and come back."""
    provider = provider or Provider(forger.configuration())
    trip = Trip()
    forger.nonce(await provider.begin(trip))
    return await provider.end(trip, structs.replace(Answer(trip.state, "code", iss="", error=""), **answer))


async def refused(forger: Forger, caplog: pytest.LogCaptureFixture, **answer: Any) -> str:
    """Why the log says that what came back isn't believed."""
    with pytest.raises(ProviderFailed, match="the forger doesn't answer, or not as it should"):
        await come(forger, **answer)
    return caplog.messages[-1].removeprefix("single sign-on failed: ")


async def test_who_comes_back_is_who_the_provider_says(forger: Forger) -> None:
    assert await come(forger) == Identity(forger.issuer, "1", "anna")
    forger.claims |= {"aud": ["abtest", "other"], "azp": "abtest"}
    forger.key, forger.header = EC, {"alg": "ES256", "kid": "ec"}
    assert (await come(forger)).subject == "1"


async def test_a_browser_is_sent_with_all_that_binds_its_answer(forger: Forger) -> None:
    provider, trip = Provider(forger.configuration()), Trip()
    url = urlsplit(await provider.begin(trip))
    query = {name: value for name, (value,) in parse_qs(url.query).items()}
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{forger.issuer}/authorization_endpoint"
    assert query["response_type"] == "code"
    assert query["redirect_uri"].endswith("/sign-in/provider/return")
    assert query["code_challenge_method"] == "S256"
    assert len({query["state"], query["nonce"], query["code_challenge"], trip.secret, trip.verifier}) == 5
    assert trip.secret not in url.query
    assert trip.verifier not in url.query
    assert Trip(trip.secret).state == trip.state != Trip().state


async def test_a_code_goes_with_the_secret_and_the_verifier(forger: Forger) -> None:
    await come(forger, Provider(forger.configuration(client_secret="a+b:c%")))
    ((_, headers, body),) = (each for each in forger.asked if each[0] == "token_endpoint")
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"abtest:a%2Bb%3Ac%25"
    assert body.keys() == {"grant_type", "redirect_uri", "code", "code_verifier"}


@pytest.mark.parametrize(
    ("methods", "secret", "sent"),
    [
        (["client_secret_post"], "secret", {"client_id": ["abtest"], "client_secret": ["secret"]}),
        (["none", "client_secret_basic"], "", {"client_id": ["abtest"]}),
    ],
)
async def test_a_client_says_who_it_is_as_the_provider_wants(
    forger: Forger, methods: list[str], secret: str, sent: dict[str, list[str]]
) -> None:
    forger.metadata["token_endpoint_auth_methods_supported"] = methods
    await come(forger, Provider(forger.configuration(client_secret=secret)))
    ((_, headers, body),) = (each for each in forger.asked if each[0] == "token_endpoint")
    assert "Authorization" not in headers
    assert sent.items() <= body.items()


def unsigned(token: str) -> str:
    """The token without a signature, which says so."""
    _, claims, _ = token.split(".")
    return f"{encoded({'alg': 'none', 'kid': 'rsa'})}.{claims}."


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def altered(token: str) -> str:
    """The token of another user, with the signature of this one."""
    header, claims, signature = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return f"{header}.{encoded(told | {'sub': '2'})}.{signature}"


def with_public_key(token: str) -> str:
    """The claims of the token, signed with what everybody has, as if it were a secret."""
    signed = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{token.split('.')[1]}"
    signature = hmac.digest(RSA.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def with_odd_header(token: str) -> str:
    """The claims of the token, signed by the provider with a header that must be understood."""
    signed = f"{encoded({'alg': 'RS256', 'kid': 'rsa', 'crit': ['odd'], 'odd': 1})}.{token.split('.')[1]}"
    signature = RSA.private_key.sign(signed.encode(), PKCS1v15(), SHA256())  # type: ignore[union-attr]  # it is private
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def bring_own_key(forger: Forger) -> None:
    """Sign with a key that the token itself has."""
    forger.key = ECKey.generate_key("P-256")
    forger.header = {"alg": "ES256", "jwk": forger.key.as_dict(private=False)}


NOW = int(time.time())
FORGED: dict[str, tuple[Callable[[Forger], Any], str]] = {
    "another nonce": (lambda forger: forger.claims.update(nonce="0" * 64), "nonce"),
    "no nonce": (lambda forger: forger.claims.update(nonce=None), "nonce"),
    "another audience": (lambda forger: forger.claims.update(aud="other"), "aud"),
    "no audience": (lambda forger: forger.claims.update(aud=None), "aud"),
    "many audiences": (lambda forger: forger.claims.update(aud=["abtest", "other"]), "azp"),
    "for another party": (lambda forger: forger.claims.update(azp="other"), "azp"),
    "another issuer": (lambda forger: forger.claims.update(iss="https://id.example.com"), "iss"),
    "no issuer": (lambda forger: forger.claims.update(iss=None), "iss"),
    "expired": (lambda forger: forger.claims.update(exp=NOW - 90), "expired"),
    "for ever": (lambda forger: forger.claims.update(exp=None), "exp"),
    "from tomorrow on": (lambda forger: forger.claims.update(nbf=NOW + 86_400), "not yet valid"),
    "of tomorrow": (lambda forger: forger.claims.update(iat=NOW + 86_400), "in the future"),
    "no subject": (lambda forger: forger.claims.update(sub=None), "sub"),
    "an empty subject": (lambda forger: forger.claims.update(sub=""), "subject"),
    "a number as subject": (lambda forger: forger.claims.update(sub=1), "sub"),
    "a subject that no store keeps": (lambda forger: forger.claims.update(sub="1\0"), "subject"),
    "a subject without an end": (lambda forger: forger.claims.update(sub="1" * 256), "subject"),
    "another access token": (lambda forger: forger.claims.update(at_hash="AAAA"), "at_hash"),
    "no words": (lambda forger: forger.claims.update(iss=[], aud={}, exp="soon"), "Claim"),
    "unsigned": (lambda forger: setattr(forger, "token", unsigned), "none"),
    "altered": (lambda forger: setattr(forger, "token", altered), "BadSignature"),
    "no token": (lambda forger: setattr(forger, "token", lambda token: "a.b.c"), "Decode"),
    "an empty token": (lambda forger: setattr(forger, "token", lambda token: ""), "Error"),
    "an encrypted token": (lambda forger: setattr(forger, "token", lambda token: "a.b.c.d.e"), "Error"),
    "a key of another": (lambda forger: setattr(forger, "key", RSAKey.generate_key(2048)), "BadSignature"),
    "a key of another kind": (lambda forger: forger.header.update(kid="ec"), "Error"),
    "a key that nobody knows": (lambda forger: forger.header.update(kid="new"), "new"),
    "a key in the token": (bring_own_key, "kid"),
    "the public key as a secret": (lambda forger: setattr(forger, "token", with_public_key), "HS256"),
    "a header that must be known": (lambda forger: setattr(forger, "token", with_odd_header), "odd"),
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("name", FORGED)
async def test_what_is_not_true_is_not_believed(forger: Forger, caplog: pytest.LogCaptureFixture, name: str) -> None:
    forge, told = FORGED[name]
    forge(forger)
    reason = await refused(forger, caplog)
    assert reason.startswith("its ID token is not valid: ")
    assert told in reason
    assert "eyJ" not in reason  # no token stands in the log


async def test_clocks_may_differ_by_a_minute(forger: Forger) -> None:
    forger.claims |= {"exp": int(time.time()) - 50, "iat": int(time.time()) + 50, "nbf": int(time.time()) + 50}
    assert (await come(forger)).name == "anna"


async def test_an_answer_to_another_question_is_not_taken(forger: Forger) -> None:
    for state in ("", "0" * 64, Trip().state):
        with pytest.raises(UnknownSignIn):
            await come(forger, state=state)
    assert not [each for each in forger.asked if each[0] == "token_endpoint"]


async def test_an_answer_of_another_provider_is_not_taken(forger: Forger, caplog: pytest.LogCaptureFixture) -> None:
    assert await refused(forger, caplog, iss="https://evil.example") == "its answer names another issuer"
    assert (await come(forger, iss=forger.issuer)).name == "anna"
    forger.metadata["authorization_response_iss_parameter_supported"] = True
    assert await refused(forger, caplog) == "its answer names another issuer"
    assert not [each for each in forger.asked if each[0] == "token_endpoint"][1:]


async def test_a_provider_may_say_no(forger: Forger, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NotAdmitted, match="the forger did not let you in, or you cancelled there"):
        await come(forger, code="", error="access_denied")
    reason = await refused(forger, caplog, code="", error="\x1b[2J" + "x" * 1_000)
    assert reason == f"it sent no code but the error '\\x1b[2J{'x' * 76}'"
    assert await refused(forger, caplog, code="") == "it sent no code but the error ''"


async def test_a_code_that_was_used_is_told_from_a_failure(forger: Forger, caplog: pytest.LogCaptureFixture) -> None:
    forger.answers["token_endpoint"] = lambda _: 400
    with pytest.raises(UnknownSignIn):
        await come(forger)
    assert caplog.messages[-1].endswith("HTTP 400: Bad Request invalid_grant")


async def test_what_the_token_lacks_is_asked_for(forger: Forger, caplog: pytest.LogCaptureFixture) -> None:
    forger.metadata["userinfo_endpoint"] = f"{forger.issuer}/userinfo_endpoint"
    forger.claims["preferred_username"] = None
    forger.user_info = {"sub": "1", "preferred_username": "ben", "iss": "https://id.example.com"}
    found = await come(forger)
    assert (found.name, found.issuer) == ("ben", forger.issuer)
    ((_, headers, _),) = (each for each in forger.asked if each[0] == "userinfo_endpoint")
    assert headers["Authorization"] == "Bearer access"
    forger.user_info["sub"] = "2"
    assert await refused(forger, caplog) == "its information about the user is about somebody else"
    forger.user_info = {"sub": "1"}
    with pytest.raises(NotAdmitted, match="your account has no preferred_username"):
        await come(forger)


async def test_an_address_for_mail_is_a_name_only_if_it_is_verified(forger: Forger) -> None:
    provider = Provider(forger.configuration(name_claim="email"))
    forger.claims["email"] = "anna@example.com"
    for told in (None, False, "true", 1):
        forger.claims["email_verified"] = told
        with pytest.raises(NotAdmitted, match="not verified"):
            await come(forger, provider)
    forger.claims["email_verified"] = True
    assert (await come(forger, provider)).name == "anna@example.com"


@pytest.mark.parametrize("name", ["", 7, None, ["anna"], {"anna": 1}, True])
async def test_what_is_no_name_is_none(forger: Forger, name: Any) -> None:
    forger.claims["preferred_username"] = name
    with pytest.raises(NotAdmitted, match="your account has no preferred_username"):
        await come(forger)


@pytest.mark.parametrize(
    ("told", "grant"),
    [
        (["staff", "abtest:editor"], (Role.EDITOR, None)),
        ("abtest:viewer", (Role.VIEWER, None)),
        (["abtest:viewer", "abtest:admin"], (Role.ADMIN, None)),
        (["team=a"], (Role.EDITOR, "staging")),
        (["admin", "ABTEST:ADMIN", "abtest:admin "], None),
        ([], None),
        (None, None),
        ([None, 1, {"abtest:admin": 1}, ["abtest:admin"]], None),
        ({"abtest:admin": True}, None),
    ],
)
async def test_a_claim_decides_the_role(forger: Forger, told: Any, grant: tuple[Role, str | None] | None) -> None:
    roles = parse_roles("abtest:admin=admin, abtest:editor=editor,abtest:viewer=viewer,team=a=editor@staging")
    forger.claims["groups"] = told
    provider = Provider(forger.configuration(role_claim="groups", roles=roles))
    assert (await come(forger, provider)).grant == grant


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"issuer": "https://id.example.com"},
            "it calls itself 'https://id.example.com'; ABTEST_OIDC_ISSUER must be",
        ),
        ({"token_endpoint": "http://id.example.com/token"}, "it names a URL without https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "it names a URL without https"),
        ({"end_session_endpoint": "//id.example.com"}, "it names a URL without https"),
        ({"jwks_uri": None}, "can't be read: Expected `str`, got `null`"),
    ],
)
async def test_a_provider_that_says_odd_things_of_itself_is_not_used(
    forger: Forger, caplog: pytest.LogCaptureFixture, change: dict[str, Any], told: str
) -> None:
    forger.metadata |= change
    assert told in await refused(forger, caplog)


@pytest.mark.parametrize("path", [".well-known/openid-configuration", "jwks_uri", "token_endpoint"])
@pytest.mark.parametrize(
    "answer", [404, 500, 302, b"<html>", b"[]", b'{"keys": 1}', b"x" * (provider_module.MOST_BYTES + 1)], ids=repr
)
async def test_whatever_a_broken_provider_answers_is_said(
    forger: Forger, caplog: pytest.LogCaptureFixture, path: str, answer: Any
) -> None:
    forger.answers[path] = lambda _: answer
    assert "\n" not in await refused(forger, caplog)
    assert [asked for asked, _, _ in forger.asked].count(path) == 1  # it is not led elsewhere


async def test_a_provider_that_is_not_there_is_asked_again_by_the_next(
    forger: Forger, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider(forger.configuration(issuer="http://127.0.0.1:1"))
    with pytest.raises(ProviderFailed):
        await provider.begin(Trip())
    assert "http://127.0.0.1:1/.well-known/openid-configuration: " in caplog.messages[-1]
    assert await provider.sign_out_url() is None
    provider = Provider(forger.configuration())
    forger.answers["jwks_uri"] = lambda _: 500
    with pytest.raises(ProviderFailed):
        await provider.begin(Trip())
    del forger.answers["jwks_uri"]
    assert await provider.begin(Trip())


async def test_who_waits_for_a_silent_provider_waits_together_and_not_for_long(
    forger: Forger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(provider_module, "ANSWER_SECONDS", 0.2)
    silent = asyncio.get_running_loop().create_future()
    forger.answers[".well-known/openid-configuration"] = lambda _: silent
    provider = Provider(forger.configuration())
    while not forger.asked:  # on a busy machine the time can be up before the provider is asked
        said = await asyncio.gather(*(provider.begin(Trip()) for _ in range(5)), return_exceptions=True)
        assert {type(each) for each in said} == {ProviderFailed}
    assert len(forger.asked) == 1
    assert "Timeout" in caplog.messages[-1]
    silent.set_result({})


async def test_what_is_known_is_asked_for_once_an_hour(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(forger.configuration())
    for _ in range(3):
        await provider.begin(Trip())
    assert [path for path, _, _ in forger.asked] == [".well-known/openid-configuration", "jwks_uri"]
    monkeypatch.setattr(provider_module, "KEPT_SECONDS", 0)
    await provider.begin(Trip())
    assert len(forger.asked) == 4


async def test_a_new_key_is_asked_for_but_not_too_often(
    forger: Forger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider(forger.configuration())
    await come(forger, provider)
    forger.key, forger.header = RSAKey.generate_key(2048, {"kid": "new"}), {"alg": "RS256", "kid": "new"}
    forger.keys = [forger.key.as_dict(private=False)]
    with pytest.raises(ProviderFailed):
        await come(forger, provider)
    monkeypatch.setattr(provider_module, "KEYS_AGAIN_AFTER_SECONDS", 0)
    assert (await come(forger, provider)).name == "anna"


async def test_one_key_without_a_name_is_the_key(forger: Forger) -> None:
    forger.keys = [{name: value for name, value in RSA.as_dict(private=False).items() if name != "kid"}]
    forger.header = {"alg": "RS256"}
    assert (await come(forger)).name == "anna"


async def test_signing_out_of_the_provider_begins_there(forger: Forger) -> None:
    assert await Provider(forger.configuration()).sign_out_url() is None
    forger.metadata["end_session_endpoint"] = f"{forger.issuer}/end?a=b"
    url = await Provider(forger.configuration()).sign_out_url()
    assert (
        url == f"{forger.issuer}/end?a=b&client_id=abtest&post_logout_redirect_uri=http%3A%2F%2F127.0.0.1%2Fsign-in"
    )


def test_a_configuration_shows_no_secret(forger: Forger) -> None:
    assert repr(forger.configuration(client_secret="hush")) == f"Configuration(issuer={forger.issuer!r})"
