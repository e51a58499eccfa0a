"""The pages of groups and holdouts, over real HTTP."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from abtest.bootstrap import wired
from abtest.domain import read_attributes
from abtest.domain.events import Event
from abtest.management import ExperimentService, GroupService, HoldoutService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, answers, experiment, tokens


@pytest.fixture
def app(store: SQLiteStore, tmp_path: Path) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{tmp_path}/abtest.db")))


async def words(client: Client, path: str) -> str:
    """The text that people read, with single spaces."""
    answer = await client.fetch(path, headers={"Accept": "text/html"})
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.body.decode()))


async def test_a_group_says_who_has_what(client: Client, store: SQLiteStore) -> None:
    groups = GroupService(store, by=ANNA)
    await groups.add("screen", "one at a time")
    assert "This group has no experiments." in await words(client, "/groups/screen")
    for key, share in (("one", "0.3"), ("two", "0.5")):
        await store.add([experiment(key, "1", "1")], 1)
        await groups.join("screen", key, Decimal(share))
    await answers(store, tokens("a", 100))
    await worker.tick(store)
    told = await words(client, "/groups/screen")
    assert "one running 30% 30 two running 50% 50 none of them 20% 20" in told
    assert "✓ Exact shares (since the last change, largest deviation 0 devices" in told
    assert "Group screen gives it 30% of new devices" in await words(client, "/experiments/one")
    assert "Groups : screen" in await words(client, "/")
    assert "Who takes part: 30% from the group screen" in await words(client, "/")


async def test_a_holdout_says_what_all_experiments_bring(client: Client, store: SQLiteStore) -> None:
    holdouts = HoldoutService(store, by=ANNA)
    await holdouts.add("year", Decimal("0.1"))
    await store.add([experiment("one", "1", "1")], 1)
    assert "No metric yet, so there is no verdict. Set one: abtest holdouts metrics year" in await words(
        client, "/holdouts/year"
    )
    await holdouts.measure("year", ("conversion:buy",))
    await answers(store, tokens("a", 100))
    await store.track([(token, [Event("1", "buy")]) for token in tokens("a", 100)], 1)
    await worker.tick(store)
    told = await words(client, "/holdouts/year")
    assert "Holdouts year running" in told
    assert "Held 10.0% of new devices" in told
    assert "held 10 100.00% baseline free 90 100.00%" in told
    assert "reported exposure" not in told
    await holdouts.end("year")
    assert "Holdouts year ended" in await words(client, "/holdouts/year")
    assert "Holdouts : year" in await words(client, "/")
    assert "Excluded 10 held by a holdout" in await words(client, "/experiments/one")


async def test_an_experiment_says_what_kept_how_many_devices_out(client: Client, store: SQLiteStore) -> None:
    await answers(store, tokens("early", 7))
    await HoldoutService(store, by=ANNA).add("year", Decimal("0.1"))
    await GroupService(store, by=ANNA).add("screen")
    await store.add([experiment("one", "1", "1", audience=("platform=ios",), coverage="0.5")], 1)
    await GroupService(store, by=ANNA).join("screen", "one", Decimal("0.5"))
    said = {token: read_attributes([("platform", "ios")]) for token in tokens("ios", 100)}
    await store.enrol(list(said), 1, said)
    await answers(store, tokens("silent", 20))
    await worker.tick(store)
    told = await words(client, "/experiments/one")
    found = re.search(
        r"Devices (\d+) Excluded (\d+) "
        r"7 first seen before the experiment was created, or while it was not running "
        r"20 outside its audience "
        r"(\d+) held by a holdout, or given to no experiment or another one of its group "
        r"(\d+) outside its coverage .* Coverage 50% of new devices in its audience that its group gives it",
        told,
    )
    assert found
    devices, excluded, elsewhere, uncovered = map(int, found.groups())
    assert 7 + 20 + elsewhere + uncovered == excluded == 127 - devices
    assert elsewhere + uncovered + devices == 100
    await ExperimentService(store, by=ANNA).finish("one")
    assert "or given to no experiment or another one of its group" in await words(client, "/experiments/one")


async def test_an_experiment_says_how_many_came_when_it_was_full(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("one", "1", "1", stop_at=60)], 1)
    await answers(store, tokens("a", 100))
    await worker.tick(store)
    assert "Devices 60 Excluded 40 first seen when it was full" in await words(client, "/experiments/one")


async def test_a_holdout_says_that_its_metric_was_changed_later(client: Client, store: SQLiteStore) -> None:
    holdouts = HoldoutService(store, by=ANNA)
    await holdouts.add("year", Decimal("0.1"), metrics=("conversion:buy",))
    await answers(store, tokens("a", 10))
    await holdouts.measure("year", ("conversion:refund",))
    await worker.tick(store)
    told = await words(client, "/holdouts/year")
    assert "The primary metric was changed on" in told
    assert "run abtest holdouts metrics year --metric &#39;conversion:refund less&#39;" in told


async def test_an_unknown_group_or_holdout_is_not_found(client: Client) -> None:
    for kind in ("group", "holdout"):
        assert (await client.fetch(f"/{kind}s/nothing")).code == 404
        assert f"There is no {kind} with this key." in await words(client, f"/{kind}s/nothing")
