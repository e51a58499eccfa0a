"""Programs manage people, sessions, access tokens and apps, and read who changed what."""

import re
from typing import Any
from urllib.parse import quote

import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Identity, Role, Sought
from abtest.language import by_said, entry_said
from abtest.management import AccessTokenService, JournalService, PeopleService, SignInService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, experiment
from tests.web.programs import Program, program, refused, said
from tests.web.visitors import PASSWORD, Visitor, signed_in

HOSTILE = [
    "Zoë O'Neill",
    '"><script>alert(1)</script>',
    "a/b?c=d#e&f%2F",
    "Łukasz ß",
    "界" * 64,
    "...",
    "+ +",
]


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def admin(client: Client, store: SQLiteStore) -> Program:
    return await program(client, store, Role.ADMIN)


async def told(store: SQLiteStore, most: int = 1) -> list[str]:
    """The newest entries of the journal."""
    return [f"{by_said(each.by)}: {entry_said(each)}" for each in await JournalService(store).newest(Sought(), most)]


async def test_a_person_is_invited_changed_and_removed(client: Client, store: SQLiteStore) -> None:
    ci = await admin(client, store)
    await store.add_app("staging", 1)
    made = await ci.send("POST", "/people", {"name": "ben", "role": "editor", "app": "staging"})
    assert (made.code, made.headers["Location"]) == (201, "/api/v1/admin/people/ben")
    assert made.headers["Cache-Control"] == "private, no-store"
    document = said(made)
    link = document.pop("link")
    assert document.pop("link_expires_at") > clock.iso(clock.now())
    assert await ci.get("/people/BEN") == document
    assert await ci.get("/people") == [document]
    assert document["has_password"] is False
    await SignInService(store).use_link(link.rpartition("/")[2], PASSWORD)
    changed = said(await ci.send("PATCH", "/people/ben", {"app": None}))
    assert (changed["role"], changed["app"], changed["has_password"]) == ("editor", None, True)
    assert said(await ci.send("PATCH", "/people/ben", {"role": "viewer"}))["app"] is None
    assert (await ci.send("DELETE", "/people/ben")).code == 204
    refused(await ci.send("GET", "/people/ben"), 404, "unknown_person")
    assert await told(store) == ["ci, access token, 127.0.0.1: removed ben: role viewer, app every app"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_person_may_have_any_name(client: Client, store: SQLiteStore, name: str) -> None:
    ci = await admin(client, store)
    made = await ci.send("POST", "/people", {"name": name, "role": "viewer"})
    assert made.code == 201
    there = made.headers["Location"].removeprefix("/api/v1/admin")
    assert there == f"/people/{quote(name, safe='')}"
    assert (await ci.get(there))["name"] == name
    assert said(await ci.send("PATCH", there, {"role": "editor"}))["role"] == "editor"
    assert (await ci.send("POST", f"{there}/link")).code == 201
    assert await ci.get(f"{there}/sessions") == []
    assert (await ci.send("DELETE", there)).code == 204
    assert await ci.get("/people") == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"role": "viewer"}, "name: must be given"),
        ({"name": "ben"}, "role: must be given"),
        ({"name": "ben", "role": "owner"}, "role: must be viewer, editor or admin"),
        ({"name": "ben", "role": "viewer", "password": "x"}, "password: there is no such field"),
        ({"name": "", "role": "viewer"}, "name: must have 1 to 64 characters"),
        ({"name": "a\r\nSet-Cookie: b", "role": "viewer"}, "name: must be UTF-8 without"),
        ({"name": "a\u202eb", "role": "viewer"}, "name: must not contain"),
        ({"name": "界" * 65, "role": "viewer"}, "name: must have 1 to 64 characters"),
        ({"name": 7, "role": "viewer"}, "name: must be a text"),
        ([], "body: must be an object"),
    ],
)
async def test_what_is_wrong_with_a_new_person_is_said(
    client: Client, store: SQLiteStore, body: Any, words: str
) -> None:
    ci = await admin(client, store)
    refused(await ci.send("POST", "/people", body), 422, "invalid_field", words)
    refused(await ci.send("POST", "/people", b"{"), 400, "invalid_json")
    refused(await ci.send("POST", "/people", b"a=b", **{"Content-Type": "text/plain"}), 415, "unsupported_media_type")
    assert await ci.get("/people") == []


async def test_nobody_is_added_twice_and_nobody_is_found_under_an_unknown_name(
    client: Client, store: SQLiteStore
) -> None:
    ci = await admin(client, store)
    await ci.send("POST", "/people", {"name": "ben", "role": "viewer"})
    refused(await ci.send("POST", "/people", {"name": "BEN", "role": "viewer"}), 409, "person_exists")
    refused(await ci.send("POST", "/people", {"name": "zoe", "role": "viewer", "app": "no"}), 404, "unknown_app")
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/link"),
        ("DELETE", "/accounts"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions"),
        ("DELETE", "/sessions/1"),
    ):
        answer = await ci.send(method, f"/people/nobody{path}", {} if method == "PATCH" else None)
        refused(answer, 404, "unknown_person")
        assert b"nobody has" in answer.body


