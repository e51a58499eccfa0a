"""What people see and change of their own account."""

import re

import pytest

from abtest.bootstrap import wired
from abtest.domain import Role
from abtest.enrolment import Rate
from abtest.management import AccessTokenService, SignInService, signing_in
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client, serving
from tests.scenes import ANNA
from tests.web.visitors import PASSWORD, Visitor, person, signed_in

ANOTHER = "another horse battery"
PHONE = {"User-Agent": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/131.0.0.0 Mobile Safari/537.36"}


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def test_the_account_says_who_and_where_one_is(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store, Role.EDITOR)
    await Visitor(client, **PHONE).sign_in("anna")
    page = (await browser.get("/account")).body.decode()
    assert "<dd>editor</dd>" in page
    assert "An admin can change your role." in page
    rows = re.findall(r'<th scope="row">(.+?)</th>', page)
    assert rows[0] == "Unknown browser <strong>(this one)</strong>"
    assert "Chrome on Android" in rows
    assert 'data-label="Address">127.0.0.1<' in page


async def test_one_session_or_all_others_are_ended(client: Client, store: SQLiteStore) -> None:
    browser, phone = await signed_in(client, store, Role.VIEWER), Visitor(client, **PHONE)
    await phone.sign_in("anna")
    await browser.get("/account")
    *_, session = await SignInService(store).sessions("anna")
    assert browser.led(await browser.post("/account/sessions", id=str(session.id))) == "/account sessions_ended"
    assert (await phone.get("/")).code == 401
    await phone.sign_in("anna")
    await browser.post("/account/sessions")
    assert (await phone.get("/")).code == 401
    assert (await browser.get("/account")).code == 200
    assert len(await SignInService(store).sessions("anna")) == 1
    assert (await browser.post("/account/sessions", id="x")).code == 404


async def test_nobody_ends_the_sessions_of_others(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store)
    ben = await signed_in(client, store, Role.VIEWER, name="ben")
    *_, session = await SignInService(store).sessions("anna")
    await ben.get("/account")
    await ben.post("/account/sessions", id=str(session.id))
    assert (await anna.get("/")).code == 200


async def test_the_password_is_changed_with_the_current_one(client: Client, store: SQLiteStore) -> None:
    browser, phone = await signed_in(client, store, Role.VIEWER), Visitor(client, **PHONE)
    await phone.sign_in("anna")
    await browser.get("/account")
    for current, password, words in (
        ("wrong", ANOTHER, "Current password: is not your password."),
        (PASSWORD, "short", "New password: must have at least 12 characters."),
    ):
        refused = await browser.post("/account/password", current=current, password=password)
        assert refused.code == 422
        assert words in refused.body.decode()
        assert ANOTHER not in refused.body.decode()
    done = await browser.post("/account/password", current=PASSWORD, password=ANOTHER)
    assert browser.led(done) == "/account password_changed"
    assert "Your password is changed." in (await browser.get(done.headers["Location"])).body.decode()
    assert (await phone.get("/")).code == 401
    assert (await Visitor(client).sign_in("anna")).code == 401
    assert (await Visitor(client).sign_in("anna", ANOTHER)).code == 303


async def test_who_guesses_the_password_at_somebodys_desk_has_to_wait(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "PER_NAME", Rate(1 / 1000, 2))
    async with serving(store, Settings()) as client:
        browser = await signed_in(client, store, Role.VIEWER)
        await browser.get("/account")
        answers = [await browser.post("/account/password", current="x", password=ANOTHER) for _ in range(3)]
    assert [each.code for each in answers] == [422, 422, 429]
    assert re.search(r"try again in \d+ seconds?\.", answers[-1].body.decode())
    assert int(answers[-1].headers["Retry-After"]) > 0


async def test_a_program_has_no_account(client: Client, store: SQLiteStore) -> None:
    await person(store, "anna")
    _, secret = await AccessTokenService(store).add("anna", Role.ADMIN, by=ANNA)
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await client.fetch("/account", headers=headers)).code == 404
    assert (await client.fetch("/account/sessions", method="POST", body="", headers=headers)).code == 404
    assert len(await SignInService(store).sessions("anna")) == 1


async def test_another_site_changes_nothing_of_an_account(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store)
    await browser.get("/account")
    for path in ("/account/password", "/account/sessions"):
        browser.token = "0" * 32
        assert (await browser.post(path, current=PASSWORD, password=ANOTHER)).code == 403
    assert (await Visitor(client).sign_in("anna")).code == 303
