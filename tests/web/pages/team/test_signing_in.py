"""Signing in and out with real cookies, and what others might try with them."""

from http.cookies import SimpleCookie

import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Role, Sought
from abtest.enrolment import Rate
from abtest.management import JournalService, PeopleService, SignInService, credentials, signing_in
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client, serving
from tests.scenes import ANNA, figure
from tests.web.visitors import PASSWORD, Visitor, person, signed_in

HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def test_somebody_signs_in_looks_and_signs_out(client: Client, store: SQLiteStore) -> None:
    await person(store, "anna", Role.VIEWER)
    browser = Visitor(client)
    refused = await browser.get("/?q=color")
    assert (refused.code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert 'name="following" value="/?q=color"' in refused.body.decode()
    answer = await browser.post("/sign-in", name="Anna", password=PASSWORD, following="/?q=color")
    assert (answer.code, answer.headers["Location"]) == (303, "/?q=color")
    page = await browser.get("/?q=color")
    assert page.code == 200
    assert page.headers["Cache-Control"] == "private, no-cache"
    assert "<bdi>anna</bdi>" in page.body.decode()
    out = await browser.post("/sign-out")
    assert browser.led(out) == "/sign-in signed_out"
    assert "You are signed out." in (await browser.get("/sign-in")).body.decode()
    assert (await browser.get("/")).code == 401
    assert await SignInService(store).sessions("anna") != []  # that of the link, in another browser


async def test_a_session_that_was_ended_is_worth_nothing(client: Client, store: SQLiteStore) -> None:
    await person(store, "anna")
    browser = Visitor(client)
    await browser.sign_in("anna")
    assert (await browser.get("/")).code == 200
    await SignInService(store).end_sessions("anna", by=ANNA)
    assert (await browser.get("/")).code == 401


async def test_a_link_sets_the_password_once_and_signs_in(client: Client, store: SQLiteStore) -> None:
    _, link = await PeopleService(store, by=ANNA).add("ben", Role.EDITOR)
    browser, path = Visitor(client), f"/sign-in/link/{link.secret}"
    assert "<bdi>ben</bdi>" in (await browser.get(path)).body.decode()
    short = await browser.post(path, password="short")
    assert short.code == 422
    assert "Password: must have at least 12 characters." in short.body.decode()
    assert browser.led(await browser.post(path, password=PASSWORD)) == "/"
    assert (await browser.get("/")).code == 200
    assert (await browser.get(path)).code == 404
    assert (await Visitor(client).sign_in("ben")).code == 303


async def test_the_link_of_the_first_start_makes_the_first_admin_once(client: Client, store: SQLiteStore) -> None:
    old, link = [await SignInService(store).make_first_link() for _ in range(2)]
    browser = Visitor(client)
    assert (await browser.get("/")).code == 200
    assert (await browser.get(f"/sign-in/first/{old}")).code == 404
    await browser.get(f"/sign-in/first/{link}")
    assert "Name: must have 1 to 64" in (
        (await browser.post(f"/sign-in/first/{link}", name="", password=PASSWORD)).body.decode()
    )
    assert (await browser.post(f"/sign-in/first/{link}", name="Anna", password=PASSWORD)).code == 303
    (entry,) = await JournalService(store).newest(Sought(), 5)
    assert (entry.by.kind, entry.by.name, entry.by.address) == ("person", "Anna", "127.0.0.1")
    assert (await browser.get("/")).code == 200
    assert (await Visitor(client).get("/")).code == 401
    assert (await browser.post(f"/sign-in/first/{link}", name="Eve", password=PASSWORD)).code == 404
    assert await SignInService(store).make_first_link() is None


async def test_wrong_names_and_passwords_are_refused_alike(client: Client, store: SQLiteStore) -> None:
    await person(store, "anna")
    for name, password in (("anna", "wrong password"), ("nobody", PASSWORD), ("", ""), ("x" * 500, "\0")):
        answer = await Visitor(client).sign_in(name, password)
        assert answer.code == 401
        assert "The name or the password is wrong." in answer.body.decode()
        assert "abtest=" not in "".join(answer.headers.get_list("Set-Cookie"))
    browser = Visitor(client)
    await browser.sign_in("anna")
    page = (await browser.get("/metrics")).body
    assert figure(page, 'abtest_refused_total{code="wrong_password"}') == 4


async def test_guessing_is_slowed_and_the_right_person_still_gets_in(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "PER_NAME", Rate(1 / 1000, 10))
    await person(store, "anna")
    settings = Settings(database=f"sqlite:///{store.path}", trusted_proxies="127.0.0.1")
    async with serving(store, settings) as client:
        guesser = Visitor(client, **{"X-Forwarded-For": "192.0.2.1"})
        codes = [(await guesser.sign_in("anna", f"guess number {number}")).code for number in range(12)]
        assert codes == [401] * 10 + [429] * 2
        blocked = await guesser.sign_in("anna")
        assert (blocked.code, int(blocked.headers["Retry-After"]) > 0) == (429, True)
        assert f"try again in {blocked.headers['Retry-After']} seconds." in blocked.body.decode()
        other = Visitor(client, **{"X-Forwarded-For": "198.51.100.7"})
        assert (await other.sign_in("ben", "wrong password")).code == 401  # others are not slowed
        link = await PeopleService(store, by=ANNA).link("anna")
        path = f"/sign-in/link/{link.secret}"
        await other.get(path)
        assert (await other.post(path, password=PASSWORD)).code == 303


async def test_who_comes_in_a_crowd_is_told_to_try_again(
    client: Client, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = await signed_in(client, store)
    await inside.get("/account")
    monkeypatch.setattr(credentials, "MOST_COMPARED", 0)
    outside = Visitor(client)
    for answer in (
        await outside.sign_in("anna"),
        await inside.post("/account/password", current=PASSWORD, password="another battery horse"),
    ):
        assert (answer.code, answer.headers["Retry-After"]) == (503, "1")
        assert "Too many people are signing in; try again in a moment." in answer.body.decode()
        assert 'name="password"' in answer.body.decode()


@pytest.mark.parametrize(
    "following",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\/evil",
        "/\t/evil",
        "javascript:alert(1)",
        "/ä",
    ],
)
async def test_signing_in_leads_to_no_other_host(client: Client, store: SQLiteStore, following: str) -> None:
    await person(store, "anna")
    assert (await Visitor(client).sign_in("anna", following=following)).headers["Location"] == "/"


async def test_a_person_of_one_app_comes_to_it_and_to_no_other(client: Client, store: SQLiteStore) -> None:
    await store.add_app("staging", clock.now())
    await person(store, "anna", Role.EDITOR, "staging")
    browser = Visitor(client)
    assert (await browser.sign_in("anna")).headers["Location"] == "/apps/staging/"
    assert (await browser.get("/apps/staging/")).code == 200
    other = await browser.get("/")
    assert other.code == 403
    assert "yours is editor for the app staging" in other.body.decode()


async def test_another_site_can_do_nothing_with_the_cookie(client: Client, store: SQLiteStore) -> None:
    await person(store, "anna")
    browser = Visitor(client)
    await browser.sign_in("anna")
    await browser.get("/")
    token, browser.token = browser.token, ""
    assert (await browser.post("/sign-out")).code == 403
    browser.token = "0" * 32
    assert (await browser.post("/sign-out")).code == 403
    browser.token = token
    for site in ("cross-site", "same-site"):
        assert (await browser.post("/sign-out", sent={"Sec-Fetch-Site": site})).code == 403
    assert (await browser.post("/sign-out", sent={"Sec-Fetch-Site": "same-origin"})).code == 303
    # Nor can it sign somebody in as somebody else.
    assert (await Visitor(client).post("/sign-in", name="anna", password=PASSWORD)).code == 403


async def test_a_session_that_somebody_planted_is_replaced(client: Client, store: SQLiteStore) -> None:
    await person(store, "anna")
    browser = Visitor(client)
    await browser.get("/sign-in")
    browser.cookies["abtest"] = "planted"
    before = dict(browser.cookies)
    await browser.post("/sign-in", name="anna", password=PASSWORD)
    assert browser.cookies["abtest"] != "planted"
    assert browser.cookies.get("_xsrf") != before["_xsrf"]


@pytest.mark.parametrize("base", ["", "/abtest"])
async def test_cookies_are_as_narrow_as_the_connection_allows(store: SQLiteStore, base: str) -> None:
    await person(store, "anna")
    path, name = base or "/", base.replace("/", ".")
    settings = Settings(database=f"sqlite:///{store.path}", base_path=base, trusted_proxies="127.0.0.1")
    async with serving(store, settings) as client:
        plain = await Visitor(client).sign_in("anna")
        cookie = SimpleCookie(plain.headers.get_list("Set-Cookie")[0])[f"abtest{name}"]
        assert (cookie["path"], bool(cookie["secure"]), bool(cookie["httponly"])) == (path, False, True)
        assert cookie["samesite"] == "Lax"
        assert plain.headers["Location"] == f"{base}/"
        secure = Visitor(client, **HTTPS)
        answer = await secure.sign_in("anna")
        cookie = SimpleCookie(answer.headers.get_list("Set-Cookie")[0])[f"__Host-abtest{name}"]
        assert (cookie["path"], bool(cookie["secure"]), cookie["domain"]) == ("/", True, "")
        assert (await secure.get(f"{base}/")).code == 200
        assert set(secure.cookies) <= {f"__Host-abtest{name}", f"__Host-_xsrf{name}"}


async def test_only_a_trusted_proxy_says_that_it_is_https(client: Client, store: SQLiteStore) -> None:
    await person(store, "anna")
    browser = Visitor(client, **HTTPS)
    await browser.sign_in("anna")
    assert set(browser.cookies) == {"abtest"}


async def test_a_session_counts_for_programs_too(client: Client, store: SQLiteStore) -> None:
    await person(store, "anna")
    browser = Visitor(client)
    await browser.sign_in("anna")
    cookie = f"abtest={browser.cookies['abtest']}"
    assert (await client.fetch("/api/v1/stats", headers={"Cookie": cookie})).code == 200
    assert (await client.fetch("/api/v1/stats", headers={"Cookie": "abtest=wrong"})).code == 401


async def test_nobody_frames_the_pages_or_reads_them_from_another_origin(client: Client, store: SQLiteStore) -> None:
    await person(store, "anna")
    for path in ("/sign-in", "/"):
        answer = await client.fetch(path, headers={"Origin": "https://evil.example"})
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in answer.headers
