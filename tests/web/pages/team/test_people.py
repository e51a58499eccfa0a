"""Admins invite people, change what they may do, and let them go; nobody is shut out by accident."""

import re
from html import escape, unescape
from urllib.parse import quote

import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Identity, Role, Sought
from abtest.language import by_said, entry_said
from abtest.management import JournalService, PeopleService, SignInService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA
from tests.web.visitors import PASSWORD, Visitor, person, signed_in

HOSTILE = ['"><script>alert(1)</script>', "Zoë O'Neill", "a/b?c=d#e&f%2F", "界" * 64, "...", "{{ 7 * 7 }}"]


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


def shown(page: bytes) -> str:
    """What is in the field that can be copied."""
    return unescape(re.findall(r'readonly[^>]*>|value="([^"]+)" readonly', page.decode())[0])


async def people(store: SQLiteStore) -> dict[str, tuple[str, str | None]]:
    return {each.name: (each.role, each.app) for each in await PeopleService(store, by=ANNA).all()}


async def told(store: SQLiteStore) -> str:
    """The newest entry of the journal."""
    (entry,) = await JournalService(store).newest(Sought(), 1)
    return f"{by_said(entry.by)}: {entry_said(entry)}"


async def test_an_admin_invites_somebody_who_comes_by_the_link(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store)
    await browser.get("/people")
    page = await browser.post("/people", name=" ben ", role="editor", app="")
    assert (page.code, page.headers["Cache-Control"]) == (200, "private, no-store")
    link = shown(page.body)
    assert link.startswith(f"{client.address}/sign-in/link/")
    assert link not in (await browser.get("/people")).body.decode()
    assert await people(store) == {"anna": ("admin", None), "ben": ("editor", None)}
    ben, path = Visitor(client), link.removeprefix(client.address)
    await ben.get(path)
    assert (await ben.post(path, password=PASSWORD)).code == 303
    assert (await ben.get("/")).code == 200
    assert (await ben.get("/people")).code == 403


@pytest.mark.parametrize("name", HOSTILE)
async def test_any_name_is_shown_as_text_and_leads_to_its_page(client: Client, store: SQLiteStore, name: str) -> None:
    browser = await signed_in(client, store)
    await browser.get("/people")
    page = (await browser.post("/people", name=name, role="viewer")).body.decode()
    assert f"<bdi>{escape(name).replace('&#x27;', '&#39;').replace('&quot;', '&#34;')}</bdi>" in page
    assert "<script>alert" not in page
    (href,) = re.findall(r'href="(/people/edit\?name=[^"]+)"', page.replace("name=anna", ""))
    shown_page = await browser.get(unescape(href))
    (log,) = re.findall(r'href="(/audit\?by=[^"]+)"', shown_page.body.decode())
    assert "No such changes." in (await browser.get(unescape(log))).body.decode()
    changed = await browser.post("/people/role", name=name, role="editor", app="")
    assert browser.led(changed) == f"/people/edit?name={quote(name, safe='')} role_changed"
    assert "The role is changed" in (await browser.get(changed.headers["Location"])).body.decode()
    assert (await browser.post("/people/link", name=name)).code == 200
    assert browser.led(await browser.post("/people/remove", name=name)) == "/people person_removed"
    assert name not in await people(store)


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": "", "role": "viewer"}, 422, "Name: must have 1 to 64 characters."),
        ({"name": "ben", "role": "owner"}, 422, "Role: must be viewer, editor or admin."),
        ({"name": "ANNA", "role": "viewer"}, 409, "names that differ only in case are the same."),
        ({"name": "ben", "role": "viewer", "app": "nothing"}, 404, "There is no app with this key."),
        ({"name": "a\u202eb", "role": "viewer"}, 422, "Name: must not contain"),
    ],
)
async def test_a_refused_invitation_says_why_and_keeps_what_was_typed(
    client: Client, store: SQLiteStore, fields: dict[str, str], status: int, words: str
) -> None:
    browser = await signed_in(client, store)
    await browser.get("/people")
    page = await browser.post("/people", None, **fields)
    assert page.code == status
    assert words in page.body.decode()
    assert f'value="{fields["name"]}"' in page.body.decode()
    assert list(await people(store)) == ["anna"]


async def test_the_last_admin_is_told_so_and_stays_one(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store)
    page = (await browser.get("/people/edit?name=anna")).body.decode()
    assert page.count("is the last admin of every app") == 2
    assert 'action="/people/role"' not in page
    assert 'action="/people/remove"' not in page
    for path in ("role", "remove"):
        answer = await browser.post(f"/people/{path}", name="anna", role="viewer", sure="yes")
        assert answer.code == 409
        assert "app is anna; make somebody else admin of every app first." in answer.body.decode()
    assert await people(store) == {"anna": ("admin", None)}


