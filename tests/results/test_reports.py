"""The figures people see."""

from decimal import Decimal

from abtest import clock
from abtest.domain import read_attributes
from abtest.management.experiments import ExperimentService
from abtest.management.groups import HoldoutService
from abtest.results import worker
from abtest.results.reports import ReportService
from abtest.store.figures import AudienceCounts, NewDevices
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import ANNA, answers, experiment, tokens


async def excluded(store: SQLiteStore) -> int:
    await worker.tick(store)
    (report,) = (await ReportService(store).report()).experiments
    return report.excluded


async def test_devices_that_came_before_or_while_it_took_none_are_excluded(store: SQLiteStore) -> None:
    service = ExperimentService(store, by=ANNA)
    await answers(store, tokens("before", 10))
    await store.add([experiment("color", "1", "1", draft=True)], clock.now())
    await answers(store, tokens("draft", 5))
    await service.start("color")
    await answers(store, tokens("enrolled", 20))
    assert await excluded(store) == 15
    await service.pause("color")
    await answers(store, tokens("paused", 3))
    assert await excluded(store) == 18


async def test_devices_that_got_the_winner_are_not_excluded(store: SQLiteStore) -> None:
    service = ExperimentService(store, by=ANNA)
    await answers(store, tokens("before", 10))
    await store.add([experiment("color", "1", "1")], clock.now())
    await service.finish("color", "color-1")
    await answers(store, tokens("won", 7))
    assert await excluded(store) == 10
    await service.archive("color")
    await answers(store, tokens("archived", 2))
    assert await excluded(store) == 12


async def test_who_was_outside_the_audience_is_counted_while_the_experiment_is_open(store: SQLiteStore) -> None:
    said = {token: read_attributes([("platform", "ios"), ("app_version", "3.9")]) for token in tokens("ios", 6)}
    said |= {
        token: read_attributes([("platform", "android"), ("app_version", "4")]) for token in tokens("android", 3)
    }
    said |= {token: read_attributes([("platform", "ios"), ("app_version", "4")]) for token in tokens("both", 4)}
    service = ExperimentService(store, by=ANNA)
    await answers(store, tokens("before", 10))
    await service.add([experiment("color", "1", "1", audience=("platform=ios", "app_version>=3.10"))])
    await store.enrol(list(said), clock.now(), said)
    await answers(store, tokens("silent", 1))
    assert await excluded(store) == 10 + 6 + 3 + 1
    (report,) = (await ReportService(store).report()).experiments
    assert report.audience == AudienceCounts(devices=14, outside=10, failed=(4, 7))
    assert str(report.strictest) == "app_version>=3.10"
    await service.finish("color", "color-0")
    await answers(store, tokens("late", 5))
    assert await excluded(store) == 10 + 6 + 3 + 1 + 5
    (report,) = (await ReportService(store).report()).experiments
    assert report.audience == AudienceCounts(devices=14, outside=10, failed=(4, 7))


async def test_every_excluded_device_is_counted_under_one_reason(store: SQLiteStore) -> None:
    service = ExperimentService(store, by=ANNA)
    await answers(store, tokens("before", 10))
    await HoldoutService(store, by=ANNA).add("q4", Decimal("0.1"))
    await service.add([experiment("color", "1", "1", audience=("platform=ios",), coverage="0.5", stop_at=20)])
    await service.pause("color")
    await answers(store, tokens("paused", 10))
    await service.resume("color")
    said = {token: read_attributes([("platform", "ios")]) for token in tokens("ios", 100)}
    await store.enrol(list(said), clock.now(), said)
    await answers(store, tokens("silent", 30))
    assert await excluded(store) == 130
    (report,) = (await ReportService(store).report()).experiments
    assert report.new_devices == NewDevices(devices=130, outside=30)
    assert report.early == 20
    assert report.devices == 20
    assert report.uncovered + report.elsewhere == 80
    assert report.elsewhere >= 10


async def test_only_devices_in_the_figures_are_excluded(store: SQLiteStore) -> None:
    await answers(store, tokens("before", 10))
    await store.add([experiment("color", "1", "1")], clock.now())
    await ExperimentService(store, by=ANNA).finish("color", "color-1")
    await answers(store, tokens("won", 7))
    await store.fold(4, clock.now())
    (report,) = (await ReportService(store).report()).experiments
    assert (report.devices, report.excluded) == (0, 4)