async def test_the_last_admin_stays_one(client: Client, store: SQLiteStore) -> None:
    ci = await admin(client, store)
    await ci.send("POST", "/people", {"name": "anna", "role": "admin"})
    refused(await ci.send("DELETE", "/people/anna"), 409, "last_admin", "the last admin of every app is anna")
    refused(await ci.send("PATCH", "/people/anna", {"role": "viewer"}), 409, "last_admin")
    refused(await ci.send("PATCH", "/people/anna", {"app": "default"}), 409, "last_admin")
    await ci.send("POST", "/people", {"name": "ben", "role": "admin"})
    assert (await ci.send("DELETE", "/people/anna")).code == 204


async def test_a_new_link_voids_the_older_one(client: Client, store: SQLiteStore) -> None:
    ci = await admin(client, store)
    older = said(await ci.send("POST", "/people", {"name": "ben", "role": "viewer"}))["link"]
    answer = await ci.send("POST", "/people/ben/link")
    newer = said(answer)["link"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert (await Visitor(client).get(older.removeprefix(client.address))).code == 404
    assert (await Visitor(client).get(newer.removeprefix(client.address))).code == 200


async def test_an_account_of_single_sign_on_is_disconnected(client: Client, store: SQLiteStore) -> None:
    ci = await admin(client, store)
    await store.admit(Identity("https://id.example.com", "1", "ben", (Role.VIEWER, None)), b"1" * 32, clock.now())
    assert (await ci.get("/people/ben"))["is_connected"] is True
    assert (await ci.send("DELETE", "/people/ben/accounts")).code == 204
    assert (await ci.get("/people/ben"))["is_connected"] is False
    assert await ci.get("/people/ben/sessions") == []


async def test_sessions_are_listed_and_ended(client: Client, store: SQLiteStore) -> None:
    ci = await admin(client, store)
    browser = await signed_in(client, store, Role.ADMIN)
    first, second = await ci.get("/people/anna/sessions")
    assert (second["browser"], second["address"]) == ("", "127.0.0.1")
    assert (await ci.send("DELETE", f"/people/anna/sessions/{second['id']}")).code == 204
    assert (await ci.send("DELETE", "/people/anna/sessions/x")).code == 404
    assert (await browser.get("/")).code == 401
    assert await ci.get("/people/anna/sessions") == [first]
    assert (await ci.send("DELETE", "/people/anna/sessions")).code == 204
    assert await ci.get("/people/anna/sessions") == []
    assert (await told(store))[0] == "ci, access token, 127.0.0.1: ended sessions of anna: browsers unknown"


async def test_an_access_token_is_made_used_and_revoked(client: Client, store: SQLiteStore) -> None:
    ci = await admin(client, store)
    made = await ci.send("POST", "/access-tokens", {"name": "deploy", "role": "admin", "expires": "2100-01-01"})
    document = said(made)
    assert (made.code, made.headers["Location"]) == (201, f"/api/v1/admin/access-tokens/{document['id']}")
    token = document.pop("token")
    assert token.startswith("abt_")
    assert document["expires_at"] == "2100-01-01T23:59:59Z"
    assert await ci.get(f"/access-tokens/{document['id']}") == document
    listed = await Program(client, Authorization=f"Bearer {token}").get("/access-tokens")
    assert [each["name"] for each in listed] == ["ci", "deploy"]
    assert token not in str(listed)
    assert (await ci.send("DELETE", f"/access-tokens/{document['id']}")).code == 204
    assert (await Program(client, Authorization=f"Bearer {token}").send("GET", "/apps")).code == 401
    for id in (document["id"], 10**17):
        refused(await ci.send("DELETE", f"/access-tokens/{id}"), 404, "unknown_access_token")
    refused(await ci.send("DELETE", "/access-tokens/deploy"), 404, "not_found")
    past = {"name": "x", "role": "viewer", "expires": "2000-01-01"}
    refused(await ci.send("POST", "/access-tokens", past), 422, "invalid_field", "expires: has passed already")


async def test_an_app_is_added(client: Client, store: SQLiteStore) -> None:
    ci = await admin(client, store)
    made = await ci.send("POST", "/apps", {"key": "staging"})
    assert (made.code, made.headers["Location"]) == (201, "/api/v1/admin/apps/staging")
    assert await ci.get("/apps/staging") == said(made)
    assert [each["key"] for each in await ci.get("/apps")] == ["default", "staging"]
    refused(await ci.send("POST", "/apps", {"key": "staging"}), 409, "app_exists")
    refused(
        await ci.send("POST", "/apps", {"key": "Staging!"}),
        422,
        "invalid_field",
        "key: must be 1 to 64 characters from a-z",
    )
    refused(await ci.send("GET", "/apps/other"), 404, "unknown_app")


async def test_an_admin_of_one_app_manages_nobody(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store, Role.ADMIN, "default")
    for path in ("/people", "/access-tokens", "/apps"):
        refused(await ci.send("GET", path), 403, "forbidden", "this needs the role admin for every app")
    refused(await ci.send("POST", "/people", {"name": "eve", "role": "admin"}), 403, "forbidden")
    assert await PeopleService(store, by=ANNA).all() == []


async def test_a_session_needs_the_token_of_a_form(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store, Role.ADMIN)
    await browser.get("/")
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    body = {"name": "ben", "role": "viewer"}
    refused(await Program(client, **cookie).send("POST", "/people", body), 403, "forbidden")
    sent = Program(client, **cookie, **{"X-Xsrftoken": browser.token})
    assert (await sent.send("POST", "/people", body)).code == 201
    assert (await told(store))[0] == "anna, 127.0.0.1: added ben: role viewer, app every app"


async def many(store: SQLiteStore) -> None:
    """Entries in two apps and in none: nine."""
    await store.add_app("staging", 1, ANNA)
    for number in range(4):
        await store.add([experiment(f"price-{number}", "1", "1")], 2 + number, by=ANNA)
        await store.add([experiment(f"color-{number}", "1", "1")], 2 + number, app="staging", by=ANNA)


async def test_the_audit_log_is_read_page_by_page(client: Client, store: SQLiteStore) -> None:
    await many(store)
    ci = await admin(client, store)
    path, found = "/audit?limit=4&about=&by=anna", []
    for _ in range(3):
        answer = await ci.send("GET", path)
        found += [each["id"] for each in said(answer)]
        link = answer.headers.get("Link", "")
        path = (re.findall(r'^</api/v1/admin(.+)>; rel="next"$', link) or [""])[0]
    assert found == [*range(10, 0, -1)]
    assert path == ""
    newest = (await ci.get("/audit?limit=1&about=price-3"))[0]
    assert newest["said"].startswith("added price-3: status running")
    assert newest["by"] == {"kind": "person", "name": "anna", "address": "192.0.2.7"}
    assert [each["subject"] for each in await ci.get("/audit?app=staging")] == [
        *(f"color-{number}" for number in (3, 2, 1, 0)),
        "staging",
    ]
    assert len(await ci.get("/audit?since=1970-01-02")) == 1
    assert len(await ci.get("/audit?since=1970-01-01T00:00:00.004Z")) == 5


async def test_the_audit_log_is_a_file_page_by_page(client: Client, store: SQLiteStore) -> None:
    await many(store)
    ci = await admin(client, store)
    answer = await ci.send("GET", "/audit?limit=4&format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=UTF-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert [line.split(",")[0] for line in answer.body.decode().splitlines()] == ["id", "10", "9", "8", "7"]
    assert "&format=csv&" in answer.headers["Link"]


async def test_an_admin_of_one_app_sees_the_log_of_that_app_alone(client: Client, store: SQLiteStore) -> None:
    await many(store)
    ci = await program(client, store, Role.ADMIN, "staging", "/apps/staging/api/v1/admin")
    answer = await ci.send("GET", "/audit?limit=2")
    assert [each["subject"] for each in said(answer)] == ["color-3", "color-2"]
    assert answer.headers["Link"].startswith("</apps/staging/api/v1/admin/audit?")
    refused(
        await ci.send("GET", "/audit?app=default"),
        403,
        "forbidden",
        "you may see only the changes in the app staging",
    )
    default = await program(client, store, Role.ADMIN, "default")
    assert {each["app"] for each in await default.get("/audit")} == {"default"}
    assert {each["app"] for each in await default.get("/audit?app=")} == {"default"}
    refused(await default.send("GET", "/audit?app=staging"), 403, "forbidden")
    everybody = await program(client, store, Role.ADMIN, base="/apps/staging/api/v1/admin")
    assert {each["app"] for each in await everybody.get("/audit")} == {"staging"}
    assert None in {each["app"] for each in await everybody.get("/audit?app=")}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "limit: must be a whole number from 1 to 1000"),
        ("limit=1001", "limit: must be a whole number from 1 to 1000"),
        ("limit=x", "limit"),
        ("before=-1", "before: must be a whole number"),
        ("before=" + "9" * 40, "before"),
        ("since=yesterday", "since: must be a day such as 2026-12-03"),
        ("since=2026-13-40", "since"),
        ("format=xml", "format: must be json or csv"),
        ("who=anna", "who: there is no such parameter"),
        ("by=a&by=b", "by: must be given once"),
    ],
)
async def test_what_is_wrong_with_a_question_to_the_log_is_said(
    client: Client, store: SQLiteStore, query: str, words: str
) -> None:
    ci = await admin(client, store)
    refused(await ci.send("GET", f"/audit?{query}"), 422, "invalid_field", words)
    refused(await ci.send("GET", "/audit?app=nothing"), 404, "unknown_app")
    assert (await AccessTokenService(store).all())[0].used_at
