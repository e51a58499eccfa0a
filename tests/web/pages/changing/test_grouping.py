"""The pages of groups, holdouts and test devices, over real HTTP."""

import re
from decimal import Decimal

import pytest
from msgspec import structs
from tornado.httpclient import HTTPResponse

from abtest.bootstrap import wired
from abtest.domain import Role, Sought, Variant, members
from abtest.management import ExperimentService, GroupService, HoldoutService, JournalService, TestDeviceService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, answers, experiment, tokens
from tests.web.pages.test_handlers import words
from tests.web.visitors import Visitor, signed_in

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def text(visitor: Visitor, path: str) -> str:
    return words((await visitor.get(path)).body.decode())


def seen_in(answer: HTTPResponse) -> str:
    """What the forms of a page say that it has shown."""
    (seen,) = set(re.findall(r'name="seen" value="(\d+)"', answer.body.decode()))
    return str(seen)


async def send(visitor: Visitor, path: str, **fields: str) -> str:
    """Where it leads, or what the page says."""
    answer = await visitor.post(path, None, **fields)
    return visitor.led(answer) if answer.code == 303 else f"{answer.code} {words(answer.body.decode())}"


async def test_experiments_come_into_a_group_and_leave_it(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store, Role.EDITOR)
    await store.add([experiment("color", "1", "1"), experiment("price", "1", "1")], 1)
    assert "No groups yet." in await text(anna, "/groups")
    assert (await send(anna, "/groups", key="Screen!", description="kept")).startswith("422 ")
    assert await send(anna, "/groups", key="screen", description=SCRIPT) == "/groups/screen group_added"
    assert "Add an experiment" in await text(anna, "/groups/screen")
    assert "100% of new devices are free." in await text(anna, "/groups/screen/join")
    joined = await send(anna, "/groups/screen/join", experiment="color", share="60%")
    assert joined == "/groups/screen joined"
    refused = await anna.post("/groups/screen/join", None, experiment="price", share="50%")
    assert "has only 40% left, not 50%" in words(refused.body.decode())
    assert 'value="50%"' in refused.body.decode()
    twice = await send(anna, "/groups/screen/join", experiment="color", share="10%")  # somebody else was faster
    assert twice.startswith("409 ")
    assert "The experiment color is in the group screen already." in twice
    assert (await send(anna, "/groups/screen/join", share="10%")).startswith("422 ")
    assert "color 60% 40%" in await text(anna, "/groups")
    assert await send(anna, "/groups/screen/leave", experiment="color") == "/groups/screen left"
    assert (await send(anna, "/groups/screen/leave", experiment="color")).startswith("409 ")
    assert members(await GroupService(store, by=ANNA).one("screen")) == {}
    assert "<script>alert" not in (await anna.get("/groups")).body.decode()


async def test_a_holdout_begins_is_measured_and_ends(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store, Role.EDITOR)
    assert "No holdouts yet." in await text(anna, "/holdouts")
    assert (await send(anna, "/holdouts", key="year", share="100%")).startswith("422 ")
    bare = (await anna.post("/holdouts", None, key="year", share="5")).body.decode()
    assert "Share: the percent sign is missing: write 5%." in words(bare)
    assert 'value="5" aria-describedby="share-hint" aria-invalid="true"' in bare
    metrics = "conversion:buy\r\n\r\namount:buy less"
    begun = await send(anna, "/holdouts", key="year", share="10%", description=SCRIPT, metrics=metrics)
    assert begun == "/holdouts/year holdout_added"
    await worker.tick(store)
    assert "No devices yet. Devices that make their first request from now on are held or free." in await text(
        anna, "/holdouts/year"
    )
    await answers(store, tokens("a", 20))
    await worker.tick(store)
    listed = (await anna.get("/holdouts")).body.decode()
    assert "running Conversion of buy 10% 20" in words(listed)
    assert "<script>alert" not in listed
    page = (await anna.get("/holdouts/year/metrics")).body.decode()
    assert "conversion:buy\namount:buy less</textarea>" in page
    revision = found[1] if (found := re.search(r'name="revision" value="([^"]+)"', page)) else ""
    saved = await send(anna, "/holdouts/year/metrics", metrics="amount:buy", revision=revision)
    assert saved == "/holdouts/year holdout_measured"
    refused = await send(anna, "/holdouts/year/end", revision=revision, seen="1")
    assert refused.startswith("412 ")
    assert "anna changed the holdout year: metrics amount:buy (was conversion:buy, amount:buy less)" in refused
    page = (await anna.get("/holdouts/year/end")).body.decode()
    assert "2 held devices stay held and never get an experiment." in words(page)
    revision = found[1] if (found := re.search(r'name="revision" value="([^"]+)"', page)) else ""
    assert await send(anna, "/holdouts/year/end", revision=revision) == "/holdouts/year holdout_ended"
    assert (await anna.get("/holdouts/year/end")).code == 409
    assert (await anna.get("/holdouts/nothing/end")).code == 404


