"""The one sentence, and the rule behind it."""

from collections.abc import Sequence
from math import ceil

from abtest.inference import rule, wording
from abtest.inference.answers import Comparison, Exposure, Lift, Verdict
from abtest.inference.moments import Stratum
from abtest.inference.pair import lack
from abtest.inference.question import Question


def distrust(question: Question, found: Exposure, exact: bool) -> Verdict | None:
    """Why the figures can't be trusted; None when they can. `exact`: every count of devices is where it must be."""
    if not exact:
        return Verdict("not_trusted", "Don't trust this: devices are not where they must be; run abtest verify")
    if found.worst is None:
        return None
    beside = f", {wording.percent(found.others_part)} of the others" if found.others_part >= 0.01 else ""
    return Verdict(
        "not_trusted",
        f"Don't trust this yet: {wording.percent(found.worst_part)} of the devices in "
        f"{question.values[found.worst]} never report exposure{beside}",
    )


def not_enough(question: Question, strata: Sequence[Stratum]) -> Verdict | None:
    """Why nothing can be said yet; None when something can."""
    devices = sum(each.n for stratum in strata for each in stratum)
    unplanned = max((question.planned or 0) - devices, 0)
    waited_for = [place for place in question.others if place not in question.dropped] or question.others
    lacks = [found for place in waited_for if (found := lack(question, strata, place))]
    days = ceil(rule.FEWEST_DAYS - question.days)
    if reason := next((each.reason for each in lacks if each.reason), None):
        return Verdict("not_enough_data", f"Not enough data: {reason}", wording.about(unplanned) or None)
    if lacks:
        needed = ceil(devices * max(each.growth for each in lacks)) - devices
        more = wording.about(max(needed, unplanned, 1))
        return Verdict("not_enough_data", f"Not enough data: about {more:,} more device{_s(more)}", more)
    if days > 0:
        sentence = f"Not enough data: {days} more day{_s(days)}"
        return Verdict("not_enough_data", sentence, wording.about(unplanned) or None)
    return None


def decide(question: Question, comparisons: Sequence[Comparison], devices: int) -> Verdict:
    """A difference is shown when a safe interval leaves out zero, or when the one of the test at the planned number
    of devices does. The interval that is told is the one that showed it."""
    shown = [(each.value, each.shown) for each in comparisons if each.shown]
    if not shown:
        return _undecided(question, comparisons, devices)
    shown.sort(key=lambda each: -abs(each[1].value))
    above = [each for each in shown if each[1].value > 0]
    below = [each for each in shown if each[1].value <= 0]
    (value, size), *rest = above or below
    does = "beats" if above else "loses to"
    sentence = f"{value} {does} {question.values[question.baseline]} by {wording.lift(size, question.kind)}"
    also = [f"{'so does' if len(rest) == 1 else 'so do'} {_names(rest)}"] if rest else []
    also += [f"{_names(below)} {'loses' if len(below) == 1 else 'lose'}"] if above and below else []
    return Verdict("difference", "; ".join([sentence, *also]))


def _undecided(question: Question, comparisons: Sequence[Comparison], devices: int) -> Verdict:
    """What no interval excludes. Safe intervals and the test's hold together, each having its part of the level."""
    safe = [(each.safe, each.at_plan) for each in comparisons if each.safe]
    limits = [
        min(first.farthest, test.farthest) if test and test.relative == first.relative else first.farthest
        for first, test in safe
    ]
    limit = wording.size(max(limits), safe[0][0].relative, question.kind)
    more = max((question.planned or 0) - devices, 0)
    sentence = f"No difference shown{' yet' if more else ''}; smaller than ±{limit} is not excluded"
    return Verdict("no_difference", sentence, wording.about(more) or None)


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def _names(found: Sequence[tuple[str, Lift]]) -> str:
    return " and ".join(value for value, _ in found)
