"""Test devices, and devices: why they have what they have, and forgetting them."""

import asyncio
import json
from typing import Any

import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Role, Sought
from abtest.management import ExperimentService, JournalService
from abtest.settings import Settings
from abtest.store.sqlite.driver import open_raw
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import VerificationService
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client, Run
from tests.scenes import ANNA, experiment
from tests.web.programs import program, refused, said

PHONE = {"token": "my-phone", "values": {"color": "color-1"}, "note": "Anna's"}


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def test_a_test_device_is_made_changed_and_removed(client: Client, store: SQLiteStore, run: Run) -> None:
    ci = await program(client, store)
    await ExperimentService(store, by=ANNA).add([experiment("color", "1", "1")])
    made = await ci.send("POST", "/test-devices", PHONE)
    assert (made.code, said(made) | PHONE, said(made)["made_by"]) == (201, said(made), "ci")
    changed = await ci.send("POST", "/test-devices", {"token": "my-phone"})
    assert (changed.code, said(changed)["values"], said(changed)["note"]) == (200, {}, "")
    shown = await asyncio.to_thread(run, "--database", f"sqlite:///{store.path}", "test-devices", "list", "--json")
    assert await ci.get("/test-devices") == json.loads(shown.stdout) == [said(changed)]
    removed = await ci.send("DELETE", "/test-devices", Device_Token="my-phone")
    assert (removed.code, removed.body) == (204, b"")
    refused(await ci.send("DELETE", "/test-devices", Device_Token="my-phone"), 404, "unknown_test_device")
    assert await ci.get("/test-devices") == []


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        ({"token": "my phone"}, 400, "invalid_token", "Device-Token"),
        ({"token": "x" * 129}, 400, "invalid_token", "Device-Token"),
        ({}, 422, "invalid_field", "token: must be given"),
        ({"token": "a", "values": {"nothing": "x"}}, 422, "invalid_field", "values: there is no experiment"),
        ({"token": "a", "values": {"color": "pink"}}, 422, "invalid_test_device", "color"),
        ({"token": "a", "values": {"color": 1}}, 422, "invalid_field", "values[...]: must be a text"),
        ({"token": "a", "note": "x" * 201}, 422, "invalid_field", "note"),
        ({"token": "a", "made_by": "me"}, 422, "invalid_field", "made_by: there is no such field"),
    ],
)
async def test_what_can_not_be_a_test_device_is_refused(
    client: Client, store: SQLiteStore, body: Any, status: int, code: str, words: str
) -> None:
    ci = await program(client, store)
    await ExperimentService(store, by=ANNA).add([experiment("color", "1", "1")])
    refused(await ci.send("POST", "/test-devices", body), status, code, words)
    assert await ci.get("/test-devices") == []


async def test_why_a_device_has_what_it_has(client: Client, store: SQLiteStore, run: Run) -> None:
    ci = await program(client, store)
    await ExperimentService(store, by=ANNA).add([experiment("color", "1", "1")])
    await store.enrol(["my-phone"], clock.now())
    shown = await asyncio.to_thread(run, "--database", f"sqlite:///{store.path}", "why", "my-phone", "--json")
    assert await ci.get("/device", Device_Token="my-phone") == json.loads(shown.stdout)
    refused(await ci.send("GET", "/device", Device_Token="nobody"), 404, "unknown_device")
    for headers in ({}, {"Device-Token": "a b"}, {"Device-Token": ""}):
        refused(await ci.send("GET", "/device", **headers), 400, "invalid_token")


async def test_forgetting_a_device_leaves_no_trace_of_its_token(client: Client, store: SQLiteStore) -> None:
    admin, token = await program(client, store, Role.ADMIN), "a-token-to-forget"
    await ExperimentService(store, by=ANNA).add([experiment("color", "1", "1")])
    asked = {"Device-Token": token}
    before = (await client.fetch("/api/v1/experiments", headers=asked)).body
    forgotten = await admin.send("DELETE", "/device", Device_Token=token)
    assert (forgotten.code, forgotten.body) == (204, b"")
    for file in store.path.parent.glob(f"{store.path.name}*"):
        assert token.encode() not in file.read_bytes(), file
    refused(await admin.send("DELETE", "/device", Device_Token=token), 404, "unknown_device")
    refused(await admin.send("GET", "/device", Device_Token=token), 404, "unknown_device")
    (entry,) = await JournalService(store).newest(Sought(), 1)
    assert (entry.action, entry.by.name, token in entry.before + entry.after) == ("device.forget", "ci", False)
    assert before != b"{}"
    assert (await VerificationService(store).verify()).findings == ()


async def test_a_log_that_somebody_reads_is_emptied_by_the_next_try(client: Client, store: SQLiteStore) -> None:
    admin = await program(client, store, Role.ADMIN)
    await store.enrol(["my-phone"], clock.now())
    reader = open_raw(store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM device").fetchone()
    forgotten = await admin.send("DELETE", "/device", Device_Token="my-phone")
    assert (forgotten.code, said(forgotten)) == (202, {"forgotten": 1, "log_emptied": False})
    reader.close()
    refused(await admin.send("DELETE", "/device", Device_Token="my-phone"), 404, "unknown_device")
    assert b"my-phone" not in store.log.read_bytes()


async def test_editors_ask_why_and_admins_alone_forget(client: Client, store: SQLiteStore) -> None:
    await store.enrol(["my-phone"], clock.now())
    viewer, editor = await program(client, store, Role.VIEWER), await program(client, store)
    for path in ("/device", "/test-devices"):
        refused(await viewer.send("GET", path, Device_Token="my-phone"), 403, "forbidden")
        assert (await editor.send("GET", path, Device_Token="my-phone")).code == 200
    for path, code in (("/test-devices", 404), ("/device", 403)):
        assert (await editor.send("DELETE", path, Device_Token="my-phone")).code == code
    await store.add_app("staging", clock.now())
    elsewhere = await program(client, store, Role.ADMIN, "staging")
    refused(await elsewhere.send("DELETE", "/device", Device_Token="my-phone"), 403, "forbidden")
    inside = await program(client, store, Role.ADMIN, "staging", "/apps/staging/api/v1/admin")
    refused(await inside.send("DELETE", "/device", Device_Token="my-phone"), 404, "unknown_device")
    assert (await editor.send("GET", "/device", Device_Token="my-phone")).code == 200
