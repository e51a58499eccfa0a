"""The smallest difference that the rule finds in four of five experiments."""

from collections.abc import Sequence
from math import sqrt

from abtest.inference import planning, rule
from abtest.inference.question import Question
from abtest.inference.statistics.capping import capped, find_cap
from abtest.inference.statistics.moments import Stratum, comparable

SMALLEST_LEVEL = 1e-12
"""Below this level, which only hardly any devices lead to, a normal quantile is noise."""


def detectable(question: Question, strata: Sequence[Stratum]) -> float | None:
    """The size of the smallest relative lift to the better that the rule finds in four of five experiments, in every
    variant: by the test at the planned number of devices or, if none will be made, by the sequence with the devices
    that there are."""
    counted = capped(strata, find_cap(strata))
    devices = sum(moments.n for stratum in strata for moments in stratum)
    growth = judged_at(question, devices) / devices if devices else 0.0
    others = [place for place in question.others if place not in question.dropped]
    found = [_of(question, counted, place, growth) for place in others]
    return max((each for each in found if each is not None), default=None) if all(found) else None


def judged_at(question: Question, devices: int) -> int:
    """The number of devices for which `detectable` holds: the planned number, or without a test the present
    `devices`."""
    return question.planned or devices if question.has_test else devices


def _of(question: Question, strata: Sequence[Stratum], place: int, growth: float) -> float | None:
    """For one variant. Each phase is weighted by what it tells about the difference, as in `estimate`."""
    both = comparable(strata, (place, question.baseline))
    bases = [stratum[question.baseline] for stratum in both]
    told = [planning.per_arm(stratum[place].n, base.n) for stratum, base in zip(both, bases, strict=True)]
    per_arm = sum(told)
    mean = sum(weight * base.mean for weight, base in zip(told, bases, strict=True)) / (per_arm or 1)
    variance = sum(weight * base.variance for weight, base in zip(told, bases, strict=True)) / (per_arm or 1)
    if mean <= 0 or not variance:
        return None
    devices = growth * sum(stratum[place].n + stratum[question.baseline].n for stratum in both)
    level = _level(question, place, devices)
    if level < SMALLEST_LEVEL:
        return None
    if question.kind == "conversion":
        found = (
            planning.detectable_rate(mean, growth * per_arm, alpha=level, less=question.less) if mean < 1 else None
        )
        return None if found is None else abs(found)
    return planning.detectable_mean(sqrt(variance), growth * per_arm, alpha=level) / mean


def _level(question: Question, place: int, devices: float) -> float:
    """The level of one look that is as strict as the rule is after so many devices of both variants."""
    comparisons = len(question.others)
    if question.has_test:
        return rule.plan_level(comparisons)
    return planning.as_one_look(devices, comparisons, question.exact, question.planned_for(place))
