"""Signing in at a real OpenID provider, and what others might try on the way."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import structs
from tornado.httpclient import HTTPResponse
from tornado.ioloop import IOLoop

from abtest.domain import Role, Sought
from abtest.enrolment import Rate
from abtest.language import entry_said
from abtest.management import JournalService, PeopleService, SignInService, signing_in
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from tests.conftest import Client, serving
from tests.scenes import ANNA
from tests.web.single_sign_on.providing import SECRET, Providing, needs_provider, path_of
from tests.web.visitors import Visitor

PUBLIC = "http://localhost:8080"
BEGIN = "/sign-in/provider"
HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture
def provider(io_loop: IOLoop) -> Iterator[Providing]:
    provider = io_loop.run_sync(lambda: Providing.start(PUBLIC))
    yield provider
    io_loop.run_sync(provider.end)


@asynccontextmanager
async def server(store: SQLiteStore, issuer: str, **others: Any) -> AsyncIterator[Client]:
    """One whose people sign in at the provider."""
    settings = Settings(
        database=f"sqlite:///{store.path}",
        public_url=PUBLIC,
        oidc_issuer=issuer,
        oidc_client_id="abtest",
        oidc_client_secret=SECRET,
        oidc_label="Example",
    )
    async with serving(store, structs.replace(settings, **others)) as client:
        yield client


async def invite(store: SQLiteStore, name: str = "ben", role: Role = Role.EDITOR) -> None:
    await PeopleService(store, by=ANNA).add(name, role)


async def come_back(browser: Visitor, provider: Providing, subject: str = "1", following: str = "") -> str:
    """The path with which a browser comes back from the provider."""
    sent = await browser.get(f"{BEGIN}?following={following}")
    assert sent.code == 303, sent.body
    return path_of(await provider.sign_in(sent.headers["Location"], subject))


async def sign_in(browser: Visitor, provider: Providing, subject: str = "1", following: str = "") -> HTTPResponse:
    return await browser.get(await come_back(browser, provider, subject, following))


def refused(answer: HTTPResponse, status: int, told: str) -> None:
    """The page says why, and begins no session."""
    assert answer.code == status
    page = answer.body.decode()
    assert told in page.replace("&#39;", "'")
    assert 'name="password"' in page
    assert f'href="{BEGIN}?following=' in page
    assert not any(line.startswith("abtest=") for line in answer.headers.get_list("Set-Cookie"))


@needs_provider
async def test_who_was_invited_signs_in_looks_and_signs_out(store: SQLiteStore, provider: Providing) -> None:
    await invite(store)
    await provider.account("1", preferred_username="Ben")
    async with server(store, provider.issuer) as client:
        browser = Visitor(client)
        page = (await browser.get("/why")).body.decode()
        assert f'<a class="button" href="{BEGIN}?following=/why">Sign in with Example</a>' in page
        answer = await sign_in(browser, provider, following="/why?a=b%26c;%22")
        assert (answer.code, answer.headers["Location"]) == (303, '/why?a=b&c;"')
        assert "abtest-trip" not in browser.cookies
        assert "<bdi>ben</bdi>" in (await browser.get("/why")).body.decode()
        await browser.post("/sign-out")
        there = f'<a href="{BEGIN}/end">sign out of Example too</a>'
        assert there in (await browser.get("/sign-in")).body.decode()
        assert (await browser.get("/why")).code == 401
        left = await browser.get(f"{BEGIN}/end")
        assert (left.code, left.headers["Location"].partition("?")[0]) == (303, f"{provider.issuer}/session/end")
        assert await provider.status(left.headers["Location"]) == 200


@needs_provider
async def test_a_client_without_a_secret_signs_in_too(store: SQLiteStore, provider: Providing) -> None:
    await invite(store)
    await provider.account("1", preferred_username="ben")
    async with server(store, provider.issuer, oidc_client_id="public", oidc_client_secret="") as client:
        assert (await sign_in(Visitor(client), provider)).code == 303


@needs_provider
async def test_a_wrong_secret_is_said_in_the_log_and_shown_nowhere(
    store: SQLiteStore, provider: Providing, caplog: pytest.LogCaptureFixture
) -> None:
    await provider.account("1", preferred_username="ben")
    async with server(store, provider.issuer, oidc_client_secret="mistaken secret") as client:
        answer = await sign_in(Visitor(client), provider)
    refused(answer, 502, "Example doesn't answer, or not as it should; the log of this server says more.")
    assert f"{provider.issuer}/token: HTTP 401: Unauthorized invalid_client" in caplog.text
    assert "mistaken" not in caplog.text + answer.body.decode()


@needs_provider
async def test_who_was_not_invited_is_told_whom_to_ask(store: SQLiteStore, provider: Providing) -> None:
    await provider.account("1", preferred_username="<b>eve")
    async with server(store, provider.issuer) as client:
        answer = await sign_in(Visitor(client), provider, following="/why")
    refused(answer, 403, "Nobody here has the name '&lt;b&gt;eve'; ask an admin to add you with that name.")
    assert 'name="following" value="/why"' in answer.body.decode()


@needs_provider
async def test_a_claim_gives_a_role_and_takes_it_away(store: SQLiteStore, provider: Providing) -> None:
    roles = {"oidc_role_claim": "groups", "oidc_roles": "staff=viewer"}
    await provider.account("1", preferred_username="ben", groups=["staff"])
    async with server(store, provider.issuer, **roles) as client:
        browser, elsewhere = Visitor(client), Visitor(client)
        assert (await sign_in(browser, provider)).code == 303
        assert (await sign_in(elsewhere, provider)).code == 303
        assert (await browser.get("/")).code == 200
        await provider.account("1", preferred_username="ben", groups=[])
        assert (await elsewhere.get("/")).code == 200  # it is asked for when somebody signs in
        refused(
            await sign_in(browser, provider), 403, "Your account has no role here; ask whoever manages the accounts"
        )
        assert (await elsewhere.get("/")).code == 401
    entries = await JournalService(store).newest(Sought(by="single sign-on"), 10)
    assert [entry_said(each) for each in entries] == [
        "ended sessions of ben: browsers unknown, unknown",
        f"connected ben: account 1 at {provider.issuer}",
        "added ben: role viewer, app every app",
    ]


@needs_provider
async def test_a_name_that_was_given_to_somebody_else_takes_over_nobody(
    store: SQLiteStore, provider: Providing
) -> None:
    await invite(store)
    for subject in ("1", "2"):
        await provider.account(subject, preferred_username="ben")
    async with server(store, provider.issuer) as client:
        assert (await sign_in(Visitor(client), provider, "1")).code == 303
        answer = await sign_in(Visitor(client), provider, "2")
        told = "The name 'ben' belongs to another account here; if that is yours, ask an admin to disconnect it"
        refused(answer, 403, told)
        await PeopleService(store, by=ANNA).disconnect("ben")
        assert (await sign_in(Visitor(client), provider, "2")).code == 303


@needs_provider
async def test_an_answer_works_once(store: SQLiteStore, provider: Providing) -> None:
    await invite(store)
    await provider.account("1", preferred_username="ben")
    async with server(store, provider.issuer) as client:
        browser = Visitor(client)
        path = await come_back(browser, provider)
        kept = dict(browser.cookies)
        assert (await browser.get(path)).code == 303
        browser.cookies.pop("abtest")
        refused(await browser.get(path), 400, "This sign-in began in another browser or too long ago")
        browser.cookies = kept  # as if somebody had read them
        refused(await browser.get(path), 400, "or is complete already; begin again.")
        assert len(await SignInService(store).sessions("ben")) == 1


@needs_provider
async def test_nobody_is_signed_in_as_somebody_else_by_a_link(store: SQLiteStore, provider: Providing) -> None:
    await invite(store, "mallory")
    await provider.account("1", preferred_username="mallory")
    async with server(store, provider.issuer) as client:
        path = await come_back(Visitor(client), provider)
        victim = Visitor(client)
        refused(await victim.get(path), 400, "began in another browser")
        await victim.get(BEGIN)
        refused(await victim.get(path), 400, "began in another browser")
        assert "abtest-trip" not in victim.cookies  # there is one try
        assert await SignInService(store).sessions("mallory") == []


@needs_provider
async def test_an_answer_that_was_changed_on_the_way_is_refused(store: SQLiteStore, provider: Providing) -> None:
    await invite(store)
    await provider.account("1", preferred_username="ben")
    async with server(store, provider.issuer) as client:
        for old, new, status in (
            ("iss=http%3A%2F%2F", "iss=https%3A%2F%2F", 502),
            ("&iss=", "&was=", 502),
            ("state=", "state=0", 400),
            ("code=", "code=0", 400),
            ("code=", "error=access_denied&was=", 403),
            ("code=", "error=\x1b%0d%0aSet-Cookie:%20abtest=1&was=", 502),
        ):
            browser = Visitor(client)
            path = await come_back(browser, provider)
            assert old in path
            refused(await browser.get(path.replace(old, new).replace("\x1b", "%1b")), status, "")
        assert await SignInService(store).sessions("ben") == []


@needs_provider
async def test_a_session_that_somebody_planted_is_not_taken_over(store: SQLiteStore, provider: Providing) -> None:
    await invite(store)
    await provider.account("1", preferred_username="ben")
    async with server(store, provider.issuer) as client:
        browser = Visitor(client)
        browser.cookies["abtest"] = "planted"
        await sign_in(browser, provider)
        first = browser.cookies["abtest"]
        await sign_in(browser, provider)
        assert len({first, browser.cookies["abtest"], "planted"}) == 3
        planted = Visitor(client)
        planted.cookies["abtest"] = "planted"
        assert (await planted.get("/")).code == 401


@needs_provider
@pytest.mark.parametrize(
    "following", ["//evil.example", "https://evil.example/", "/%5Cevil.example", "/%09/evil", "javascript:a"]
)
async def test_coming_back_leads_to_no_other_host(store: SQLiteStore, provider: Providing, following: str) -> None:
    await invite(store)
    await provider.account("1", preferred_username="ben")
    async with server(store, provider.issuer) as client:
        browser = Visitor(client)
        assert (await sign_in(browser, provider, following=following)).headers["Location"] == "/"
        path = await come_back(browser, provider)
        browser.cookies["abtest-trip"] = browser.cookies["abtest-trip"].partition(".")[0] + "." + following
        assert (await browser.get(path)).headers["Location"] == "/"


@needs_provider
async def test_a_path_without_an_end_is_not_kept(store: SQLiteStore, provider: Providing) -> None:
    async with server(store, provider.issuer) as client:
        browser = Visitor(client)
        await browser.get(f"{BEGIN}?following=/{'a' * 3_000}")
        assert browser.cookies["abtest-trip"].endswith(".")


@needs_provider
async def test_a_trip_is_kept_behind_tls_and_under_a_base_path(store: SQLiteStore, provider: Providing) -> None:
    there = {"base_path": "/ab", "public_url": f"{PUBLIC}/ab", "trusted_proxies": "127.0.0.1"}
    async with server(store, provider.issuer, **there) as client:
        sent = await Visitor(client, **HTTPS).get(f"/ab{BEGIN}?following=/why?a=b%26c;%22")
        (cookie,) = sent.headers.get_list("Set-Cookie")
        assert cookie.startswith("__Host-abtest-trip.ab=")
        assert "./why%3Fa%3Db%26c%3B%22" in cookie
        for part in ("HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600", "Path=/"):
            assert part in cookie.split("; ")
        assert sent.headers["Cache-Control"] == "no-store"
        assert (
            "redirect_uri=http%3A%2F%2Flocalhost%3A8080%2Fab%2Fsign-in%2Fprovider%2Freturn"
            in sent.headers["Location"]
        )


@needs_provider
async def test_who_fails_too_often_has_to_wait(
    store: SQLiteStore, provider: Providing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "PER_ADDRESS", Rate(1 / 1000, 1))
    await provider.account("1", preferred_username="eve")
    async with server(store, provider.issuer, trusted_proxies="127.0.0.1") as client:
        browser = Visitor(client, **{"X-Forwarded-For": "192.0.2.1"})
        assert (await sign_in(browser, provider)).code == 403
        slowed = await sign_in(browser, provider)
        assert (slowed.code, int(slowed.headers["Retry-After"]) > 0) == (429, True)


async def test_a_provider_that_is_not_there_is_said_and_passwords_still_work(store: SQLiteStore) -> None:
    async with server(store, "http://127.0.0.1:1") as client:
        answer = await Visitor(client).get(f"{BEGIN}?following=/why")
        refused(answer, 502, "Example doesn't answer, or not as it should")
        assert 'name="following" value="/why"' in answer.body.decode()
        assert (await Visitor(client).get(f"{BEGIN}/end")).headers["Location"] == "/sign-in"
        refused(await Visitor(client).get(f"{BEGIN}/return?state=a&code=b"), 400, "begin again")


async def test_without_a_provider_there_is_no_such_path(store: SQLiteStore) -> None:
    async with server(store, "") as client:
        for path in (BEGIN, f"{BEGIN}/return", f"{BEGIN}/end"):
            assert (await Visitor(client).get(path)).code == 404
        assert "/sign-in/provider" not in (await Visitor(client).get("/sign-in")).body.decode()
