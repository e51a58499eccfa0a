"""Forgetting a device in the browser: by admins alone, and its token stands in no address and no log."""

import pytest

from abtest.bootstrap import wired
from abtest.domain import Role, Sought
from abtest.management import JournalService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import answers, experiment, tokens
from tests.web.pages.test_handlers import words
from tests.web.visitors import signed_in


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def test_an_admin_forgets_a_device_and_the_counts_stay(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store, Role.ADMIN)
    await store.add([experiment("color", "1", "1")], 1)
    await answers(store, tokens("phone", 4))
    await anna.get("/why")
    page = (await anna.post("/why", token="phone-1")).body.decode()
    assert "Its place in the order and in the counts stays" in words(page)
    assert page.count("phone-1") == 1
    answer = await anna.post("/why/forget", token="phone-1")
    assert anna.led(answer) in {"/why forgotten", "/why forgotten_but_in_log"}
    assert "Forgotten" in (await anna.get(answer.headers["Location"])).body.decode()
    assert (await anna.post("/why", token="phone-1")).code == 404
    assert (await anna.post("/why/forget", token="phone-1")).code == 404
    await worker.tick(store)
    assert b'"devices":4' in (await anna.get("/api/v1/stats")).body
    (entry,) = [each for each in await JournalService(store).newest(Sought(), 9) if each.action == "device.forget"]
    assert (entry.by.name, "phone" in str(entry)) == ("anna", False)


async def test_an_editor_is_told_why_and_forgets_nothing(client: Client, store: SQLiteStore) -> None:
    eve = await signed_in(client, store, Role.EDITOR, name="eve")
    await answers(store, tokens("phone", 1))
    await eve.get("/why")
    page = (await eve.post("/why", token="phone-0")).body.decode()
    assert "Device 1 in the order" in words(page)
    assert "orget" not in words(page)
    assert (await eve.post("/why/forget", token="phone-0")).code == 403
    assert (await eve.post("/why", token="phone-0")).code == 200
