"""From the worker's figures to the results of each experiment."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, inf

from abtest import allocation, clock
from abtest.domain import Experiment, Held, Metric, Phase, Status, add_buckets
from abtest.inference import Arrivals, Due, Moments, Question, Stratum, Timing, timing
from abtest.inference.judgement import detectable, exposure, judge, looks
from abtest.results.conclusions import Conclusions, Health, Look, MetricConclusions
from abtest.store import DayFigures, Measured, MetricFigures

MOST_LOOKS = 60
OUTERMOST = 0.01
"""The first and the last such part of the devices does not count: some devices' clocks are wrong."""


def judged(measured: Measured, now: int) -> Conclusions:
    """The results of an experiment. Days that are over before `now` (milliseconds) don't change any more."""
    experiment, today = measured.experiment, now // clock.DAY
    exact = all(_exact(phase, measured.days) for phase in experiment.phases)
    metrics = tuple(_metric(measured, place, exact, today) for place in range(len(experiment.metrics)))
    return Conclusions(
        key=experiment.key,
        status=experiment.status,
        baseline=experiment.values[experiment.baseline_place],
        planned=experiment.planned,
        devices=sum(day.devices for day in measured.days),
        days=observed_days(measured.happened[0]) if metrics else 0,
        primary_changed_at=None
        if experiment.primary_changed_at is None
        else clock.iso(experiment.primary_changed_at),
        baseline_changed_at=None
        if experiment.baseline_changed_at is None
        else clock.iso(experiment.baseline_changed_at),
        verdict=metrics[0].verdict if metrics else None,
        metrics=metrics,
        health=Health(
            exact=exact,
            exposure=exposure(_strata(measured, ())),
            duplicate_events=measured.duplicate_events,
            unknown_device_events=measured.unknown_device_events,
            unknown_experiment_events=measured.unknown_experiment_events,
        ),
    )


def observed_days(happened: Sequence[tuple[int, int]]) -> int:
    """On how many days devices had their first event, without the first and the last hundredth of the devices.

    `happened`: (day, devices whose first event happened on it), ascending; a device counts once.
    """
    whole, passed, days = sum(devices for _, devices in happened), 0, 0
    for _, devices in happened:
        before, passed = passed, passed + devices
        days += bool(devices) and passed > OUTERMOST * whole and before < (1 - OUTERMOST) * whole
    return days


def _metric(measured: Measured, place: int, exact: bool, today: int) -> MetricConclusions:
    metric, figures = measured.experiment.metrics[place], measured.metrics[place]
    when = _timing(measured, metric, figures, today)
    question = _question(measured, metric, observed_days(measured.happened[place]), when)
    strata = _strata(measured, figures)
    at_plan = None if when.made is None else next(_strata_at(measured, figures, [when.made]))
    found = judge(question, strata, at_plan, exact)
    days = _thinned(sorted({day.day for day in measured.days} | {each.day for each in figures}))
    lifts = looks(question, list(_strata_at(measured, figures, days)))
    sums = [each.sums for each in figures if each.sums.events]
    events = sum(each.events for each in sums)
    return MetricConclusions(
        metric=str(metric),
        role="guardrail" if place else "primary",
        kind=metric.kind,
        event=metric.event,
        window_days=metric.window_days,
        less=metric.less,
        verdict=found.verdict,
        variants=found.variants,
        comparisons=found.comparisons,
        omnibus_p=found.omnibus_p,
        detectable=detectable(question, strata),
        due=question.due,
        cap=found.cap,
        capped_devices=found.capped_devices,
        over_time=tuple(
            Look(str(_date(day)), tuple(line)) for day, line in zip(days, lifts, strict=True) if any(line)
        ),
        events=events,
        without_amount=sum(each.without_amount for each in sums),
        lag_seconds=round(sum(each.lag for each in sums) / events / 1000, 1) if events else None,
        first_at=clock.iso(min(each.first_at for each in sums)) if sums else None,
        last_at=clock.iso(max(each.last_at for each in sums)) if sums else None,
    )


