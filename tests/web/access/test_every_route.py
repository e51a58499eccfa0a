"""Who may call what: every route and method, as everybody who could come."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct
from tornado.httpclient import HTTPResponse

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
from tests.web.visitors import Visitor, signed_in

REFUSED = {401, 403}
GUARDS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


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


async def asked(client: Client, method: str, path: str, **headers: str) -> HTTPResponse:
    """The answer; the token of a device stands for what the apps' paths need."""
    body = "{}" if method in {"POST", "PUT", "PATCH"} else None
    sent = {"Device-Token": "my-phone", "Content-Type": "application/json"} | headers
    options: dict[str, Any] = {"allow_nonstandard_methods": True, "headers": sent, "body": body}
    return await client.fetch(path, method=method, **options)


class Way(Struct, frozen=True):
    """One method of a route, in one app. `by_browsers`: whether a browser may send it, by itself or by a form."""

    method: str
    path: str
    app: str
    need: Need
    by_browsers: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def every_way(store: SQLiteStore, settings: Settings, apps: tuple[str, ...] = ("default",)) -> Iterator[Way]:
    """Every method of every route, in these apps; an experiment that there is stands for a key."""
    table = routes(wired(store, settings))
    needs = declared_needs(table)
    for pattern, handler, _, _ in table:
        path = re.sub(r"\(\[\^/\]\+\)", "button_color", pattern.removeprefix(IN_APP).removesuffix("/?"))
        for method, need in needs[handler].items():
            for app in apps if pattern.startswith(IN_APP) else ("default",):
                if pattern != "/static/(.+)":
                    by_browsers = handler.has_forms or need is not OPEN
                    yield Way(method, path if app == "default" else f"/apps/{app}{path}", app, need, by_browsers)


def guarded_ways(*arguments: Any) -> list[Way]:
    """Those that not everybody may go."""
    return [way for way in every_way(*arguments) if way.need is not OPEN]


async def people_and_apps(store: SQLiteStore) -> None:
    """Somebody, an experiment in each of two apps, and a device."""
    await store.add_app("staging", clock.now())
    for app in ("default", "staging"):
        await store.add(DEMO, clock.now(), app=app)
    await store.enrol(["my-phone"], clock.now())
    await PeopleService(store, by=ANNA).add("anna", Role.ADMIN)


@pytest.mark.parametrize("role", Role)
async def test_every_route_lets_those_call_who_may_and_nobody_else(
    client: Client, store: SQLiteStore, settings: Settings, role: Role
) -> None:
    await people_and_apps(store)
    for only in (None, "default", "staging"):
        secret = await token(store, role, only)
        who = await AccessTokenService(store).find(secret)
        for way in guarded_ways(store, settings, ("default", "staging")):
            status = (await asked(client, way.method, way.path, Authorization=f"Bearer {secret}")).code
            wanted = Caller(who).may(way.need, way.app)
            assert (status not in REFUSED) is wanted, f"{role} of {only}: {way} {status}"
            assert wanted or status == 403


async def test_without_signing_in_every_route_but_the_open_ones_says_401(
    client: Client, store: SQLiteStore, settings: Settings
) -> None:
    await PeopleService(store, by=ANNA).add("anna", Role.ADMIN)
    revoked, expired = await token(store, Role.ADMIN), await token(store, Role.ADMIN, expires="2999-12-31")
    first, _ = await AccessTokenService(store).all()
    await AccessTokenService(store).revoke(first.id, by=ANNA)
    assert (await asked(client, "GET", "/api/v1/stats", Authorization=f"Bearer {expired}")).code == 200
    await store.write(lambda connection: connection.execute("UPDATE access_token SET expires_at = 1"))
    removed = await signed_in(client, store, name="ben")
    await PeopleService(store, by=ANNA).remove("ben")
    tokens = ("Bearer abt_x", "Bearer", "Basic YTpi", f"Bearer {revoked}", f"Bearer {expired}")
    credentials: list[dict[str, str]] = [{}, *({"Authorization": each} for each in tokens)]
    credentials += [{"Cookie": f"abtest={secret}"} for secret in ("planted", removed.cookies["abtest"])]
    for credential in credentials:
        for way in guarded_ways(store, settings):
            answer = await asked(client, way.method, way.path, **credential)
            assert answer.code == 401, f"{way} {answer.code} {credential}"
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_no_other_site_makes_a_browser_change_anything(
    client: Client, store: SQLiteStore, settings: Settings
) -> None:
    await people_and_apps(store)
    inside, outside = await signed_in(client, store, name="ben"), Visitor(client)
    await inside.get("/account")
    await outside.get("/sign-in")
    ways = [way for way in every_way(store, settings) if way.method not in SAFE_METHODS and way.by_browsers]
    assert len(ways) > 50
    for way in sorted(ways, key=lambda way: way.path == "/sign-out"):
        browser = outside if way.need is OPEN else inside
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
        right = {"X-Xsrftoken": browser.token}
        for wrong in (
            {},
            {"X-Xsrftoken": "0" * 32},
            {"X-Xsrftoken": "2|00000000|00000000000000000000000000000000|1"},
            right | {"Sec-Fetch-Site": "cross-site"},
            right | {"Sec-Fetch-Site": "same-site"},
        ):
            assert (await asked(client, way.method, way.path, **cookies, **wrong)).code == 403, f"{way} {wrong}"
        answer = await asked(client, way.method, way.path, **cookies, **right, **{"Sec-Fetch-Site": "same-origin"})
        assert answer.code != 403, f"{way} by a page of ours"


async def test_every_answer_is_for_whom_it_is_alone_and_no_frame_has_it(
    client: Client, store: SQLiteStore, settings: Settings
) -> None:
    await people_and_apps(store)
    browser = await signed_in(client, store, name="ben")
    cookies = {"Cookie": f"abtest={browser.cookies['abtest']}"}
    for way in every_way(store, settings, ("default", "staging")):
        answer = await asked(client, way.method, way.path, **cookies)
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], way
        assert GUARDS.items() <= dict(answer.headers).items(), way
        if way.need is not OPEN and way.method in SAFE_METHODS:
            assert {"private", "no-store"} & set(answer.headers["Cache-Control"].split(", ")), way
            assert "Access-Control-Allow-Origin" not in answer.headers


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
        page = await asked(client, "GET", "/")
        assert (page.code, 'href="/simulate"' in page.body.decode()) == (pages, pages == 200)
        assert (await asked(client, "GET", "/api/v1/stats")).code == pages
        assert (await asked(client, "GET", "/metrics")).code == pages
        assert (await asked(client, "GET", "/why")).code == why
        for path in ("/api/v1/experiments", "/healthz", "/readyz", "/robots.txt", "/static/abtest.css"):
            assert (await asked(client, "GET", path)).code == 200


async def test_looking_ends_for_everybody_when_the_first_person_exists(client: Client, store: SQLiteStore) -> None:
    assert (await asked(client, "GET", "/")).code == 200
    await PeopleService(store, by=ANNA).add("anna", Role.VIEWER)
    assert (await asked(client, "GET", "/")).code == 401


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
    for way in every_way(store, settings):
        if way.need.looks:
            assert way.method in SAFE_METHODS or way.path == "/why", way


@pytest.mark.parametrize("scope", Scope)
def test_nobody_meets_a_need_by_being_nobody(scope: Scope) -> None:
    for role in Role:
        assert not Caller().may(Need(role, looks=True, scope=scope), "default")
        assert not Caller(anonymous=Role.ADMIN).may(Need(role, scope=scope), "default")
