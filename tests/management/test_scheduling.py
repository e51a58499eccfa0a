"""Experiments that start and end by themselves, and those that stop at a number of devices."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from abtest import clock
from abtest.domain import WORKER, By, Change, Status, parse_time
from abtest.errors import Conflict, InvalidExperiment
from abtest.language import schedule_said
from abtest.management import ExperimentService, keep_schedule, parse_toml
from tests.management.test_declared import TOML
from tests.scenes import ANNA, answers, experiment, opened, tokens

MINUTE = 60_000
SOON = clock.now() + clock.DAY


async def test_what_is_due_is_done_in_the_order_of_its_times(tmp_path: Path) -> None:
    said: list[str] = []
    async with opened(tmp_path / "abtest.db") as store:
        now = clock.now()
        await store.add(
            [
                experiment("later", "1", "1", start_at=SOON, end_at=SOON + 1),
                experiment("color", "1", "1", start_at=now - 9 * MINUTE, end_at=now - 3 * MINUTE),
                experiment("price", "1", "1", end_at=now - 5 * MINUTE),
                experiment("offer", "1", "1", start_at=now),
            ],
            now - clock.HOUR,
        )
        await keep_schedule(store, said.append)
        statuses = {each.key: each.status for each in await store.experiments()}
        await keep_schedule(store, said.append)
    assert said == [
        "started color 9 minutes late: no worker was running",
        "finished price 5 minutes late: no worker was running",
        "finished color 3 minutes late: no worker was running",
        "started offer as planned",
    ]
    assert statuses == {
        "later": Status.DRAFT, "color": Status.FINISHED, "price": Status.FINISHED, "offer": Status.RUNNING,
    }  # fmt: skip


async def test_devices_count_from_the_start_that_is_stored_not_from_the_time(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "1", "1", start_at=1)], 1)
        before = await answers(store, tokens("before", 2))
        version = await store.config_version()
        await keep_schedule(store, print)
        after = await answers(store, tokens("after", 2))
        assert await store.config_version() == version + 1
    assert before == [{}, {}]
    assert sorted(each["color"] for each in after) == ["color-0", "color-1"]


async def test_the_experiments_of_every_app_start(tmp_path: Path) -> None:
    said: list[str] = []
    async with opened(tmp_path / "abtest.db") as store:
        await store.add_app("staging", 1)
        for app in ("default", "staging"):
            await store.add([experiment("color", "1", "1", start_at=clock.now())], clock.now(), app=app)
        await keep_schedule(store, said.append)
        (color,) = await store.experiments("staging")
    assert said == ["started color as planned", "started color of the app staging as planned"]
    assert color.status is Status.RUNNING


async def test_two_workers_start_an_experiment_once(tmp_path: Path) -> None:
    said: list[str] = []
    async with opened(tmp_path / "abtest.db") as first, opened(tmp_path / "abtest.db") as second:
        await first.add([experiment(f"color-{n}", "1", "1", start_at=n) for n in range(20)], 1)
        await asyncio.gather(keep_schedule(first, said.append), keep_schedule(second, said.append))
        (statuses,) = {len(each.statuses) for each in await first.experiment_records()}
    assert (len(said), statuses) == (20, 2)


@pytest.mark.parametrize("done", [("start",), ("start", "pause"), ("start", "finish"), ("archive",)])
async def test_a_start_that_has_passed_changes_nothing_that_a_person_did(
    tmp_path: Path, done: tuple[str, ...]
) -> None:
    said: list[str] = []
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await store.add([experiment("color", "1", "1", start_at=1)], 1)
        for each in done:
            await getattr(service, each)("color")
        before = await service.one("color")
        await keep_schedule(store, said.append)
        assert (await service.one("color"), said) == (before, [])


async def test_an_end_finishes_what_runs_or_is_paused_and_no_draft(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service, end = ExperimentService(store, by=ANNA), clock.now() - 1
        keys = ("running", "paused", "draft", "archived", "won")
        await store.add([experiment(key, "1", "1", draft=key == "draft", end_at=end) for key in keys], 1)
        await service.pause("paused")
        await service.archive("archived")
        await service.finish("won", "won-0")
        await keep_schedule(store, print)
        assert await store.due(clock.now()) == []
        assert [(each.status, each.winner) for each in await service.all()] == [
            ("finished", None), ("finished", None), ("draft", None), ("archived", None), ("finished", "won-0"),
        ]  # fmt: skip


async def test_what_its_schedule_ended_is_decided_by_who_gives_the_reason(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await store.add([experiment("color", "1", "1", end_at=clock.now() - 1)], 1)
        await keep_schedule(store, print)
        ended = await service.one("color")
        assert (ended.decided_by, ended.decided_at) == (WORKER, ended.ended_at)
        decided = await service.finish("color", because="no effect")
        assert (decided.decided_by, decided.because) == (By(ANNA.kind, ANNA.name), "no effect")
        assert (decided.winner, decided.ended_at) == (None, ended.ended_at)


@pytest.mark.parametrize(("action", "status"), [("start", "draft"), ("resume", "paused")])
async def test_what_has_passed_its_end_takes_no_devices_before_it_has_another(
    tmp_path: Path, action: str, status: str
) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await store.add([experiment("color", "1", "1", draft=status == "draft", end_at=clock.now() - 1)], 1)
        if status == "paused":
            await service.pause("color")
        with pytest.raises(Conflict, match=r"which has passed; before .* abtest experiments schedule color"):
            await getattr(service, action)("color")
        await service.schedule("color", end_at=SOON)
        assert (await getattr(service, action)("color")).status is Status.RUNNING


async def test_times_can_be_changed_and_removed_until_they_are_kept(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1", start_at=SOON, end_at=SOON + 9)])
        moved = await service.schedule("color", start_at=SOON + 1)
        assert (moved.start_at, moved.end_at) == (SOON + 1, SOON + 9)
        removed = await service.schedule("color", start_at=None, end_at=SOON + 5)
        assert (removed.start_at, removed.end_at) == (None, SOON + 5)
        for wrong, words in (
            ({"start_at": SOON + 5}, "end_at: must be after the start"),
            ({"start_at": 1}, "start_at: 1970-01-01T00:00:00Z has passed"),
            ({"end_at": clock.now()}, "end_at: .* has passed"),
        ):
            with pytest.raises(InvalidExperiment, match=words):
                await service.schedule("color", **wrong)
        await service.start("color")
        with pytest.raises(Conflict, match="color is running and can't be given another start"):
            await service.schedule("color", start_at=None)
        await service.schedule("color", end_at=None)
        await service.finish("color")
        with pytest.raises(Conflict, match="color is finished and can't be given another end"):
            await service.schedule("color", end_at=SOON)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"end_at": 1}, "color: end_at: 1970-01-01T00:00:00Z has passed"),
        ({"start_at": SOON, "end_at": SOON}, "end_at: must be after the start"),
        ({"stop_at": 0}, "stop_at: must be from 1 device to"),
    ],
)
async def test_a_plan_that_cannot_be_kept_is_refused(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        with pytest.raises(InvalidExperiment, match=words):
            await ExperimentService(store, by=ANNA).add([experiment("color", "1", "1", **fields)])


def test_a_time_has_a_time_zone() -> None:
    assert parse_time("2026-12-03T10:00:00.25+01:00", "end_at") == parse_time("2026-12-03T09:00:00.25Z", "end_at")
    for wrong in (
        "2026-12-03T10:00:00",
        "2026-12-03",
        "10000-01-01T00:00:00Z",
        "3 Dec 2026",
        "",
        "1796288400",
        "\udcff",
    ):
        with pytest.raises(InvalidExperiment, match="end_at: must be a time with its time zone, such as"):
            parse_time(wrong, "end_at")
    for wrong in ("9999-12-31T23:59:59-01:00", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"):
        with pytest.raises(InvalidExperiment, match="end_at: must be in the years 1970 to 9999"):
            parse_time(wrong, "end_at")


def test_a_file_gives_times_as_texts_or_as_toml_has_them() -> None:
    plan = 'start_at = 2026-12-03T10:00:00+01:00\nend_at = "2026-12-10T00:00:00Z"\nstop_at = 600\n'
    _, price = parse_toml(TOML + plan).experiments
    assert price.start_at == parse_time("2026-12-03T09:00:00Z", "")
    assert (price.end_at, price.stop_at) == (parse_time("2026-12-10T00:00:00Z", ""), 600)
    for wrong, words in (
        ("start_at = 2026-12-03T10:00:00", "price: start_at: must be a time with its time zone"),
        ("start_at = 2026-12-03", "price: start_at: must be a time, not a date"),
        ("stop_at = 0", "price: stop_at: must be from 1 device"),
        ('stop_at = "600"', "price: stop_at: must be a whole number, not a text"),
    ):
        with pytest.raises(InvalidExperiment, match=words):
            parse_toml(TOML + wrong)


async def test_an_experiment_stops_at_its_devices_over_all_phases(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1", coverage="0.5", stop_at=10)])
        await answers(store, tokens("a", 8))
        with pytest.raises(Conflict, match="color has 4 devices already; choose a number above that"):
            await service.reweight("color", stop_at=4)
        await service.reweight("color", stop_at=7)
        given = await answers(store, tokens("b", 40))
        full = await service.one("color")
        await service.reweight("color", stop_at=9)
        more = await answers(store, tokens("c", 40))
    assert (sum(map(bool, given)), sum(map(bool, more)), full.full) == (3, 2, True)
    assert [phase.stop_at for phase in full.phases] == [10, 7]


async def test_the_plan_is_said_in_words(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        start, end = parse_time("2026-12-03T09:00:00Z", ""), parse_time("2026-12-10T09:30:00Z", "")
        await store.add([experiment("color", "1", "1", start_at=start, end_at=end, stop_at=2)], 1)
        planned = await service.one("color")
        assert schedule_said(planned, start) == [
            "starts 3 Dec 2026, 09:00 UTC", "ends 10 Dec 2026, 09:30 UTC", "stops at 2 devices, 0 so far",
        ]  # fmt: skip
        assert (
            schedule_said(planned, start + 42 * MINUTE)[0]
            == "should have started 42 minutes ago: no worker is running"
        )
        await store.change("color", lambda _: Change(status=Status.RUNNING), start + 42 * MINUTE)
        await answers(store, tokens("a", 3))
        running = await service.one("color")
        assert schedule_said(running, end) == [
            "started 42 minutes late: no worker was running", "ends 10 Dec 2026, 09:30 UTC",
            "has its 2 devices and takes no more",
        ]  # fmt: skip
        await store.change("color", lambda _: Change(status=Status.FINISHED), end + 2 * clock.DAY)
        assert schedule_said(await service.one("color"), end) == [
            "started 42 minutes late: no worker was running", "ended 2 days late: no worker was running",
        ]  # fmt: skip
