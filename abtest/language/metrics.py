"""What an experiment is judged by, and how much of it can be trusted, in words."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from abtest.inference import Exposure
from abtest.language.counts import counted
from abtest.language.numbers import figure_percent, number
from abtest.language.quoting import value_said


class AnyMetric(Protocol):
    """A metric, or its results."""

    @property
    def kind(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def window_days(self) -> int | None: ...
    @property
    def less(self) -> bool: ...


def metric_name(metric: AnyMetric) -> str:
    """Conversion of refund within 14 days, less is better."""
    window = "" if metric.window_days is None else f" within {counted(metric.window_days, 'day')}"
    return f"{metric.kind.capitalize()} of {metric.event}{window}{', less is better' if metric.less else ''}"


class Remark(Struct, frozen=True):
    """A sentence, and whether it is good news; None where it is neither."""

    sentence: str
    good: bool | None = None


def exposure_told(found: Exposure, devices: int, values: Sequence[str]) -> Remark:
    """What is known of the exposure of these devices."""
    missing = sum(found.missing)
    if missing == devices:
        return Remark("No device reported exposure, so it is unknown whether devices really showed their variants.")
    if not missing:
        return Remark("Every device reported exposure.", good=True)
    if found.differs is not None:
        return Remark(
            f"{value_said(values[found.differs])} differs from the other variants: "
            f"{figure_percent(found.part, 3)} of its devices reported exposure, "
            f"but {figure_percent(found.others_part, 3)} of the others.",
            good=False,
        )
    never = f"{number(missing)} of {counted(devices, 'device')} never reported exposure"
    if found.alike:
        return Remark(f"{never}; their share is alike in all variants.", good=True)
    return Remark(f"{never}; no difference between the variants so far.")