async def test_an_admin_shuts_nobody_out_by_accident_least_of_all_themselves(
    client: Client, store: SQLiteStore
) -> None:
    browser = await signed_in(client, store)
    await person(store, "ben")
    page = (await browser.get("/people/edit?name=anna")).body.decode()
    assert page.count('name="sure"') == 2
    assert "only another admin can undo this:</label>\n<bdi>ben</bdi>." in page
    await PeopleService(store, by=ANNA).add("zoe", Role.ADMIN)
    assert "<bdi>zoe</bdi> (who has never signed in)." in (await browser.get("/people/edit?name=anna")).body.decode()
    for path in ("role", "remove"):
        answer = await browser.post(f"/people/{path}", name="anna", role="viewer")
        assert answer.code == 422
        assert "tick the box if you are sure" in answer.body.decode()
    assert (await browser.post("/people/role", name="anna", role="admin")).code == 303
    gone = await browser.post("/people/role", name="anna", role="viewer", sure="yes")
    assert browser.led(gone) == "/account role_changed"
    assert (await browser.get("/account")).code == 200
    assert (await browser.get("/people")).code == 403


async def test_a_role_is_given_for_one_app(client: Client, store: SQLiteStore) -> None:
    await store.add_app("staging", clock.now())
    browser = await signed_in(client, store)
    await person(store, "ben", Role.VIEWER)
    await browser.get("/people")
    await browser.post("/people/role", name="ben", role="admin", app="staging")
    assert (await people(store))["ben"] == ("admin", "staging")
    page = (await browser.get("/people/edit?name=ben")).body.decode()
    assert "<option selected>staging</option>" in page
    assert "<option selected>admin</option>" in page
    refused = await browser.post("/people/role", name="ben", role="admin", app="nothing")
    assert refused.code == 404
    assert (await people(store))["ben"] == ("admin", "staging")


async def test_somebody_elses_sessions_are_ended(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store)
    await person(store, "ben", Role.VIEWER)
    ben = Visitor(client, **{"User-Agent": "Mozilla/5.0 (Windows NT 10.0; rv:133.0) Gecko/20100101 Firefox/133.0"})
    await ben.sign_in("ben")
    assert "Firefox on Windows" in (await browser.get("/people/edit?name=ben")).body.decode()
    _, session = await SignInService(store).sessions("ben")
    answer = await browser.post("/people/sessions", name="ben", id=str(session.id))
    assert browser.led(answer) == "/people/edit?name=ben sessions_ended"
    assert (await ben.get("/")).code == 401
    assert await told(store) == "anna, 127.0.0.1: ended sessions of ben: browsers Firefox on Windows"
    await browser.post("/people/sessions", name="ben")
    assert await SignInService(store).sessions("ben") == []


async def test_an_account_of_single_sign_on_is_disconnected(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store)
    assert "Disconnect" not in (await browser.get("/people/edit?name=anna")).body.decode()
    await store.admit(Identity("https://id.example.com", "1", "ben", (Role.VIEWER, None)), b"1" * 32, clock.now())
    assert "single sign-on" in (await browser.get("/people")).body.decode()
    assert "disconnect this one" in (await browser.get("/people/edit?name=ben")).body.decode()
    answer = await browser.post("/people/disconnect", name="ben")
    assert "disconnected" in (await browser.get(answer.headers["Location"])).body.decode()
    assert await told(store) == "anna, 127.0.0.1: disconnected ben: accounts 1 at https://id.example.com"


async def test_a_person_who_is_not_there_is_said_so(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store)
    answer = await browser.get("/people/edit?name=nobody")
    assert answer.code == 404
    assert "Nobody has this name" in answer.body.decode()
    for path in ("role", "link", "disconnect", "sessions", "remove"):
        assert (await browser.post(f"/people/{path}", name="nobody", role="viewer")).code == 404


@pytest.mark.parametrize(
    "path", ["/people", "/people/role", "/people/link", "/people/disconnect", "/people/sessions", "/people/remove"]
)
async def test_another_site_changes_nobody(client: Client, store: SQLiteStore, path: str) -> None:
    browser = await signed_in(client, store)
    await person(store, "ben", Role.VIEWER)
    await browser.get("/people")
    browser.token = "0" * 32
    assert (await browser.post(path, name="ben", role="admin", sure="yes")).code == 403
    assert (await people(store))["ben"] == ("viewer", None)
