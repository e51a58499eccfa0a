"""Who takes part, in words."""

from collections.abc import Sequence
from decimal import Decimal

from abtest.domain import FULL_COVERAGE, Audience, Condition, Experiment, Operator
from abtest.language.counts import counted
from abtest.language.numbers import number
from abtest.language.times import exact_day

WORDS = {
    Operator.IS: "is",
    Operator.IS_NOT: "is not",
    Operator.BELOW: "below",
    Operator.AT_MOST: "at most",
    Operator.ABOVE: "above",
    Operator.AT_LEAST: "at least",
}
MISSED = {
    Operator.IS: "is not",
    Operator.BELOW: "is not below",
    Operator.AT_MOST: "is above",
    Operator.ABOVE: "is not above",
    Operator.AT_LEAST: "is below",
}


def audience_said(audience: Audience) -> str:
    """platform is ios or android, app_version at least 3.10."""
    return ", ".join(map(condition_said, audience))


def condition_said(condition: Condition) -> str:
    """app_version at least 3.10."""
    return f"{condition.attribute} {WORDS[condition.operator]} {_one_of(condition.values)}"


def coverage_said(coverage: Decimal) -> str:
    """20%, exactly."""
    return f"{(100 * coverage).normalize():f}%"


def who_takes_part(experiment: Experiment) -> str:
    """60% from the group screen; platform is ios; coverage 50%. Empty if every new device takes part."""
    said = [
        f"{coverage_said(experiment.group_share)} from the group {experiment.group}"
        if experiment.group_share
        else "",
        audience_said(experiment.audience),
        f"coverage {coverage_said(experiment.phase.coverage)}" if experiment.phase.coverage < FULL_COVERAGE else "",
    ]
    return "; ".join(filter(None, said))


def group_said(experiment: Experiment) -> str:
    """checkout, which gives it 30% of new devices; empty for an experiment in no group."""
    if experiment.group is None or experiment.group_share is None:
        return ""
    return f"{experiment.group}, which gives it {coverage_said(experiment.group_share)} of new devices"


def left_out(condition: Condition, text: str | None) -> str:
    """app_version 3.9.1 is below 3.10: why a device with this attribute does not fulfil the condition."""
    name, values = condition.attribute, _one_of(condition.values)
    if text is None:
        return f"{name} is missing"
    if not condition.is_comparable(text):
        return f"{name} {text} can't be compared with {values}"
    if condition.operator is Operator.IS_NOT:
        return f"{name} is {text}"
    return f"{name} {text} {MISSED[condition.operator]} {values}"


def _one_of(values: Sequence[str]) -> str:
    """ios, android or web."""
    *most, last = values
    return f"{', '.join(most)} or {last}" if most else last


def test_device_said(note: str, made_by: str, made_at: str) -> str:
    """a test device (colour check, made by anna on 12 Nov 2026): gets the values chosen by hand; never counted."""
    made = f"made by {made_by} on {exact_day(made_at)}"
    return f"a test device ({f'{note}, ' if note else ''}{made}): gets the values chosen by hand; never counted"


def elsewhere_said(experiment: Experiment, held: bool, grouped: bool) -> str:
    """What kept devices of its audience out of an experiment while it was running.

    `held`: whether there was a holdout. `grouped`: whether it was ever in a group.
    """
    filled = experiment.full or any(phase.stop_at is not None for phase in experiment.phases[:-1])
    reasons = (
        (held, "held by a holdout"),
        (grouped, "given to no experiment or another one of its group"),
        (filled, "first seen when it was full"),
    )
    return ", or ".join(said for holds, said in reasons if holds)


def tested_said(test_devices: int, devices: int) -> str:
    """How many test devices have a value of an experiment, how many of them are devices, and what that changes."""
    have = "has a value for it; it is" if test_devices == 1 else "have a value for it; they are"
    said = f"{counted(test_devices, 'test device')} {have} not counted."
    if not devices:
        return said
    if devices == 1:
        of_them = "It" if test_devices == 1 else "1 of them"
        return (
            f"{said} {of_them} was a device before: it keeps its place in the counts, but new events are not counted."
        )
    return (
        f"{said} {number(devices)} of them were devices before: they keep their places in the counts, "
        "but new events are not counted."
    )