def _timing(measured: Measured, metric: Metric, figures: Sequence[MetricFigures], today: int) -> Timing:
    """When the one test was made or will be. An experiment that ended before its test was due has none."""
    arrivals, planned = _arrivals(measured, figures), measured.experiment.planned
    rates = metric.kind == "conversion"
    if measured.ended_at is None:
        return timing(arrivals, planned, metric.window_days, today, rates)
    at_end = timing(arrivals, planned, metric.window_days, min(today, measured.ended_at // clock.DAY), rates)
    return at_end if at_end.made else Timing(at_end.reached)


def _question(measured: Measured, metric: Metric, days: int, when: Timing) -> Question:
    experiment, weights = measured.experiment, measured.experiment.phases[0].weights
    return Question(
        kind=metric.kind,
        key=experiment.key,
        event=metric.event,
        less=metric.less,
        values=experiment.values,
        baseline=experiment.baseline_place,
        days=days,
        planned=experiment.planned,
        due=Due(_date(when.reached), _date(when.made), _date(when.until), when.waits_for),
        dropped=tuple(place for place, weight in enumerate(experiment.phase.weights) if not weight),
        shares=tuple(float(weight / sum(weights)) for weight in weights),
        running=experiment.status is Status.RUNNING,
        over=experiment.status in {Status.FINISHED, Status.ARCHIVED},
    )


def _date(day: int | None) -> str | None:
    return None if day is None else f"{clock.moment(day * clock.DAY):%Y-%m-%d}"


def _arrivals(measured: Measured, figures: Sequence[MetricFigures]) -> Arrivals:
    """Of all phases together. The test waits for the variants that devices came to when the plan was reached."""
    experiment = measured.experiment
    came: Counter[int] = Counter()
    by_variant = [Counter[int]() for _ in experiment.values]
    converted: dict[int, Counter[int]] = defaultdict(Counter)
    devices, reached_in = 0, 1
    for day in measured.days:
        if devices < (experiment.planned or inf):
            reached_in = day.phase
        devices += day.devices
        came[day.day] += day.devices
        by_variant[day.place][day.day] += day.devices
    for each in figures:
        converted[each.day].update(each.sums.delays)
    (weights,) = (phase.weights for phase in experiment.phases if phase.number == reached_in)
    return Arrivals(came, converted, [each for each, weight in zip(by_variant, weights, strict=True) if weight])


def _strata(measured: Measured, figures: Sequence[MetricFigures]) -> list[Stratum]:
    """The phases' moments as they are."""
    (found,) = _strata_at(measured, figures, [None])
    return found


def _strata_at(
    measured: Measured, figures: Sequence[MetricFigures], days: Sequence[int | None]
) -> Iterator[list[Stratum]]:
    """The phases' moments as they were at the end of each of these days, which ascend; None is now."""
    experiment = measured.experiment
    counts = {cell: [0, 0, 0, 0, 0] for cell in _cells(experiment)}
    buckets: dict[tuple[int, int], dict[int, Held]] = {cell: {} for cell in counts}
    came, told = iter([*measured.days, None]), iter([*figures, None])
    day, each = next(came), next(told)
    for upto in days:
        while day is not None and (upto is None or day.day <= upto):
            found = counts[day.phase, day.place]
            found[0] += day.devices
            found[1] += day.exposed
            day = next(came)
        while each is not None and (upto is None or each.day <= upto):
            found = counts[each.phase, each.place]
            found[2] += each.sums.converters
            found[3] += each.sums.total
            found[4] += each.sums.squares
            add_buckets(buckets[each.phase, each.place], each.sums.buckets)
            each = next(told)
        yield [
            tuple(
                _moments(counts[phase.number, place], buckets[phase.number, place])
                for place in range(len(experiment.values))
            )
            for phase in experiment.phases
        ]


def _moments(counts: Sequence[int], buckets: Mapping[int, Held]) -> Moments:
    devices, exposed, converters, total, squares = counts
    held = tuple((place, *sums) for place, sums in sorted(buckets.items()) if any(sums))
    return Moments(devices, exposed, converters, total, squares, held)


def _cells(experiment: Experiment) -> Iterator[tuple[int, int]]:
    return ((phase.number, place) for phase in experiment.phases for place in range(len(experiment.values)))


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
