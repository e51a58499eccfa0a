"""The one sentence, and what to know beside it."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from abtest.inference import rule, wording
from abtest.inference.answers import Comparison, Exposure, Lift, Verdict
from abtest.inference.pair import Lack, paired
from abtest.inference.question import Question
from abtest.inference.statistics.moments import Stratum, summed


def distrust(question: Question, found: Exposure, exact: bool) -> Verdict | None:
    """Why the figures can't be trusted; None when they can. `exact`: every count of devices is where it must be."""
    if not exact:
        return Verdict("not_trusted", "Don't trust this: devices are not where they must be; run abtest verify")
    if found.differs is None:
        return None
    return Verdict(
        "not_trusted",
        f"Don't trust this: {wording.part(found.part)} of the devices in {question.values[found.differs]} report "
        f"exposure, {wording.part(found.others_part)} of the others; find out why first",
    )


def conclude(
    question: Question,
    strata: Sequence[Stratum],
    comparisons: Sequence[Comparison],
    at_plan: Sequence[Stratum] | None,
) -> Verdict:
    """A difference where one is told, else no difference, else what is missing."""
    devices = _devices(strata)
    more = wording.about(max((question.planned or 0) - devices, 0)) or None if question.running else None
    lacking = {
        place: found for place in question.others if isinstance(found := paired(question, strata, place), Lack)
    }
    told = sorted((each for each in comparisons if each.decided_by), key=lambda each: _order(question, each))
    if told:
        sentence = _difference(question, told, strata, at_plan)
        better = tuple(each.value for each in told if _is_better(question, each))
        worse = tuple(each.value for each in told if not _is_better(question, each))
        beside = _beside(question, [place for place in lacking if question.values[place] not in better + worse])
        return Verdict("difference", sentence + beside, more, better, worse, _notes(question, told, at_plan))
    waited_for = [place for place in question.others if place not in question.dropped] or question.others
    if all(place in lacking for place in waited_for):
        return _not_enough(question, devices, {place: lacking[place] for place in waited_for}, more)
    if question.days < rule.FEWEST_DAYS:
        days = ceil(rule.FEWEST_DAYS - question.days)
        missing = f"{wording.counted(days, 'more day')}" if question.running else "events on fewer than seven days"
        return Verdict("not_enough_data", f"Not enough data: {missing}", more)
    sentence = _no_difference(question, [each for each in comparisons if each.safe])
    return Verdict("no_difference", sentence + _beside(question, lacking), more)


def _order(question: Question, found: Comparison) -> tuple[bool, bool, float]:
    """Gains first, then what is surest to be far from zero."""
    lift = found.deciding
    nearest = lift.nearest if lift else abs(found.loss or 0.0)
    return not _is_better(question, found), found.decided_by == "exact", -nearest


def _is_better(question: Question, found: Comparison) -> bool:
    return question.better(found.deciding.value) if found.deciding else False


def _difference(
    question: Question,
    told: Sequence[Comparison],
    strata: Sequence[Stratum],
    at_plan: Sequence[Stratum] | None,
) -> str:
    baseline, key = question.values[question.baseline], f"{question.key} " if question.key else ""
    parts = []
    for place, each in enumerate(told):
        better, first = _is_better(question, each), place == 0
        stop = _to_stop(question, each)
        if first:
            does = "beats" if better else ("loses decisively to" if stop else "is worse than")
            how = f"{key}{each.value} {does} {baseline}: {wording.measure(question)} "
        else:
            too = " too" if better or not _is_better(question, told[0]) else ""
            how = f"{each.value} {'is better' if better else ('loses decisively' if stop else 'is worse')}{too}: "
        parts.append(how + _size(question, each, strata, at_plan) + ("; stop it" if stop else ""))
    return "; ".join(parts)


def _to_stop(question: Question, found: Comparison) -> bool:
    """Whether to say so: it is a loss, devices still come, and the time for a verdict has not come."""
    early = question.days < rule.FEWEST_DAYS or bool(question.planned and not question.due.made)
    still = question.values.index(found.value) not in question.dropped
    return question.running and still and not _is_better(question, found) and (early or found.decided_by == "exact")


