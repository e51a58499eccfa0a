"""What is ready and what is missing before an experiment starts. Pure."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from abtest import clock
from abtest.domain import Experiment, Status, overlap
from abtest.inference import planning
from abtest.language import counted, exact_time, metric_name, names, number
from abtest.results.prospects import Prospect

SENSIBLE_DAYS = 56
"""A test that takes longer than eight weeks is rarely waited for."""


class Check(Struct, frozen=True):
    """Something to look at before the start, in a sentence. `forbids`: it can't be started like this."""

    ready: bool
    sentence: str
    forbids: bool = False


def checks(experiment: Experiment, prospect: Prospect, present: Sequence[Experiment], now: int) -> list[Check]:
    """What to look at before this experiment starts. `prospect`: of this experiment. `present`: all experiments that
    there are."""
    return [
        _metric(experiment),
        _plan(experiment),
        *_traffic(experiment, prospect),
        *_weights(experiment),
        *_end(experiment, now),
        _others(experiment, present),
    ]


def _metric(experiment: Experiment) -> Check:
    if experiment.metrics:
        return Check(True, f"Judged by: {metric_name(experiment.metrics[0])}")
    return Check(
        False, "No metric, so there will be no verdict. A metric that is set later also counts earlier events"
    )


def _plan(experiment: Experiment) -> Check:
    if experiment.planned is not None:
        return Check(True, f"Planned with {counted(experiment.planned, 'device')}")
    return Check(
        False,
        "No number of devices is planned. It can be planned only before the first device comes. "
        "Without a plan, it takes more devices to show a difference",
    )


def _traffic(experiment: Experiment, prospect: Prospect) -> Iterator[Check]:
    if experiment.planned is None:
        return
    per_day, part = prospect.per_day, prospect.part
    if not per_day:
        yield Check(False, "It is not known how many devices come per day: none came in the last week")
        return
    come = f"{counted(per_day, 'new device')} {'comes' if per_day == 1 else 'come'} per day"
    devices = per_day * part
    if devices < 1:
        yield Check(False, f"Hardly any device would take part: {come}")
        return
    days = planning.days(experiment.planned, devices)
    come += "" if part == 1 else f", of which about {number(round(devices))} would take part"
    too_long = ". That is long: plan for a larger effect, or fewer variants" if days > SENSIBLE_DAYS else ""
    yield Check(not too_long, f"The planned devices take about {counted(days, 'day')}: about {come}{too_long}")


def _weights(experiment: Experiment) -> Iterator[Check]:
    without = [value for value, weight in zip(experiment.values, experiment.phase.weights, strict=True) if not weight]
    if without:
        yield Check(False, f"No device gets {names(without)}: the weight is 0")


def _end(experiment: Experiment, now: int) -> Iterator[Check]:
    if experiment.end_at is None:
        return
    at = f"{exact_time(clock.iso(experiment.end_at))} UTC"
    if experiment.end_at <= now:
        yield Check(False, f"Its end, {at}, has passed. Change it first", forbids=True)
    else:
        yield Check(True, f"Ends by itself at {at}")


def _others(experiment: Experiment, present: Sequence[Experiment]) -> Check:
    others = [
        each.key
        for each in present
        if each.status is Status.RUNNING
        and each.id != experiment.id
        and (each.group is None or each.group != experiment.group)
        and overlap(each.audience, experiment.audience)
    ]
    if not others:
        return Check(True, "No other running experiment takes the same devices")
    are = "is" if len(others) == 1 else "are"
    return Check(
        False,
        f"{names(others, 'experiment')} {are} running with the same devices. "
        "If they change the same screen, put them into one group",
    )