async def test_finished_experiments_are_folded_until_a_test_device_has_a_value_of_one(
    client: Client, store: SQLiteStore
) -> None:
    anna = await signed_in(client, store, Role.EDITOR)
    await store.add([experiment("color", "1", "1"), experiment("old", "1", "1")], 1)
    await ExperimentService(store, by=ANNA).finish("old")
    page = (await anna.get("/test-devices")).body.decode()
    before, folded = page.split("<details>\n<summary>1 finished experiment</summary>")
    assert ("value-color" in before, "value-old" in before, "value-old" in folded) == (True, False, True)
    filled = await anna.post("/test-devices", None, fill="yes", token="my-phone", **{"value-old": "1"})
    assert "<details open>\n<summary>1 finished experiment</summary>" in filled.body.decode()


async def test_a_test_device_gets_what_is_chosen_and_its_token_stands_in_no_address(
    client: Client, store: SQLiteStore
) -> None:
    anna = await signed_in(client, store, Role.EDITOR)
    new = experiment("color", "1", "1")
    await store.add([structs.replace(new, variants=(Variant(SCRIPT, Decimal(1)), *new.variants))], 1)
    await store.add([experiment("old", "1", "1")], 1)
    await ExperimentService(store, by=ANNA).archive("old")
    assert 'name="value-old"' not in (await anna.get("/test-devices")).body.decode()
    fields = {"token": "my-phone", "value-color": "0", "note": SCRIPT}
    assert await send(anna, "/test-devices", **fields) == "/test-devices test_device_made"
    (made,) = await TestDeviceService(store, by=ANNA).all()
    assert made.values == {"color": SCRIPT}
    listed = (await anna.get("/test-devices")).body.decode()
    assert "my-phone" in listed
    assert "<script>alert" not in listed
    filled = (await anna.post("/test-devices", None, fill="yes", **fields)).body.decode()
    assert ('value="my-phone" aria-describedby' in filled, '<option value="0" selected>' in filled) == (True, True)
    refused = await anna.post("/test-devices", None, **fields | {"token": "my phone"})
    assert (refused.code, 'value="my phone"' in refused.body.decode()) == (400, True)
    removed = await send(anna, "/test-devices/remove", token="my-phone", seen="1")
    assert removed == "/test-devices test_device_removed"
    assert (await send(anna, "/test-devices/remove", token="my-phone")).startswith("404 ")
    assert "my-phone" not in str(await JournalService(store).newest(Sought(), 10))


async def test_what_somebody_else_chose_for_a_token_meanwhile_is_not_lost(client: Client, store: SQLiteStore) -> None:
    anna, ben = [await signed_in(client, store, Role.EDITOR, name=name) for name in ("anna", "ben")]
    await store.add([experiment("color", "1", "1")], 1)
    shown = [seen_in(await visitor.get("/test-devices")) for visitor in (anna, ben)]
    mine = {"token": "my-phone", "value-color": "0", "note": "of Anna"}
    assert await send(anna, "/test-devices", seen=shown[0], **mine) == "/test-devices test_device_made"
    others = mine | {"value-color": "1", "note": "of Ben"}
    refused = await ben.post("/test-devices", None, seen=shown[1], **others)
    page = refused.body.decode()
    assert (refused.code, "This test device was changed by anna meanwhile" in words(page)) == (412, True)
    assert 'value="of Ben"' in page and "of Anna" in page
    removed = await ben.post("/test-devices/remove", None, seen=shown[1], token="my-phone")
    assert removed.code == 412
    assert [each.note for each in await TestDeviceService(store, by=ANNA).all()] == ["of Anna"]
    saved = await send(ben, "/test-devices", seen=seen_in(refused), **others)
    assert saved == "/test-devices test_device_made"


async def test_who_only_looks_reads_groups_and_holdouts_and_changes_nothing(
    client: Client, store: SQLiteStore
) -> None:
    await GroupService(store, by=ANNA).add("screen")
    await HoldoutService(store, by=ANNA).add("year", Decimal("0.1"))
    assert "screen" in await text(Visitor(client), "/groups")
    ben = await signed_in(client, store, Role.VIEWER, name="ben")
    for path in ("/groups", "/groups/screen", "/holdouts", "/holdouts/year"):
        page = await ben.get(path)
        assert page.code == 200
        assert set(re.findall(r'action="([^"]+)"', page.body.decode())) == {"/sign-out"}
    for path in ("/groups/screen/join", "/groups/screen/leave", "/holdouts/year/end", "/holdouts/year/metrics"):
        assert (await ben.get(path)).code == 403
        assert (await ben.post(path)).code == 403
    for path in ("/groups", "/holdouts", "/test-devices", "/test-devices/remove"):
        assert (await ben.post(path)).code == 403
    assert (await ben.get("/test-devices")).code == 403
    assert "Test devices" not in await text(ben, "/")