def _size(question: Question, found: Comparison, strata: Sequence[Stratum], at_plan: Sequence[Stratum] | None) -> str:
    if found.deciding is None:
        place = question.values.index(found.value)
        mine, base = (summed(strata, each) for each in (place, question.baseline))
        return (
            f"{'up' if question.less else 'down'} by at least {wording.percent(abs(found.loss or 0.0))} "
            f"({mine.converters:,} of {wording.counted(mine.n, 'device')}, {base.converters:,} of {base.n:,} with "
            f"{question.values[question.baseline]})"
        )
    size = wording.moved(found.deciding, question.kind)
    if found.decided_by == "safe" or at_plan is None:
        return size
    size += f" in the test at {_devices(at_plan):,} devices"
    today = found.safe
    if today is None or wording.moved_by(today, question.kind) == wording.moved_by(found.deciding, question.kind):
        return size
    return f"{size}, today {wording.moved_by(today, question.kind)}"


def _notes(question: Question, told: Sequence[Comparison], at_plan: Sequence[Stratum] | None) -> tuple[str, ...]:
    notes = []
    if any(each.decided_by == "safe" and _is_better(question, each) for each in told) and not question.due.made:
        notes.append(rule.EARLY_WITH_PLAN if question.planned else rule.EARLY_WITHOUT_PLAN)
    for each in told:
        test, today = each.at_plan, each.safe
        if each.decided_by == "safe" and test and today and test.shown and test.value * today.value < 0 and at_plan:
            notes.append(
                f"The test at {_devices(at_plan):,} devices found the opposite for {each.value}: "
                f"{wording.moved(test, question.kind)}."
            )
    return tuple(notes)


def _not_enough(question: Question, devices: int, lacking: Mapping[int, Lack], more: int | None) -> Verdict:
    """Nothing can be compared: what is told is what comes soonest."""
    what = next(
        each for each in ("devices", "event", "phase", "variance") if each in {it.what for it in lacking.values()}
    )
    found = {place: each for place, each in lacking.items() if each.what == what}
    baseline, values = question.values[question.baseline], wording.names([question.values[place] for place in found])
    if what == "devices" and question.running:
        growth = max(each.growth for each in found.values())
        more = wording.about(max(ceil(devices * growth) - devices, more or 0, 1))
        reason = f"about {wording.counted(more, 'more device')}"
    elif what == "devices":
        reason = f"too few devices to compare {values} with {baseline}"
    elif what == "event":
        reason = f"no device has sent the event {question.event}" + (" yet" if question.running else "")
    elif what == "phase":
        reason = f"no phase has devices of both {baseline} and {values}"
    else:
        reason = f"all devices in {baseline} and {values} did the same"
    return Verdict("not_enough_data", f"Not enough data: {reason}", more)


def _beside(question: Question, places: Iterable[int]) -> str:
    """Which variants the sentence is not about."""
    waiting: list[str] = []
    dropped: list[str] = []
    for place in places:
        (dropped if place in question.dropped else waiting).append(question.values[place])
    found = f"; not enough data for {wording.names(waiting)}" if waiting else ""
    if dropped:
        gets = "gets" if len(dropped) == 1 else "get"
        found += f"; {wording.names(dropped)}, which {gets} no more devices, can't be compared"
    return found


def _no_difference(question: Question, comparisons: Sequence[Comparison]) -> str:
    """What no interval excludes. Safe intervals and the test's hold together, each having its part of the level."""
    ends = [_not_excluded(each) for each in comparisons]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    worse, better = (high, -low) if question.less else (-low, high)
    relative = bool(comparisons[0].safe and comparisons[0].safe.relative)
    worse_, better_ = (wording.size(max(end, 0.0), relative, question.kind) for end in (worse, better))
    who = comparisons[0].value if len(comparisons) == 1 else "the others"
    shown = f"{who} may be anything from {worse_} worse to {better_} better than {question.values[question.baseline]}"
    return f"No difference {_state(question)}: {shown}{_waiting(question)}"


def _not_excluded(found: Comparison) -> tuple[float, float]:
    safe, test = found.safe or Lift(True, 0.0, 0.0, 0.0), found.at_plan
    if test is None or test.relative != safe.relative or max(safe.low, test.low) > min(safe.high, test.high):
        return safe.low, safe.high
    return max(safe.low, test.low), min(safe.high, test.high)


def _state(question: Question) -> str:
    if question.over:
        return "was shown"
    if question.due.made:
        return "shown"
    return "shown yet" if question.planned and question.running else "shown so far"


def _waiting(question: Question) -> str:
    """When the test is made, once the devices for it are there."""
    due = question.due
    if question.planned is None or due.reached is None or due.made:
        return ""
    when = "waits for late events, at least until" if due.late else "is made when"
    return f"; the test at {question.planned:,} devices {when} {due.until} (UTC) is over"


def _devices(strata: Sequence[Stratum]) -> int:
    return sum(each.n for stratum in strata for each in stratum)
