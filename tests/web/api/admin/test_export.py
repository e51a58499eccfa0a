"""Exports over HTTP: who gets them, and that nothing that was cut off looks complete."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Event, Role, Sought, scoped
from abtest.export import Asked, ExportService, Format
from abtest.language import entry_said
from abtest.management import AccessTokenService, JournalService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store import Table
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.api.admin.exporting import MOST_EXPORTS
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client, serving
from tests.scenes import ANNA, experiment, opened, tokens, until
from tests.web.visitors import signed_in

EXPORT = "/api/v1/admin/export"
NOON = clock.DAY // 2


@pytest.fixture
def settings(store: SQLiteStore) -> Settings:
    return Settings(database=f"sqlite:///{store.path}")


@pytest.fixture
def app(store: SQLiteStore, settings: Settings) -> HotServer:
    return make_app(wired(store, settings))


async def bearer(store: SQLiteStore, role: Role = Role.ADMIN, app: str | None = None) -> str:
    """What a program sends that has this role."""
    _, secret = await AccessTokenService(store).add(f"{role} {app}", role, app, None, by=ANNA)
    return f"Bearer {secret}"


async def asked(client: Client, store: SQLiteStore, path: str, **options: Any) -> HTTPResponse:
    return await client.fetch(path, headers={"Authorization": await bearer(store)}, **options)


async def fill(store: SQLiteStore, devices: int = 3) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await store.enrol(tokens("a", devices), NOON)
    await store.track([(token, [Event("1", "purchase", amount=99_900)]) for token in tokens("a", devices)], NOON)


@pytest.mark.parametrize("table", Table)
@pytest.mark.parametrize("format", Format)
async def test_a_program_gets_the_same_file_as_the_command(
    client: Client, store: SQLiteStore, table: Table, format: Format
) -> None:
    await fill(store)
    answer = await asked(client, store, f"{EXPORT}/{table}?format={format}&tokens=yes")
    pieces = await ExportService(store, by=ANNA).begin(Asked(table, format, tokens=True))
    assert answer.code == 200
    assert answer.body == b"".join([piece async for piece in pieces])
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{table}.{format}"'
    assert answer.headers["Cache-Control"] == "private, no-store"


async def test_a_format_has_its_content_type(client: Client, store: SQLiteStore) -> None:
    for format, type in (("csv", "text/csv"), ("jsonl", "application/jsonl"), ("parquet", "application/vnd.apache")):
        answer = await asked(client, store, f"{EXPORT}/events?format={format}")
        assert answer.headers["Content-Type"].startswith(type)
    answer = await asked(client, store, f"{EXPORT}/events")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert b"token" not in answer.body


async def test_only_what_was_stored_since_a_time_is_sent(client: Client, store: SQLiteStore) -> None:
    await fill(store)
    for since, rows in (("1970-01-01T12:00:00Z", 3), ("1970-01-01T12:00:00.001Z", 0)):
        answer = await asked(client, store, f"{EXPORT}/devices?format=jsonl&since={since}")
        assert len(answer.body.splitlines()) == rows


async def test_an_app_has_its_own_files(client: Client, store: SQLiteStore) -> None:
    await fill(store)
    await store.add_app("staging", 1, by=ANNA)
    await store.enrol([scoped(2, "phone")], 1)
    answer = await asked(client, store, f"/apps/staging{EXPORT}/devices?format=jsonl&tokens=yes")
    assert [json.loads(line)["token"] for line in answer.body.splitlines()] == ["phone"]
    assert (await asked(client, store, f"/apps/production{EXPORT}/devices")).code == 404


@pytest.mark.parametrize(
    ("role", "only", "status"),
    [
        (Role.ADMIN, None, 200),
        (Role.ADMIN, "default", 200),
        (Role.ADMIN, "staging", 403),
        (Role.EDITOR, None, 403),
        (Role.VIEWER, "default", 403),
    ],
)
async def test_only_an_admin_of_the_app_gets_files(
    client: Client, store: SQLiteStore, role: Role, only: str | None, status: int
) -> None:
    await store.add_app("staging", 1, by=ANNA)
    headers = {"Authorization": await bearer(store, role, only)}
    for table in Table:
        assert (await client.fetch(f"{EXPORT}/{table}", headers=headers)).code == status
        assert (await client.fetch(f"{EXPORT}/{table}")).code == 401


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("format=xlsx", "format"),
        ("since=yesterday", "since"),
        ("tokens=1", "tokens"),
        ("token=yes", "token"),
        ("format=csv&format=jsonl", "format"),
    ],
)
async def test_what_is_asked_wrongly_is_named(client: Client, store: SQLiteStore, query: str, named: str) -> None:
    answer = await asked(client, store, f"{EXPORT}/devices?{query}")
    problem = json.loads(answer.body)
    assert (answer.code, problem["code"]) == (422, "invalid_field")
    assert problem["detail"].startswith(f"{named}: ")


async def test_head_answers_without_a_body_and_reads_nothing(
    client: Client, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await fill(store)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))  # where tokens would go
    answer = await asked(client, store, f"{EXPORT}/devices?format=parquet&tokens=yes", method="HEAD")
    assert (answer.code, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert (await asked(client, store, f"{EXPORT}/devices?format=xlsx", method="HEAD")).code == 422


async def test_an_admin_gets_the_files_from_the_page_of_an_experiment_and_an_editor_sees_no_link(
    client: Client, store: SQLiteStore
) -> None:
    await store.add([experiment("color", "1", "1", metrics=("conversion:purchase",))], 1)
    await store.enrol(tokens("a", 3), NOON)
    await worker.tick(store)
    admin = await signed_in(client, store)
    page = (await admin.get("/experiments/color")).body.decode()
    links = re.findall(r'href="(/api/v1/admin/export/[^"]+)"', page)
    assert [link.rpartition("/")[2] for link in links] == list(Table)
    for link in links:
        assert (await admin.get(link)).headers["Content-Type"].startswith("text/csv")
    editor = await signed_in(client, store, Role.EDITOR, name="ed")
    assert "/admin/export/" not in (await editor.get("/experiments/color")).body.decode()


async def test_a_table_that_is_none_is_not_found(client: Client, store: SQLiteStore) -> None:
    assert (await asked(client, store, f"{EXPORT}/people")).code == 404


async def head(store: SQLiteStore, version: str, path: str) -> bytes:
    """A request for a file, as a program sends it."""
    authorization = await bearer(store)
    return f"GET {path} {version}\r\nHost: a\r\nConnection: close\r\nAuthorization: {authorization}\r\n\r\n".encode()


@asynccontextmanager
async def connected(client: Client, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection over which this was sent; it is torn down at the end of the block."""
    port = int(client.address.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
    writer.write(request)
    try:
        yield reader
    finally:
        writer.transport.abort()


def token_files() -> list[str]:
    """The temporary files without a name that this process has open: an export with tokens has one."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except OSError:
            continue  # the one that lists the folder
    return [link for link in links if "/abtest-" in link and link.endswith(" (deleted)")]


async def test_a_client_that_does_not_read_is_waited_for_and_one_that_leaves_ends_the_work(
    client: Client, store: SQLiteStore
) -> None:
    await store.enrol(tokens("a" * 100, 60_000), NOON)
    connections = client.server.app.connections
    asked_for = await head(store, "HTTP/1.1", f"{EXPORT}/devices?format=jsonl&tokens=yes")
    async with connected(client, asked_for) as reader:
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        (connection,) = connections.answering
        await until(connection.stream.writing)
        for _ in range(50):
            await asyncio.sleep(0.001)
            assert len(connection.stream._write_buffer) < 1_000_000  # of twenty million bytes
        assert len(token_files()) == 1
    await until(lambda: not token_files())
    await until(lambda: not connections.open)


async def test_who_takes_tokens_is_in_the_audit_log_and_no_token_is(client: Client, store: SQLiteStore) -> None:
    await fill(store)
    for path in (
        f"{EXPORT}/devices",
        f"{EXPORT}/events?tokens=yes&since=1970-01-01T12:00:00Z",
        f"{EXPORT}/devices?tokens=x",
    ):
        await asked(client, store, path)
    await asked(client, store, f"{EXPORT}/devices?tokens=yes", method="HEAD")
    entries = await JournalService(store).newest(Sought(), 100)
    (entry,) = [each for each in entries if each.action == "device.export"]
    assert (entry.by.kind, entry.by.name, entry.app) == ("access token", "admin None", "default")
    assert entry.after_facts == {"file": "events", "since": "1970-01-01T12:00:00Z"}
    assert entry_said(entry) == "exported tokens of devices: file events, since 1970-01-01T12:00:00Z"


async def test_a_process_has_few_exports_under_way(client: Client, store: SQLiteStore) -> None:
    await store.enrol(tokens("a" * 100, 60_000), NOON)
    asked_for = await head(store, "HTTP/1.1", f"{EXPORT}/devices?format=jsonl&tokens=yes")
    async with AsyncExitStack() as others:
        for _ in range(MOST_EXPORTS):
            reader = await others.enter_async_context(connected(client, asked_for))
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        refused = await asked(client, store, f"{EXPORT}/events")
        assert (refused.code, json.loads(refused.body)["code"]) == (503, "too_many_exports")
        assert refused.headers["Retry-After"].isdecimal()
    await until(lambda: not client.server.app.connections.answering)
    assert (await asked(client, store, f"{EXPORT}/events")).code == 200


async def test_a_client_that_reads_on_is_not_late_however_long_the_whole_takes(
    client: Client, store: SQLiteStore
) -> None:
    await store.enrol(tokens("a" * 100, 60_000), NOON)
    connections = client.server.app.connections
    async with connected(client, await head(store, "HTTP/1.1", f"{EXPORT}/devices?tokens=yes")) as reader:
        await reader.readline()
        (connection,) = connections.answering
        await until(connection.stream.writing)
        connections.answering[connection] = -1_000  # as if it had asked long ago
        while connections.answering[connection] == -1_000:
            assert await reader.read(100_000)
        assert connections.answering[connection] >= 0
    await until(lambda: not connections.open)


@pytest.mark.parametrize("format", Format)
async def test_a_whole_file_has_an_end(client: Client, store: SQLiteStore, format: Format) -> None:
    await fill(store, 3_000)
    path = f"{EXPORT}/devices?format={format}"
    _, _, chunked = (await client.send(await head(store, "HTTP/1.1", path))).partition(b"\r\n\r\n")
    assert chunked.endswith(b"\r\n0\r\n\r\n")
    _, _, body = (await client.send(await head(store, "HTTP/1.0", path))).partition(b"\r\n\r\n")
    pieces = await ExportService(store, by=ANNA).begin(Asked(Table.DEVICES, format))
    assert body == b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
async def test_what_a_fault_cuts_off_does_not_look_complete(tmp_path: Path, version: str) -> None:
    path = tmp_path / "abtest.db"
    async with opened(path) as store:
        asked_for = await head(store, version, f"{EXPORT}/devices")
        await store.enrol(tokens("a", 60_000), NOON)
        assert await store.empty_log()
    damage(path)
    async with opened(path) as store, serving(store, Settings()) as client:
        got, whole = b"", True
        async with connected(client, asked_for) as reader:
            try:
                while more := await reader.read(100_000):
                    got += more
            except ConnectionResetError:
                whole = False
    assert got.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\n1,1970-01-01T12:00:00.000Z" in got
    assert not got.endswith(b"0\r\n\r\n")
    assert not whole


def damage(path: Path) -> None:
    """Overwrite the second half of a database."""
    sound = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(sound + b"\xff" * len(sound))


async def test_a_fault_before_the_first_row_is_a_problem(
    client: Client, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    answer = await asked(client, store, f"{EXPORT}/devices?tokens=yes")
    assert (answer.code, json.loads(answer.body)["code"]) == (503, "storage_failed")
    assert str(tmp_path) not in answer.body.decode()
