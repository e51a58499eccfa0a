"""A verdict in one sentence, and what to know beside it. Pages, the terminal and the JSON say the same."""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from abtest.inference import Difference, Lift, NoDifference, NotEnough, NotTrusted, Question, Told, Verdict
from abtest.language.counts import counted, names
from abtest.language.numbers import POINTS, about, difference, figure, figure_percent, number, unit
from abtest.language.quoting import value_said

EARLY_WITH_PLAN = (
    "Found before the planned test. A difference that is found early usually looks larger than it is: an effect of "
    "the planned size looks about 1.9 times as large on average. The true size is probably nearer the smaller end."
)
EARLY_WITHOUT_PLAN = (
    "Found without a planned number of devices. A difference that ends a test early usually looks larger than it is: "
    "on average 1.7 times as large if half of such tests find it. The true size is probably nearer the smaller end."
)
"""The winner's curse, as docs/statistics.md measures it (case `planned`)."""

Code = Literal["not_enough_data", "no_difference", "difference", "not_trusted"]


class Said(Struct, frozen=True):
    """A verdict as people read it, and its stable name.

    `notes`: what to know beside the sentence, a sentence each. `better`, `worse`: the values that differ from the
    baseline, the most certain first. `more_devices`: about how many are missing, where that can be said.
    """

    code: Code
    sentence: str
    more_devices: int | None = None
    better: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def said(verdict: Verdict) -> Said:
    """The verdict in English."""
    match verdict:
        case NotTrusted():
            return Said("not_trusted", f"Don't trust this: {_distrusted(verdict)}")
        case NotEnough():
            return Said("not_enough_data", f"Not enough data: {_missing(verdict)}", _about(verdict.more_devices))
        case NoDifference():
            return Said(
                "no_difference", _no_difference(verdict), _about(verdict.more_devices), notes=_cap_note(verdict)
            )
        case Difference():
            return Said(
                "difference",
                "; ".join(_told(verdict, place) for place in range(len(verdict.told)))
                + _undecided(verdict)
                + _unknown(verdict),
                _about(verdict.more_devices),
                better=tuple(each.value for each in verdict.told if each.better),
                worse=tuple(each.value for each in verdict.told if not each.better),
                notes=(*_early_note(verdict), *_turned_notes(verdict), *_cap_note(verdict)),
            )


def size_said(found: Lift, kind: str) -> str:
    """+12%, or -1.8 percentage points where there is no percentage of a rate."""
    return f"{difference(found.value, found.relative, kind)} {unit(found.relative, kind)}".rstrip()


def interval_said(found: Lift, kind: str) -> str:
    """+3% to +21%; -18 to +16 percentage points."""
    low, high = (difference(each, found.relative, kind) for each in (found.low, found.high))
    return f"{low} to {high} {unit(found.relative, kind)}".rstrip()


def moved(found: Lift, question: Question) -> str:
    """up by 12% (3% to 21%)."""
    sign = 1 if found.value > 0 else -1
    low, high = sorted((sign * found.low, sign * found.high))
    return f"{moved_by(found, question)} ({_bare(low, found, question)} to {_bare(high, found, question)})"


def moved_by(found: Lift, question: Question) -> str:
    """up by 12%, without its interval."""
    if not found.value:
        return "unchanged"
    return f"{'up' if found.value > 0 else 'down'} by {_size(abs(found.value), found.relative, question)}"


def _bare(value: float, found: Lift, question: Question) -> str:
    """A difference without the unit that stands before it."""
    if found.relative:
        return figure_percent(value)
    return figure(100 * value if question.kind == "conversion" else value)


def _size(value: float, relative: bool, question: Question) -> str:
    """A difference with its unit."""
    if relative:
        return figure_percent(value)
    if question.kind == "conversion":
        return f"{figure(100 * value)} {POINTS}"
    return f"{figure(value)} per device"


def _about(devices: int | None) -> int | None:
    return None if devices is None else about(devices)


def _baseline(question: Question) -> str:
    return value_said(question.values[question.baseline])


def _named(values: Sequence[str]) -> str:
    return names([value_said(value) for value in values])


def _distrusted(verdict: NotTrusted) -> str:
    if verdict.value is None:
        return "the counts of devices are wrong; run abtest verify"
    return (
        f"{figure_percent(verdict.part, 3)} of the devices in {value_said(verdict.value)} report exposure, "
        f"but {figure_percent(verdict.others_part, 3)} of the others; find out why first"
    )


def _missing(verdict: NotEnough) -> str:
    question, baseline = verdict.question, _baseline(verdict.question)
    values = _named(verdict.values) if verdict.values else ""
    match verdict.what:
        case "uncounted":
            missing = "the stats worker has not counted anything yet"
        case "nobody":
            missing = "no device took part"
        case "devices" if question.running:
            missing = f"about {counted(about(verdict.more_devices or 1), 'more device')}"
        case "devices":
            missing = f"too few devices to compare {values} with {baseline}"
        case "event":
            within = f"{_event(question)}{' of its first request' if question.window_days else ''}"
            missing = f"no device has sent the event {within}{' yet' if question.running or question.full else ''}"
        case "phase":
            missing = f"no phase has devices of both {baseline} and {values}"
        case "variance":
            missing = f"all devices in {baseline} and {values} did the same"
        case "days" if question.running or question.full:
            missing = counted(verdict.days, "more day")
        case "days":
            missing = "events on fewer than seven days"
    return missing + (_never_tested(question) if question.full_before_plan else "")


