"""A file that declares when experiments start, end and are full."""

from pathlib import Path

import pytest
from msgspec import structs

from abtest import clock
from abtest.domain import Change, Experiment, Status, parse_time
from abtest.errors import InvalidExperiment
from abtest.management import ExperimentService, as_declared, keep_schedule, parse_declared, write_toml
from abtest.management.applying import Proposal, propose
from tests.management.test_applying import CHECKOUT, FILE, KEY, having, with_devices
from tests.scenes import ANNA, experiment, opened

START, END = parse_time("2999-12-03T09:00:00Z", ""), parse_time("2999-12-17T09:00:00Z", "")
PLANNED = structs.replace(CHECKOUT, status=Status.DRAFT, start_at=START, end_at=END)
STOPPING = structs.replace(CHECKOUT, phases=(structs.replace(CHECKOUT.phase, stop_at=600),))


def proposed(more: str, stored: Experiment) -> Proposal:
    return propose(parse_declared(FILE.replace(KEY, f"{KEY}\n{more}", 1)), [stored])


@pytest.mark.parametrize(
    ("more", "stored", "sentence", "change"),
    [
        (
            "end_at = 2999-12-17T09:00:00Z",
            CHECKOUT,
            "schedule will be ends 17 Dec 2999, 09:00 UTC (was none)",
            Change(schedule=(None, END)),
        ),
        (
            "start_at = 2999-12-03T09:00:00+01:00",
            PLANNED,
            "schedule will be starts 3 Dec 2999, 08:00 UTC "
            "(was starts 3 Dec 2999, 09:00 UTC, ends 17 Dec 2999, 09:00 UTC)",
            Change(schedule=(START - clock.HOUR, None)),
        ),
        (
            "stop_at = 700",
            STOPPING,
            "another number to stop at begins phase 2: 700 devices (was 600 devices)",
            Change(stop_at=700),
        ),
        (
            'status = "finished"\nwinner = "one"',
            having(Status.FINISHED),
            "winner will be one (was none)",
            Change(status=Status.FINISHED, winner="one"),
        ),
    ],
)
def test_what_differs_will_be_as_the_file_says(more: str, stored: Experiment, sentence: str, change: Change) -> None:
    found = proposed(more, stored)
    assert [step.sentence for step in found.steps] == [f"checkout: {sentence}"]
    assert (found.refused, found.changes) == ((), (("checkout", change),))


@pytest.mark.parametrize(
    ("more", "stored", "why"),
    [
        ("", STOPPING, "from 600 devices to none: the number can be changed, but not removed"),
        ("stop_at = 5", with_devices(5), "it has 5 devices already; choose a number above that"),
        ("stop_at = 5", having(Status.FINISHED), "it is finished"),
        ("end_at = 2020-01-01T00:00:00Z", CHECKOUT, "2020-01-01T00:00:00Z has passed"),
    ],
)
def test_what_can_not_be_is_refused(more: str, stored: Experiment, why: str) -> None:
    (step,) = proposed(more, stored).steps
    assert step.refused
    assert step.sentence.endswith(why)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.FINISHED])
def test_a_file_still_fits_after_its_times_were_kept(status: Status) -> None:
    kept = structs.replace(PLANNED, status=status, start_at=1, end_at=2 if status is Status.FINISHED else END)
    times = "start_at = 1970-01-01T00:00:00.001Z\nend_at = 2999-12-17T09:00:00Z"
    assert proposed(times, kept).steps == ()


def test_an_end_that_has_passed_is_not_created() -> None:
    with pytest.raises(InvalidExperiment, match="checkout: end_at: 2020-01-01T00:00:00Z has passed"):
        propose(parse_declared(FILE.replace(KEY, f"{KEY}\nend_at = 2020-01-01T00:00:00Z", 1)), [])


async def test_a_dump_has_what_is_still_to_come(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        now = clock.now()
        await store.add(
            [
                experiment("later", "1", "1", start_at=START, end_at=END + 1, stop_at=600),
                experiment("begun", "1", "1", start_at=1, end_at=END),
                experiment("ended", "1", "1", end_at=now),
            ],
            1,
        )
        await keep_schedule(store, print)
        dumped = [as_declared(each) for each in await service.all()]
        text = write_toml(dumped)
        assert propose(parse_declared(text), await service.all()).steps == ()
    later, begun, ended = (each.new for each in dumped)
    assert (later.start_at, later.end_at, later.stop_at) == (START, END + 1, 600)
    assert (begun.start_at, begun.end_at, ended.end_at) == (None, END, None)
    async with opened(tmp_path / "other.db") as store:
        service = ExperimentService(store, by=ANNA)
        declared = parse_declared(text)
        shown = await service.propose(declared)
        assert [step.sentence for step in shown.steps] == [
            "later: will be added, a draft", "begun: will be added, running", "ended: will be added, finished",
        ]  # fmt: skip
        assert [each.coming for each in await service.apply(declared, shown)] == [
            (START, END + 1), (None, END), (None, None),
        ]  # fmt: skip
