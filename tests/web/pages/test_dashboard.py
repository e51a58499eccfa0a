"""The dashboard with many experiments, and what it says of each."""

import re
from decimal import Decimal

from abtest import clock
from abtest.domain import WORKER, NewExperiment, Variant, parse_time
from abtest.domain.experiments import Change, Status
from abtest.management import ExperimentService
from abtest.results import worker
from abtest.store.sqlite.store import SQLiteStore
from tests.conftest import Client
from tests.scenes import ANNA, tokens
from tests.web.pages.test_handlers import Outline, app, page, words

__all__ = ["app"]


def variants(*values: str) -> tuple[Variant, ...]:
    return tuple(Variant(value, Decimal(1)) for value in values)


async def experiments(store: SQLiteStore, number: int) -> None:
    """So many, of which the second is paused, the third finished and the fourth archived; with 100 devices each."""
    keys = [f"test-{place}" for place in range(number)]
    new = [NewExperiment(key, variants(f"{key}-on", "off"), description=f"Does {key} matter?") for key in keys]
    await store.add(new, clock.now())
    await store.enrol(tokens("device", 100), clock.now())
    for key, change in (
        ("test-1", Change(status=Status.PAUSED)),
        ("test-2", Change(status=Status.FINISHED, winner="off")),
        ("test-3", Change(status=Status.ARCHIVED)),
    ):
        await store.change(key, lambda _, change=change: change, clock.now())  # type: ignore[misc]
    await worker.tick(store)


def shown(html: str) -> list[str]:
    """The keys with a line of their own."""
    return re.findall(r'<li><a class="key" href="[^"]*">[^<]*</a>\s*<details id="([^"]*)"', html)


async def test_above_five_experiments_each_has_one_line_that_opens(client: Client, store: SQLiteStore) -> None:
    await experiments(store, 6)
    html = await page(client)
    assert shown(html) == ["test-0", "test-1", "test-2", "test-4", "test-5"]
    assert html.count('class="split"') == html.count('class="distribution"') == 5
    assert "1 archived" in words(html)
    Outline(html)


async def test_up_to_five_are_shown_in_full_without_a_search(client: Client, store: SQLiteStore) -> None:
    await experiments(store, 5)
    html = await page(client)
    assert shown(html) == []
    assert html.count('<section class="experiment"') == 4
    assert 'role="search"' not in html


async def test_a_search_finds_keys_descriptions_and_values_in_any_case(client: Client, store: SQLiteStore) -> None:
    await experiments(store, 8)
    assert shown(await page(client, "/?q=TEST-5")) == ["test-5"]
    assert shown(await page(client, "/?q=%20test-6%20matter")) == ["test-6"]
    assert shown(await page(client, "/?q=test-7-ON")) == ["test-7"]
    assert "No experiment matches." in words(await page(client, "/?q=nothing"))
    hostile = await page(client, "/?q=%22%3E%3Cscript%3E")
    assert "<script>" not in hostile
    assert 'value="&#34;&gt;&lt;script&gt;"' in hostile


async def test_a_status_is_chosen_by_its_name(client: Client, store: SQLiteStore) -> None:
    await experiments(store, 8)
    assert shown(await page(client, "/?status=paused")) == ["test-1"]
    assert shown(await page(client, "/?status=running&q=test-4")) == ["test-4"]
    archived = await page(client, "/?status=archived")
    assert shown(archived) == []
    assert '<details id="archived" open>' in archived
    assert "<option selected>archived</option>" in archived


async def test_where_no_device_took_part_the_page_says_so(client: Client, store: SQLiteStore) -> None:
    await store.add([NewExperiment("color", variants("a", "b"))], clock.now())
    await worker.tick(store)
    assert "No devices yet." in words(await page(client))
    await store.change("color", lambda _: Change(status=Status.PAUSED), clock.now())
    await worker.tick(store)
    assert "No device took part." in words(await page(client))