def _no_difference(verdict: NoDifference) -> str:
    question = verdict.question
    worse, better = (_size(each, verdict.relative, question) for each in (verdict.worse, verdict.better))
    who = value_said(verdict.values[0]) if len(verdict.values) == 1 else "the others"
    shown = f"{who} may be anything from {worse} worse to {better} better than {_baseline(question)}"
    return f"No difference {_state(question)}: {shown}{_waiting(question)}{_unknown(verdict)}"


def _state(question: Question) -> str:
    if question.over:
        return "was shown"
    if question.due.made:
        return "shown"
    return "shown yet" if question.planned and question.running else "shown so far"


def _waiting(question: Question) -> str:
    """When the test is made, once the planned devices are there; or that it will never be."""
    due = question.due
    if question.planned is None or due.made:
        return ""
    if not question.has_test:
        return _never_tested(question)
    if due.reached is None:
        return ""
    test, until = f"; the test at {number(question.planned)} devices", f"{due.until} (UTC) is over"
    if due.waits_for == "devices":
        return f"{test} waits until each variant has the devices and events that it needs"
    return f"{test} {'waits for late events, at least until' if due.waits_for else 'is made when'} {until}"


def _never_tested(question: Question) -> str:
    """That the planned number of devices will never be there."""
    test = f"the test at {number(question.planned or 0)} devices"
    if question.over:
        return f"; it ended before {test}, which will not be made"
    return f"; it takes no more than its {counted(question.full or 0, 'device')}, so {test} will not be made"


def _unknown(verdict: NoDifference | Difference) -> str:
    """Which variants the sentence is not about."""
    question = verdict.question
    dropped = [question.values[place] for place in question.dropped]
    waiting = [value for value in verdict.unknown if value not in dropped]
    stopped = [value for value in verdict.unknown if value in dropped]
    found = f"; not enough data for {_named(waiting)}" if waiting else ""
    if stopped:
        gets = "gets" if len(stopped) == 1 else "get"
        found += f"; {_named(stopped)}, which {gets} no more devices, can't be compared"
    return found


def _undecided(verdict: Difference) -> str:
    return f"; no difference shown for {_named(verdict.undecided)}" if verdict.undecided else ""


def _told(verdict: Difference, place: int) -> str:
    question, told = verdict.question, verdict.told[place]
    if place == 0:
        does = _does(told)
        key = f"{question.key} " if question.key else ""
        how = f"{key}{value_said(told.value)} {does} {_baseline(question)}: {_measure(question)} "
    else:
        too = " too" if told.better or not verdict.told[0].better else ""
        how = f"{value_said(told.value)} {_is(told)}{too}: "
    return how + _extent(verdict, told) + ("; stop it" if told.stop else "")


def _does(told: Told) -> str:
    if told.turned:
        return "beat" if told.better else "was worse than"
    if told.stop:
        return "loses decisively to"
    return "beats" if told.better else "is worse than"


def _is(told: Told) -> str:
    if told.stop and not told.turned:
        return "loses decisively"
    return f"{'was' if told.turned else 'is'} {'better' if told.better else 'worse'}"


def _measure(question: Question) -> str:
    """conversion of purchase."""
    if question.kind == "conversion":
        return f"conversion of {_event(question)}"
    return f"amount of {_event(question)} per device"


def _event(question: Question) -> str:
    """purchase, with its window."""
    if question.window_days is None:
        return question.event
    return f"{question.event} within {counted(question.window_days, 'day')}"


def _extent(verdict: Difference, told: Told) -> str:
    question = verdict.question
    if told.lift is None:
        return _loss(question, told)
    size = moved(told.lift, question)
    if told.decided_by == "safe" or told.tested_devices is None:
        return size
    size += f" in the test at {number(told.tested_devices)} devices"
    if told.today is None or moved_by(told.today, question) == moved_by(told.lift, question):
        return size
    return f"{size}, {'but ' if told.turned else ''}today {moved_by(told.today, question)}"


def _loss(question: Question, told: Told) -> str:
    direction = "up" if question.less else "down"
    size = f"{direction} by at least {figure_percent(abs(told.loss or 0.0))}"
    if told.split is None:
        return size
    split = told.split
    return (
        f"{size} ({number(split.converters)} of {counted(split.devices, 'device')}, "
        f"{number(split.baseline_converters)} of {number(split.baseline_devices)} with {_baseline(question)})"
    )


def _early_note(verdict: Difference) -> Sequence[str]:
    if not verdict.early:
        return ()
    return (EARLY_WITH_PLAN if verdict.question.planned else EARLY_WITHOUT_PLAN,)


def _turned_notes(verdict: Difference) -> Iterator[str]:
    for each in verdict.told:
        if each.turned:
            yield f"{value_said(each.value)} has turned since its test. Find out what changed before you decide."
        if each.tested is not None:
            yield (
                f"The test at {number(each.tested_devices or 0)} devices found the opposite for "
                f"{value_said(each.value)}: {moved(each.tested, verdict.question)}."
            )


def _cap_note(verdict: NoDifference | Difference) -> tuple[str, ...]:
    if verdict.cap is None:
        return ()
    devices = counted(verdict.capped_devices, "device")
    return (f"A device counts up to {figure(verdict.cap)}: {devices} brought in more.",)
