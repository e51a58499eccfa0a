"""A trusted proxy says who signed in at it, and nobody else does."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from abtest.domain import Role, Sought
from abtest.errors import InvalidSetting
from abtest.management import AccessTokenService, JournalService, PeopleService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web import check_single_sign_on
from tests.conftest import Client, serving
from tests.scenes import ANNA
from tests.web.visitors import Visitor, person

USER = "X-Forwarded-User"
OF_APPS = ("/api/v1/experiments", "/apps/staging/api/v1/events", "/ofrep/v1/evaluate/flags/price")
OF_ALL = ("/shared/secret", "/static/shared.css", "/healthz", "/readyz")
ASKED = (
    "/",
    "/sign-in",
    "/people",
    "/experiments/shared/",
    "/api/v1/experiments/price/results",
    "/api/v1/admin/people",
)
DEVICE = {"Device-Token": "my-phone"}


@asynccontextmanager
async def server(store: SQLiteStore, proxies: str = "127.0.0.1") -> AsyncIterator[Client]:
    settings = Settings(database=f"sqlite:///{store.path}", trusted_proxies=proxies, proxy_user_header=USER)
    async with serving(store, settings) as client:
        yield client


async def invite(store: SQLiteStore, name: str = "ben", role: Role = Role.VIEWER) -> None:
    await PeopleService(store, by=ANNA).add(name, role)


async def test_who_signed_in_at_the_proxy_is_signed_in_with_the_role_here(store: SQLiteStore) -> None:
    await invite(store, "Zoë")
    async with server(store) as client:
        named = Visitor(client, **{USER: "Zoë".encode().decode("latin-1")})
        page = await named.get("/")
        assert page.code == 200
        assert "<bdi>Zoë</bdi>" in page.body.decode()
        assert "Sign out" not in page.body.decode()  # the proxy would sign them in again at once
        assert (await named.get("/why")).code == 403  # a viewer's
        assert (await Visitor(client).get("/")).code == 401
        await PeopleService(store, by=ANNA).change("Zoë", Role.EDITOR)
        assert (await named.get("/why")).code == 200
        await PeopleService(store, by=ANNA).remove("Zoë")
        assert (await named.get("/")).code == 403


async def test_the_header_of_anybody_else_is_refused_and_logged(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    await invite(store)
    async with server(store, "192.0.2.7") as client:
        for more in ({}, {"X-Forwarded-For": "192.0.2.7"}):
            answer = await Visitor(client, **{USER: "ben"}, **more).get("/")
            assert answer.code == 403
            assert "Only a trusted proxy may send the header X-Forwarded-User." in answer.body.decode()
        assert caplog.messages == ["refused 127.0.0.1 with X-Forwarded-User: it is not a trusted proxy"] * 2
        browser = Visitor(client)
        await person(store, "anna")
        await browser.sign_in("anna")
        browser.headers = {USER: "ben"}
        assert (await browser.get("/")).code == 403  # whoever else they may be


@pytest.mark.parametrize("name", ["nobody", "\x80\xff", "ben ben", "x" * 2_000, "ben,anna", "<script>", "\uff42en"])
async def test_a_name_that_nobody_has_is_refused(store: SQLiteStore, name: str) -> None:
    await invite(store)
    async with server(store) as client:
        sent = name if name == "\x80\xff" else name.encode().decode("latin-1")
        answer = await client.send(f"GET / HTTP/1.0\r\n{USER}: {sent}\r\nAccept: text/html\r\n\r\n".encode("latin-1"))
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"<script>" not in answer
        assert (b"must be UTF-8" if name == "\x80\xff" else b"ask an admin to add you with that name") in answer


async def test_two_names_are_none(store: SQLiteStore) -> None:
    await invite(store)
    async with server(store) as client:
        answer = await client.send(f"GET / HTTP/1.0\r\n{USER}: ben\r\n{USER}: ben\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"sent more than once" in answer


async def test_a_form_still_needs_its_token_and_changes_are_the_persons(store: SQLiteStore) -> None:
    await invite(store, "ben", Role.ADMIN)
    async with server(store) as client:
        named = Visitor(client, **{USER: "ben"})
        assert (await named.post("/sign-out")).code == 403
        await named.get("/people")
        assert (await named.post("/sign-out")).code == 303
        assert (await named.get("/")).code == 200  # the proxy still says so
    assert (await JournalService(store).newest(Sought(), 1))[0].by == ANNA


async def test_a_session_does_not_hide_whom_the_proxy_names(store: SQLiteStore) -> None:
    await person(store, "anna")
    await invite(store)
    async with server(store) as client:
        browser = Visitor(client)
        await browser.sign_in("anna")
        browser.headers = {USER: "ben"}
        assert "<bdi>ben</bdi>" in (await browser.get("/")).body.decode()
        browser.headers = {USER: ""}
        assert "<bdi>anna</bdi>" in (await browser.get("/")).body.decode()


async def test_a_program_behind_the_proxy_is_who_its_token_says(store: SQLiteStore) -> None:
    await invite(store)
    _, token = await AccessTokenService(store).add("ci", Role.EDITOR, by=ANNA)
    async with server(store) as client:
        sent = {USER: "ben", "Authorization": f"Bearer {token}"}
        assert (await client.fetch("/why", headers=sent)).code == 200
        assert (await client.fetch("/why", headers={USER: "ben"})).code == 403


async def test_what_apps_use_never_looks_at_it(store: SQLiteStore) -> None:
    async with server(store, "192.0.2.7") as client:
        for path in ("/api/v1/experiments", "/healthz", "/readyz"):
            assert (await client.fetch(path, headers=DEVICE | {USER: "ben"})).code == 200


def test_the_documented_proxy_asks_nobody_to_sign_in_where_this_server_does_not() -> None:
    documented = (Path(__file__).parents[3] / "docs/operations.md").read_text("utf-8")
    found = re.search("--skip-auth-route='([^']+)'", documented)
    assert found
    skipped = [path for path in (*OF_APPS, *OF_ALL, *ASKED) if re.search(found[1], path)]
    assert skipped == [*OF_APPS, *OF_ALL]


@pytest.mark.parametrize(
    "header", ["X Forwarded", "Authorization", "cookie", "X_User", "X-User\r\n", "X-Forwarded-For"]
)
def test_a_header_that_means_something_else_is_no_setting(header: str) -> None:
    with pytest.raises(InvalidSetting, match="proxy-user-header"):
        check_single_sign_on(Settings(proxy_user_header=header, trusted_proxies="127.0.0.1"))


def test_the_header_needs_a_proxy() -> None:
    with pytest.raises(InvalidSetting, match="needs trusted-proxies"):
        check_single_sign_on(Settings(proxy_user_header=USER))
