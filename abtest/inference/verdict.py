"""What is concluded about a metric: a code and its figures, which `abtest.language` puts into a sentence."""

from collections.abc import Mapping, Sequence
from math import ceil

from abtest.inference import rule
from abtest.inference.answers import (
    Comparison,
    Difference,
    Exposure,
    Lift,
    NoDifference,
    NotEnough,
    NotTrusted,
    Split,
    Told,
    Verdict,
)
from abtest.inference.comparison import AtPlan
from abtest.inference.pair import Lack, Pair
from abtest.inference.question import Question
from abtest.inference.statistics.moments import Stratum, summed

SOONEST_FIRST = ("devices", "event", "phase", "variance")
"""What may be missing, in the order in which it usually arrives: the verdict names the first."""


def distrust(question: Question, found: Exposure, exact: bool) -> NotTrusted | None:
    """Why the figures can't be trusted; None when they can. `exact`: every count of devices is where it must be."""
    if not exact:
        return NotTrusted(question)
    if found.differs is None:
        return None
    return NotTrusted(question, question.values[found.differs], found.part, found.others_part)


def conclude(
    question: Question,
    strata: Sequence[Stratum],
    known: Mapping[int, Pair | Lack],
    comparisons: Sequence[Comparison],
    at_plan: AtPlan,
) -> Verdict:
    """A difference if one is shown; otherwise what is missing, or that no difference is shown. `known`: the pairs of
    `strata`."""
    devices = _devices(strata)
    more = max((question.planned or 0) - devices, 0) or None if question.running else None
    lacking = {place: found for place, found in known.items() if isinstance(found, Lack)}
    compared = sorted((each for each in comparisons if each.decided_by), key=lambda each: _order(question, each))
    if compared:
        told = tuple(_told(question, each, strata, at_plan) for each in compared)
        values = {each.value for each in told}
        return Difference(
            question,
            told=told,
            undecided=tuple(each.value for each in comparisons if each.safe and not each.decided_by),
            unknown=tuple(question.values[place] for place in lacking if question.values[place] not in values),
            early=any(each.decided_by == "safe" and each.tested_devices is None for each in told),
            more_devices=more,
        )
    waited_for = [place for place in question.others if place not in question.dropped] or question.others
    if all(place in lacking for place in waited_for):
        return _not_enough(question, devices, {place: lacking[place] for place in waited_for}, more)
    if question.days < rule.FEWEST_DAYS:
        return NotEnough(question, "days", days=ceil(rule.FEWEST_DAYS - question.days), more_devices=more)
    return _no_difference(question, [each for each in comparisons if each.safe], tuple(lacking), more)


def _order(question: Question, found: Comparison) -> tuple[bool, bool, float]:
    """Gains first; then the interval that is farthest from zero."""
    lift = found.deciding
    nearest = lift.nearest if lift else abs(found.loss or 0.0)
    return not _is_better(question, found), found.decided_by == "exact", -nearest


def _is_better(question: Question, found: Comparison) -> bool:
    return question.better(found.deciding.value) if found.deciding else False


def _told(question: Question, found: Comparison, strata: Sequence[Stratum], at_plan: AtPlan) -> Told:
    split, place = None, question.values.index(found.value)
    phases = sum(any(each.n for each in stratum) for stratum in strata)
    if found.deciding is None and phases == 1:  # sums over phases may say the opposite of each phase
        mine, base = (summed(strata, each) for each in (place, question.baseline))
        split = Split(mine.converters, mine.n, base.converters, base.n)
    return Told(
        value=found.value,
        better=_is_better(question, found),
        stop=_to_stop(question, found, place in at_plan),
        decided_by=found.decided_by or "safe",
        lift=found.deciding,
        today=found.safe if found.decided_by == "at_plan" else None,
        tested=found.at_plan if _is_opposite(found) else None,
        tested_devices=_devices(at_plan[place]) if place in at_plan else None,
        loss=found.loss,
        split=split,
    )


def _is_opposite(found: Comparison) -> bool:
    """Whether the sequence shows one direction after the test had shown the other."""
    test, today = found.at_plan, found.safe
    return bool(found.decided_by == "safe" and test and today and test.shown and test.value * today.value < 0)


def _to_stop(question: Question, found: Comparison, tested: bool) -> bool:
    """Whether to say "stop it": a loss is certain before the verdict is due, and devices still come."""
    early = question.days < rule.FEWEST_DAYS or (question.planned is not None and not tested)
    still = question.values.index(found.value) not in question.dropped
    return question.running and still and not _is_better(question, found) and (early or found.decided_by == "exact")


def _not_enough(question: Question, devices: int, lacking: dict[int, Lack], more: int | None) -> NotEnough:
    """Nothing can be compared. The verdict names what will arrive first."""
    if not devices and not question.running:
        return NotEnough(question, "nobody")
    what = min((each.what for each in lacking.values()), key=SOONEST_FIRST.index)
    found = {place: each for place, each in lacking.items() if each.what == what}
    if what == "devices" and question.running:
        growth = max(each.growth for each in found.values())
        more = max(ceil(devices * growth) - devices, more or 0, 1)
    return NotEnough(question, what, tuple(question.values[place] for place in found), more_devices=more)


def _no_difference(
    question: Question, comparisons: Sequence[Comparison], lacking: Sequence[int], more: int | None
) -> NoDifference:
    """The differences that no interval excludes. The safe intervals and the test's are valid together, since each has
    its part of the level."""
    ends = [_not_excluded(each.safe, each.at_plan) for each in comparisons if each.safe]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    worse, better = (high, -low) if question.less else (-low, high)
    return NoDifference(
        question,
        values=tuple(each.value for each in comparisons),
        relative=bool(comparisons[0].safe and comparisons[0].safe.relative),
        worse=max(worse, 0.0),
        better=max(better, 0.0),
        unknown=tuple(question.values[place] for place in lacking),
        more_devices=more,
    )


def _not_excluded(safe: Lift, test: Lift | None) -> tuple[float, float]:
    if test is None or test.relative != safe.relative:
        return safe.low, safe.high
    return max(safe.low, test.low), min(safe.high, test.high)


def _devices(strata: Sequence[Stratum]) -> int:
    return sum(each.n for stratum in strata for each in stratum)
