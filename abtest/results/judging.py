"""From the worker's figures to the results of each experiment."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import ceil

from msgspec import structs

from abtest import clock
from abtest.domain import Experiment, Held, Metric, Phase, Status, add_buckets
from abtest.inference import Arrivals, Came, Due, Moments, Question, Stratum, Timing, comparable_from, reached, timing
from abtest.inference.judgement import detectable, exposure, judge, judged_at, looks
from abtest.results.conclusions import Conclusions, Health, Look, MetricConclusions
from abtest.store import Measured, MetricFigures

MOST_LOOKS = 60
OUTERMOST = 0.05
"""This part of the devices does not count at either end: some devices' clocks are days off."""


def judged(measured: Measured, now: int) -> Conclusions:
    """The results of an experiment. Days that are over before `now` (milliseconds) don't change any more."""
    experiment, today = measured.experiment, now // clock.DAY
    exact = all(_exact(phase, measured) for phase in experiment.phases)
    metrics = tuple(_metric(measured, place, exact, today) for place in range(len(experiment.metrics)))
    return Conclusions(
        key=experiment.key,
        status=experiment.stage,
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
            showed_other={
                value: devices
                for place, value in enumerate(experiment.values)
                if (devices := sum(day.showed_other for day in measured.days if day.place == place))
            },
            duplicate_events=measured.duplicate_events,
            unknown_device_events=measured.unknown_device_events,
            unknown_experiment_events=measured.unknown_experiment_events,
            shortened_devices=measured.shortened_devices,
        ),
    )


def observed_days(happened: Sequence[tuple[int, int]]) -> int:
    """On how many days devices had their first event, without the first and the last twentieth of the devices.

    `happened`: (day, devices whose first event happened on it), ascending; a device counts once.
    """
    whole, passed, days = sum(devices for _, devices in happened), 0, 0
    for _, devices in happened:
        before, passed = passed, passed + devices
        days += bool(devices) and passed > OUTERMOST * whole and before < (1 - OUTERMOST) * whole
    return days


def _metric(measured: Measured, place: int, exact: bool, today: int) -> MetricConclusions:
    metric, figures = measured.experiment.metrics[place], measured.metrics[place]
    question = _question(measured, metric, observed_days(measured.happened[place]))
    came = sorted(
        [(each.day, each.phase, each.place, each.devices, 0) for each in measured.days]
        + [(each.day, each.phase, each.place, 0, each.sums.converters) for each in figures],
        key=lambda each: each[0],
    )
    tests = _tests(measured, question, came, figures, today)
    question = structs.replace(question, due=_due(question, tests, reached(question, came)))
    strata = _strata(measured, figures)
    found = judge(question, strata, _at_plan(measured, figures, tests), exact)
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
        detectable_devices=judged_at(question, sum(day.devices for day in measured.days)),
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


def _question(measured: Measured, metric: Metric, days: int) -> Question:
    experiment, weights = measured.experiment, measured.experiment.phases[0].weights
    return Question(
        kind=metric.kind,
        key=experiment.key,
        event=metric.event,
        window_days=metric.window_days,
        less=metric.less,
        values=experiment.values,
        baseline=experiment.baseline_place,
        days=days,
        planned=experiment.planned,
        dropped=tuple(place for place, weight in enumerate(experiment.phase.weights) if not weight),
        shares=tuple(float(weight / sum(weights)) for weight in weights),
        running=experiment.status is Status.RUNNING and not experiment.full,
        over=experiment.status.over,
        full=experiment.phase.stop_at if experiment.full and not experiment.status.over else None,
    )


def _tests(
    measured: Measured, question: Question, came: Sequence[Came], figures: Sequence[MetricFigures], today: int
) -> dict[int, Timing]:
    """When each variant was or will be tested. If its test was not due when the experiment ended, it has none."""
    arrivals, ended = _arrivals(measured, figures), measured.ended_at is not None
    until = today if measured.ended_at is None else min(today, measured.ended_at // clock.DAY)
    tests = {}
    for place in question.others:
        there, comparable = reached(question, came, place), comparable_from(question, came, place)
        found = timing(arrivals, there, comparable, question.window_days, until)
        tests[place] = Timing(found.reached) if ended and not found.made else found
    return tests


def _arrivals(measured: Measured, figures: Sequence[MetricFigures]) -> Arrivals:
    came: Counter[int] = Counter()
    converted: dict[int, Counter[int]] = defaultdict(Counter)
    for day in measured.days:
        came[day.day] += day.devices
    for each in figures:
        converted[each.day].update(each.sums.delays)
    return Arrivals(came, converted)


def _due(question: Question, tests: Mapping[int, Timing], planned_there: int | None) -> Due:
    """When the last test is made: of the variants that still get devices or, if none does, of all."""
    still = [test for place, test in tests.items() if place not in question.dropped] or list(tests.values())
    waiting = [test for test in still if test.made is None]
    if any(test.reached is None for test in waiting):
        return Due(_date(planned_there), waits_for=None if planned_there is None else "devices")
    last = max(waiting or still, key=lambda test: test.made or test.until or 0)
    return Due(_date(planned_there), _date(last.made), _date(last.until), "late" if last.late else None)


def _at_plan(
    measured: Measured, figures: Sequence[MetricFigures], tests: Mapping[int, Timing]
) -> dict[int, list[Stratum]]:
    """The strata on the day of each variant's test."""
    made = {place: test.made for place, test in tests.items() if test.made is not None}
    days = sorted(set(made.values()))
    strata = dict(zip(days, _strata_at(measured, figures, days), strict=True))
    return {place: strata[day] for place, day in made.items()}


def _date(day: int | None) -> str | None:
    return None if day is None else f"{clock.moment(day * clock.DAY):%Y-%m-%d}"


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


def _exact(phase: Phase, measured: Measured) -> bool:
    """Whether the counts of a phase, with the devices outside its coverage, are within their bound."""
    counts = [0] * len(phase.weights)
    for day in measured.days:
        if day.phase == phase.number:
            counts[day.place] += day.devices
    return phase.deviation(counts, measured.uncovered.get(phase.number, 0)) <= phase.bound


def _thinned(days: Sequence[int]) -> list[int]:
    """At most MOST_LOOKS of these days, evenly spread, always with the last one."""
    step = ceil(len(days) / MOST_LOOKS) or 1
    return list(days[::-step][::-1])
