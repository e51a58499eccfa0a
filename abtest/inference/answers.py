"""What is known, as plain values: nothing here needs more than the standard library to be read."""

from typing import Literal

from msgspec import Struct

Code = Literal["not_enough_data", "no_difference", "difference", "not_trusted"]


class Lift(Struct, frozen=True):
    """A difference of means and its interval: relative to the baseline's mean, or absolute where that is not surely
    above zero."""

    relative: bool
    value: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out zero."""
        return not self.low <= 0 <= self.high

    @property
    def farthest(self) -> float:
        """The largest difference, up or down, that the interval does not exclude."""
        return max(abs(self.low), abs(self.high))


class Comparison(Struct, frozen=True):
    """A variant against the baseline. Everything is None while there is not enough data.

    `lift`: at 95 %, with Welch's quantile. `safe`: the interval that may be looked at at any time, and `at_plan` the
    one of the test at the planned number of devices, both at the levels that decide. `difference_low`,
    `difference_high`: of the means; Newcombe's for a conversion. `p`: Welch's; `adjusted_p`: Holm's over the
    variants. `lift`, the difference, both p, `chance_to_beat` and `expected_loss` are not safe for peeking.
    """

    value: str
    lift: Lift | None = None
    safe: Lift | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None
    adjusted_p: float | None = None
    chance_to_beat: float | None = None
    expected_loss: float | None = None
    at_plan: Lift | None = None

    @property
    def shown(self) -> Lift | None:
        """The interval that shows a difference; None when none does."""
        return next((each for each in (self.safe, self.at_plan) if each and each.shown), None)


class Verdict(Struct, frozen=True):
    """One sentence, and its stable name. `more_devices`: about how many are missing, where that can be said."""

    code: Code
    sentence: str
    more_devices: int | None = None


class Exposure(Struct, frozen=True):
    """Per variant the devices that never reported exposure; `p` of one ratio in all variants, None without reports.

    `worst`: the variant with the most of them, when the ratios differ more than chance explains. `worst_part` and
    `others_part`: what part of its devices is missing, and of all the others.
    """

    missing: tuple[int, ...]
    p: float | None
    worst: int | None = None
    worst_part: float = 0.0
    others_part: float = 0.0


class VariantResult(Struct, frozen=True):
    """A variant: devices assigned and exposed, those with an event, and the mean per device with its interval.

    The mean is a rate for a conversion; the interval is Wilson's there and Student's for an amount, at 95 %. Over
    several phases it is that of the phases in which all variants can be compared, combined as they are there.
    """

    value: str
    devices: int
    exposed: int
    converters: int
    mean: float | None
    low: float | None
    high: float | None


class Results(Struct, frozen=True):
    """All of it. `omnibus_p`: whether the variants differ at all, not safe for peeking."""

    verdict: Verdict
    baseline: str
    variants: tuple[VariantResult, ...]
    comparisons: tuple[Comparison, ...]
    omnibus_p: float | None
    exposure: Exposure
