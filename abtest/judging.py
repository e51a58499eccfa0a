"""From what the worker counted to what is known of each experiment."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil, sqrt

from msgspec import structs

from abtest import allocation, clock
from abtest.inference import planning
from abtest.inference.health import exposure
from abtest.inference.moments import Moments, Stratum, comparable
from abtest.inference.question import Question
from abtest.inference.results import is_due, judge, looks
from abtest.models import Experiment, Metric, Phase
from abtest.results import ExperimentResults, Health, Look, MetricResults
from abtest.store.base import DayFigures, Measured, MetricFigures

MOST_LOOKS = 60
OUTERMOST = 0.01
"""The part of the devices, at either end of time, on which no day is counted: some devices' clocks are wrong."""


def judged(measured: Measured, now: int) -> ExperimentResults:
    """The results of an experiment. Days that are over before `now` (milliseconds) don't change any more."""
    experiment, today = measured.experiment, now // clock.DAY
    exact = all(_exact(phase, measured.days) for phase in experiment.phases)
    metrics = tuple(_metric(measured, place, exact, today) for place in range(len(experiment.metrics)))
    return ExperimentResults(
        key=experiment.key,
        status=experiment.status,
        baseline=experiment.values[experiment.baseline_place],
        planned=experiment.planned,
        devices=sum(day.devices for day in measured.days),
        days=observed_days(measured.happened[0]) if metrics else 0,
        primary_changed_at=None
        if experiment.primary_changed_at is None
        else clock.iso(experiment.primary_changed_at),
        verdict=metrics[0].verdict if metrics else None,
        metrics=metrics,
        health=Health(
            exact, exposure(_strata(measured, ())), measured.duplicate_events, measured.unknown_device_events
        ),
    )


def observed_days(happened: Sequence[tuple[int, int]]) -> int:
    """How many days lie between the first and the last device with an event, both included, without the outermost
    hundredths.

    `happened`: days ascending, with the devices whose first event happened on them: however much one device tells, it
    counts once.
    """
    whole, passed, first = sum(devices for _, devices in happened), 0, None
    for day, devices in happened:
        passed += devices
        if first is None and passed > OUTERMOST * whole:
            first = day
        if first is not None and passed >= (1 - OUTERMOST) * whole:
            return day - first + 1
    return 0


def _metric(measured: Measured, place: int, exact: bool, today: int) -> MetricResults:
    metric, figures = measured.experiment.metrics[place], measured.metrics[place]
    question = _question(measured, metric, observed_days(measured.happened[place]))
    found = judge(question, _strata(measured, figures), _at_plan(measured, place, question, today), exact)
    days = _thinned(sorted({day.day for day in measured.days} | {each.day for each in figures}))
    lifts = looks(question, [_strata(measured, figures, day) for day in days])
    sums = [each.sums for each in figures if each.sums.events]
    events = sum(each.events for each in sums)
    return MetricResults(
        metric=str(metric),
        role="guardrail" if place else "primary",
        kind=metric.kind,
        event=metric.event,
        window_days=metric.window_days,
        verdict=found.verdict,
        variants=found.variants,
        comparisons=found.comparisons,
        omnibus_p=found.omnibus_p,
        detectable=_detectable(question, _strata(measured, figures)),
        over_time=tuple(
            Look(f"{clock.moment(day * clock.DAY):%Y-%m-%d}", tuple(line))
            for day, line in zip(days, lifts, strict=True)
            if any(line)
        ),
        events=events,
        without_amount=sum(each.without_amount for each in sums),
        lag_seconds=round(sum(each.lag for each in sums) / events / 1000, 1) if events else None,
        first_at=clock.iso(min(each.first_at for each in sums)) if sums else None,
        last_at=clock.iso(max(each.last_at for each in sums)) if sums else None,
    )


