"""When an experiment starts, ends and is full, in words."""

from collections.abc import Iterator

from abtest import clock
from abtest.domain import Experiment, Status
from abtest.language.counts import counted
from abtest.language.numbers import number
from abtest.language.times import age, exact_time, short_day

LATE_SECONDS = 60
"""A worker that runs looks for what is due more often than that."""


def schedule_said(experiment: Experiment, now: int) -> list[str]:
    """What is planned, and what was late: starts 3 Dec 2026, 09:00 UTC; stops at 600 devices, 412 so far."""
    return [*_start(experiment, now), *_end(experiment, now), *_stop(experiment)]


def times_said(start_at: int | None, end_at: int | None) -> str:
    """starts 3 Dec 2026, 09:00 UTC, ends 17 Dec 2026, 09:00 UTC; or none."""
    said = (("starts", start_at), ("ends", end_at))
    return ", ".join(f"{verb} {_at(time)}" for verb, time in said if time is not None) or "none"


def next_said(experiment: Experiment) -> str:
    """What comes next, to stand beside the status: starts 3 Dec, or full."""
    if experiment.status is Status.DRAFT and experiment.start_at is not None:
        return f"starts {short_day(clock.moment(experiment.start_at))}"
    if experiment.status in {Status.RUNNING, Status.PAUSED}:
        if experiment.full:
            return "full"
        if experiment.end_at is not None:
            return f"ends {short_day(clock.moment(experiment.end_at))}"
    return ""


def full_said(experiment: Experiment) -> str:
    """has its 600 devices and takes no more; empty while it may take more, and of one that takes none anyway."""
    stop_at = experiment.phase.stop_at
    if stop_at is None or not experiment.full or experiment.status.over:
        return ""
    return f"has its {counted(stop_at, 'device')} and takes no more"


def late_start(experiment: Experiment) -> str:
    """42 minutes late: no worker was running; empty for a start in time, or one that nobody planned."""
    if experiment.start_at is None or experiment.started_at is None:
        return ""
    return _late(_planned_start(experiment, experiment.start_at), experiment.started_at)


def late_end(experiment: Experiment) -> str:
    """The same for the end."""
    if experiment.end_at is None or experiment.ended_at is None:
        return ""
    return _late(experiment.end_at, experiment.ended_at)


def _late(planned: int, at: int) -> str:
    seconds = (at - planned) / 1000
    return f"{age(seconds)} late: no worker was running" if seconds >= LATE_SECONDS else ""


def _planned_start(experiment: Experiment, start_at: int) -> int:
    """A start that had passed when the experiment was made means at once."""
    return max(start_at, experiment.created_at)


def _start(experiment: Experiment, now: int) -> Iterator[str]:
    if experiment.status is Status.DRAFT and experiment.start_at is not None:
        yield _coming("start", _planned_start(experiment, experiment.start_at), now)
    elif told := late_start(experiment):
        yield f"started {told}"


def _end(experiment: Experiment, now: int) -> Iterator[str]:
    if experiment.status is Status.DRAFT and experiment.end_at is not None:
        yield f"ends {_at(experiment.end_at)}"
    elif not experiment.status.over and experiment.end_at is not None:
        yield _coming("end", experiment.end_at, now)
    elif told := late_end(experiment):
        yield f"ended {told}"


def _stop(experiment: Experiment) -> Iterator[str]:
    stop_at = experiment.phase.stop_at
    if full := full_said(experiment):
        yield full
    elif stop_at is not None and not experiment.status.over:
        yield f"stops at {counted(stop_at, 'device')}, {number(experiment.enrolled)} so far"


def _coming(verb: str, planned: int, now: int) -> str:
    seconds = (now - planned) / 1000
    if seconds < LATE_SECONDS:
        return f"{verb}s {_at(planned)}"
    return f"should have {verb}ed {age(seconds)} ago: no worker is running"


def _at(milliseconds: int) -> str:
    return f"{exact_time(clock.iso(milliseconds))} UTC"
