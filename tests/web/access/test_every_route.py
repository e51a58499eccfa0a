"""Who may call what: every route and method, as everybody who could come."""

import re
from typing import Any

import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Role
from abtest.management import DEMO, AccessTokenService, PeopleService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.access import LOOK, OPEN, SAFE_METHODS, Caller, Need, Scope
from abtest.web.app import declared_needs, make_app, routes
from abtest.web.base import Handler
from abtest.web.base_path import IN_APP
from abtest.web.hot import HotServer
from tests.conftest import Client, serving
from tests.scenes import ANNA

REFUSED = {401, 403}


@pytest.fixture
def settings(store: SQLiteStore) -> Settings:
    return Settings(database=f"sqlite:///{store.path}", demo="on")


@pytest.fixture
def app(store: SQLiteStore, settings: Settings) -> HotServer:
    return make_app(wired(store, settings))


async def token(store: SQLiteStore, role: Role, app: str | None = None, expires: str | None = None) -> str:
    """An access token."""
    _, secret = await AccessTokenService(store).add(f"{role} {app}", role, app, expires, by=ANNA)
    return secret


async def asked(client: Client, method: str, path: str, **headers: str) -> int:
    """The status of an answer; the token of a device stands for what the apps' paths need."""
    body = "{}" if method in {"POST", "PUT", "PATCH"} else None
    sent = {"Device-Token": "my-phone", "Content-Type": "application/json"} | headers
    options: dict[str, Any] = {"allow_nonstandard_methods": True, "headers": sent, "body": body}
    return (await client.fetch(path, method=method, **options)).code


def every_method(store: SQLiteStore, settings: Settings) -> list[tuple[str, str, Need]]:
    """Path, method and need of every route; in it an experiment that there is stands for a key."""
    table = routes(wired(store, settings))
    needs = declared_needs(table)
    return [
        (re.sub(r"\(\[\^/\]\+\)", "button_color", pattern.removeprefix(IN_APP).removesuffix("/?")), method, need)
        for pattern, handler, _, _ in table
        for method, need in needs[handler].items()
        if pattern != "/static/(.+)"
    ]


async def test_every_route_lets_those_call_who_may_and_nobody_else(
    client: Client, store: SQLiteStore, settings: Settings
) -> None:
    await store.add(DEMO, clock.now())
    await store.add_app("staging", clock.now())
    await store.enrol(["my-phone"], clock.now())
    await PeopleService(store, by=ANNA).add("anna", Role.ADMIN)
    for role in Role:
        for only in (None, "default", "staging"):
            secret = await token(store, role, only)
            who = await AccessTokenService(store).find(secret)
            for path, method, need in every_method(store, settings):
                if need is OPEN:
                    continue
                status = await asked(client, method, path, Authorization=f"Bearer {secret}")
                wanted = Caller(who).may(need, "default")
                assert (status not in REFUSED) is wanted, f"{role} of {only}: {method} {path} {status}"
                assert wanted or status == 403


async def test_without_signing_in_every_route_but_the_open_ones_says_401(
    client: Client, store: SQLiteStore, settings: Settings
) -> None:
    await PeopleService(store, by=ANNA).add("anna", Role.ADMIN)
    revoked = await token(store, Role.ADMIN)
    for each in await AccessTokenService(store).all():
        await AccessTokenService(store).revoke(each.id, by=ANNA)
    wrong = ("Bearer abt_x", "Bearer", "Basic YTpi", f"Bearer {revoked}")
    for credential in ({}, *({"Authorization": each} for each in wrong)):
        for path, method, need in every_method(store, settings):
            if need is OPEN:
                continue
            status = await asked(client, method, path, **credential)
            assert status == 401, f"{method} {path} {status}"
    answer = await client.fetch("/api/v1/stats")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_an_access_token_ends_when_it_expires(client: Client, store: SQLiteStore) -> None:
    await PeopleService(store, by=ANNA).add("anna", Role.ADMIN)
    secret = await token(store, Role.VIEWER, expires=clock.iso(clock.now() + clock.DAY))
    assert await asked(client, "GET", "/api/v1/stats", Authorization=f"Bearer {secret}") == 200
    await store.write(lambda connection: connection.execute("UPDATE access_token SET expires_at = 1"))
    assert await asked(client, "GET", "/api/v1/stats", Authorization=f"Bearer {secret}") == 401


@pytest.mark.parametrize(
    ("anonymous", "people", "pages", "why"),
    [
        ("auto", False, 200, 200),
        ("auto", True, 401, 401),
        ("viewer", False, 200, 401),
        ("viewer", True, 200, 401),
        ("none", False, 401, 401),
    ],
)
async def test_who_has_not_signed_in_looks_as_far_as_the_setting_says(
    store: SQLiteStore, anonymous: str, people: bool, pages: int, why: int
) -> None:
    if people:
        await PeopleService(store, by=ANNA).add("anna", Role.ADMIN)
    settings = Settings(database=f"sqlite:///{store.path}", anonymous=anonymous)
    async with serving(store, settings) as client:
        assert await asked(client, "GET", "/") == pages
        assert await asked(client, "GET", "/api/v1/stats") == pages
        assert await asked(client, "GET", "/metrics") == pages
        assert await asked(client, "GET", "/why") == why
        for path in ("/api/v1/experiments", "/healthz", "/readyz", "/robots.txt", "/static/abtest.css"):
            assert await asked(client, "GET", path) == 200


async def test_looking_ends_for_everybody_when_the_first_person_exists(client: Client, store: SQLiteStore) -> None:
    assert await asked(client, "GET", "/") == 200
    await PeopleService(store, by=ANNA).add("anna", Role.VIEWER)
    assert await asked(client, "GET", "/") == 401


def test_a_method_of_which_nobody_said_who_may_call_it_starts_no_server() -> None:
    class Undeclared(Handler):
        def get(self) -> None: ...

        def post(self) -> None: ...

    with pytest.raises(TypeError, match="/new: who may call POST is not declared"):
        declared_needs([("/new", Undeclared, {"GET": LOOK}, {})])
    with pytest.raises(TypeError, match="another way"):
        declared_needs([("/new", Undeclared, LOOK, {}), ("/other", Undeclared, OPEN, {})])
    assert declared_needs([("/new", Undeclared, LOOK, {})])[Undeclared] == {"GET": LOOK, "POST": LOOK}


def test_nothing_that_changes_anything_is_open_to_whoever_only_looks(store: SQLiteStore, settings: Settings) -> None:
    for path, method, need in every_method(store, settings):
        if need.looks:
            assert method in SAFE_METHODS or path == "/why", path


@pytest.mark.parametrize("scope", Scope)
def test_nobody_meets_a_need_by_being_nobody(scope: Scope) -> None:
    for role in Role:
        assert not Caller().may(Need(role, looks=True, scope=scope), "default")
        assert not Caller(anonymous=Role.ADMIN).may(Need(role, scope=scope), "default")