async def test_a_plan_is_said_on_the_dashboard_and_on_the_page(client: Client, store: SQLiteStore) -> None:
    start, end = parse_time("2999-12-03T09:00:00Z", ""), parse_time("2999-12-10T09:00:00Z", "")
    await store.add([NewExperiment("later", variants("a", "b"), start_at=start, end_at=end)], clock.now())
    await store.add([NewExperiment("color", variants("a", "b"), end_at=end, stop_at=600)], clock.now())
    await store.enrol(tokens("device", 412), clock.now())
    await worker.tick(store)
    both = words(await page(client))
    assert "draft starts 3 Dec, created" in both
    assert "A draft takes no devices. It starts by itself." in both
    assert "running ends 10 Dec, created" in both
    assert "Starts 3 Dec 2999, 09:00 UTC; ends 10 Dec 2999, 09:00 UTC." in words(
        await page(client, "/experiments/later")
    )
    stops = "Ends 10 Dec 2999, 09:00 UTC; stops at 600 devices, 412 so far."
    assert stops in words(await page(client, "/experiments/color"))
    await store.enrol(tokens("more", 200), clock.now())
    html = words(await page(client, "/experiments/color"))
    assert "Ends 10 Dec 2999, 09:00 UTC; has its 600 devices and takes no more." in html
    assert "running full, created" in words(await page(client))


async def test_what_was_late_is_said(client: Client, store: SQLiteStore) -> None:
    minute, now = 60_000, clock.now()
    new = NewExperiment("color", variants("a", "b"), start_at=now - 42 * minute, end_at=now - 3 * minute)
    await store.add([new], now - clock.DAY)
    assert "Should have started 42 minutes ago: no worker is running; ends" in words(await page(client))
    await worker.tick(store)
    said = "Started 42 minutes late: no worker was running; ended 3 minutes late: no worker was running."
    assert said in words(await page(client, "/experiments/color"))


async def test_devices_that_got_the_winner_are_counted(client: Client, store: SQLiteStore) -> None:
    await store.add([NewExperiment("color", variants("a", "b"))], clock.now())
    await store.change("color", lambda _: Change(status=Status.FINISHED, winner="b"), clock.now())
    await store.enrol(tokens("device", 7), clock.now())
    await worker.tick(store)
    assert "Every new device gets it: 7 so far" in words(await page(client, "/experiments/color"))


async def test_a_finished_experiment_leads_with_the_decision(client: Client, store: SQLiteStore) -> None:
    new = [NewExperiment(key, variants("a", "b"), metrics=("conversion:buy",)) for key in ("color", "price")]
    await store.add(new, clock.now())
    assert "What the figures said" not in words(await page(client, "/experiments/color"))
    await ExperimentService(store, by=ANNA).finish("color", "b", "people <buy> more")
    await ExperimentService(store, by=WORKER).finish("price")
    await worker.tick(store)
    decided = "Winner: b people &lt;buy&gt; more Decided by anna, just now"
    assert decided in words(await page(client))
    html = await page(client, "/experiments/color")
    assert re.search(f"{decided} .*What the figures said Not enough data", words(html))
    Outline(html)
    ended = words(await page(client, "/experiments/price"))
    assert "Finished without a winner Ended by its schedule, just now" in ended
    await ExperimentService(store, by=ANNA).archive("color")
    assert decided in words(await page(client, "/experiments/color"))


async def test_the_line_of_a_finished_experiment_says_its_decision(client: Client, store: SQLiteStore) -> None:
    await experiments(store, 7)
    await ExperimentService(store, by=ANNA).finish("test-4", because="no effect")
    html = words(await page(client))
    assert "Winner: off" in html
    assert "No winner · no effect" in html


async def test_what_was_decided_by_nobody_known_is_told_without_a_name(client: Client, store: SQLiteStore) -> None:
    await store.add([NewExperiment("color", variants("a", "b"))], clock.now())
    await store.change("color", lambda _: Change(status=Status.FINISHED), clock.now())
    await store.write(lambda connection: connection.execute("UPDATE experiment SET decided_at = NULL") and None)
    shown = words(await page(client, "/experiments/color"))
    assert "Finished without a winner What the figures said" in shown


async def test_a_long_value_is_cut_and_whole_in_a_fold(client: Client, store: SQLiteStore) -> None:
    long = "a" * 200 + "-end"
    await store.add([NewExperiment("color", variants(long, "b"))], clock.now())
    await worker.tick(store)
    html = await page(client)
    assert f"{'a' * 24}\N{HORIZONTAL ELLIPSIS}{'a' * 4}-end</bdi></summary>" in html
    assert f'<bdi class="whole">{long}</bdi></details>' in html