def _question(measured: Measured, metric: Metric, days: int) -> Question:
    experiment = measured.experiment
    return Question(
        kind=metric.kind,
        values=experiment.values,
        baseline=experiment.baseline_place,
        days=days,
        planned=experiment.planned,
        dropped=tuple(place for place, weight in enumerate(experiment.phase.weights) if not weight),
    )


def _strata(measured: Measured, figures: Sequence[MetricFigures], upto: int | None = None) -> list[Stratum]:
    """The phases' moments, as they were at the end of a day."""
    experiment = measured.experiment
    moments = {(phase.number, place): [0, 0, 0, 0, 0] for phase, place in _cells(experiment)}
    for day in measured.days:
        if upto is None or day.day <= upto:
            found = moments[day.phase, day.place]
            found[0] += day.devices
            found[1] += day.exposed
    for each in figures:
        if upto is None or each.day <= upto:
            found = moments[each.phase, each.place]
            found[2] += each.sums.converters
            found[3] += each.sums.total
            found[4] += each.sums.squares
    return [
        tuple(Moments(*moments[phase.number, place]) for place in range(len(experiment.values)))
        for phase in experiment.phases
    ]


def _cells(experiment: Experiment) -> Iterator[tuple[Phase, int]]:
    return ((phase, place) for phase in experiment.phases for place in range(len(experiment.values)))


def _at_plan(measured: Measured, place: int, question: Question, today: int) -> list[Stratum] | None:
    """The figures at the end of the day on which the one test was due; None until that day is over.

    Which day that is depends on the days on which devices came, and on nothing that they told: late events must not
    move it, else one test would be several.
    """
    came: Counter[int] = Counter()
    for each in measured.days:
        came[each.day] += each.devices
    first = min((day for day, devices in came.items() if devices), default=today)
    devices = 0
    for day in range(first, today):
        devices += came[day]
        if is_due(structs.replace(question, days=float(day - first + 1)), devices):
            return _strata(measured, measured.metrics[place], day)
    return None


def _detectable(question: Question, strata: Sequence[Stratum]) -> float | None:
    """The smallest relative lift that the planned devices can show in every variant, or those there are."""
    devices = sum(moments.n for stratum in strata for moments in stratum)
    growth = (question.planned or devices) / devices if devices else 0.0
    others = [place for place in question.others if place not in question.dropped]
    found = [_detectable_of(question, strata, place, growth) for place in others]
    return max((each for each in found if each is not None), default=None) if all(found) else None


def _detectable_of(question: Question, strata: Sequence[Stratum], place: int, growth: float) -> float | None:
    """The same of one variant: a phase weighs what it tells of the difference, as in `estimate`."""
    both = comparable(strata, (place, question.baseline))
    bases = [stratum[question.baseline] for stratum in both]
    told = [planning.per_arm(stratum[place].n, base.n) for stratum, base in zip(both, bases, strict=True)]
    per_arm = sum(told)
    mean = sum(weight * base.mean for weight, base in zip(told, bases, strict=True)) / (per_arm or 1)
    variance = sum(weight * base.variance for weight, base in zip(told, bases, strict=True)) / (per_arm or 1)
    if mean <= 0 or not variance:
        return None
    if question.kind == "conversion":
        return planning.detectable_rate(mean, growth * per_arm) if mean < 1 else None
    return planning.detectable_mean(sqrt(variance), growth * per_arm) / mean


def _exact(phase: Phase, days: Sequence[DayFigures]) -> bool:
    """Whether the counts of a phase are within their bound."""
    weights = phase.integers
    counts = [0] * len(weights)
    for day in days:
        if day.phase == phase.number:
            counts[day.place] += day.devices
    return allocation.deviation(weights, counts) <= allocation.bound(weights)


def _thinned(days: Sequence[int]) -> list[int]:
    """At most so many of them, evenly spread, the last one always."""
    step = ceil(len(days) / MOST_LOOKS) or 1
    return list(days[::-step][::-1])
