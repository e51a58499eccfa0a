"""Results as plain values. Reading them needs the standard library alone."""

from typing import Literal

from msgspec import Struct

from abtest.inference.question import Question

Missing = Literal["uncounted", "nobody", "devices", "event", "phase", "variance", "days"]
Decision = Literal["safe", "at_plan", "exact"]


class Lift(Struct, frozen=True):
    """A difference of means and its interval: relative to the baseline's mean, or absolute where that is not known
    well enough to divide by."""

    relative: bool
    value: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out zero."""
        return not self.low <= 0 <= self.high

    @property
    def nearest(self) -> float:
        """The size of the smallest difference that the interval holds."""
        return min(abs(self.low), abs(self.high)) if self.shown else 0.0


class Comparison(Struct, frozen=True):
    """A variant against the baseline. Everything is None while there is not enough data to compare it.

    `lift`: at 95%, with Welch's quantile. `safe`: the interval that may be read at any time, and `at_plan` the
    one of the test at the planned number of devices, both at the levels that decide. `loss`: the exact test's, at
    least so much to the worse, as a part of the baseline's rate. `decided_by`: which of them shows a difference that
    is told. `difference_low`, `difference_high`: of the means; Newcombe's for a conversion. `p`: Welch's;
    `adjusted_p`: Holm's over the variants. `lift`, the difference, both p, `chance_to_beat` and `expected_loss` are
    not safe for peeking. Of an amount with a cap, all of it is about totals up to the cap.
    """

    value: str
    lift: Lift | None = None
    safe: Lift | None = None
    at_plan: Lift | None = None
    loss: float | None = None
    decided_by: Decision | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None
    adjusted_p: float | None = None
    chance_to_beat: float | None = None
    expected_loss: float | None = None

    @property
    def deciding(self) -> Lift | None:
        """The interval that showed the difference; None where the exact test did, or where there is no difference."""
        return {"safe": self.safe, "at_plan": self.at_plan}.get(self.decided_by or "")

    @property
    def drawn(self) -> Lift | None:
        """The interval to draw: the one that decided, or the safe one."""
        return self.deciding or self.safe


class Split(Struct, frozen=True):
    """Devices with an event, of how many: of the variant and of the baseline."""

    converters: int
    devices: int
    baseline_converters: int
    baseline_devices: int


class Told(Struct, frozen=True):
    """A variant that is told to differ from the baseline; `better` or worse.

    `stop`: whether to stop it before its time has come. `lift`: the interval that decided; None where the exact test
    did: then the loss is at least `loss`, as a part of the baseline's rate, and `split` is what it saw, with a
    single phase. `today`: the safe interval now, where the test at the planned number decided. `tested`: what that
    test found, where what is told is the opposite. `tested_devices`: with how many devices in all variants the test
    was made.
    """

    value: str
    better: bool
    stop: bool
    decided_by: Decision
    lift: Lift | None = None
    today: Lift | None = None
    tested: Lift | None = None
    tested_devices: int | None = None
    loss: float | None = None
    split: Split | None = None

    @property
    def turned(self) -> bool:
        """Whether today's figures point the other way than the test that decided."""
        return bool(self.lift and self.today and self.lift.value * self.today.value < 0)


class NotTrusted(Struct, frozen=True, tag_field="code", tag="not_trusted"):
    """The figures can't be trusted: of `value`, another part of the devices is exposed than of the others.

    Where `value` is None, devices are not where they must be.
    """

    question: Question
    value: str | None = None
    part: float = 0.0
    others_part: float = 0.0


class NotEnough(Struct, frozen=True, tag_field="code", tag="not_enough_data"):
    """What is missing, for these `values`.

    `uncounted`: the worker has not counted anything. `nobody`: no device took part. `devices`: with about
    `more_devices` there will be enough. `event`: no device sent it. `phase`: none has devices of both. `variance`:
    all devices did the same. `days`: so many are missing to a week.
    """

    question: Question
    what: Missing
    values: tuple[str, ...] = ()
    days: int = 0
    more_devices: int | None = None


class NoDifference(Struct, frozen=True, tag_field="code", tag="no_difference"):
    """These `values` may be anything from `worse` to `better` than the baseline; relative to it, or absolute.

    `unknown`: the values that can't be compared. `more_devices`: how many are missing to the planned number. `cap`:
    what a device counts as at most, and `capped_devices` how many brought in more.
    """

    question: Question
    values: tuple[str, ...]
    relative: bool
    worse: float
    better: float
    unknown: tuple[str, ...] = ()
    more_devices: int | None = None
    cap: float | None = None
    capped_devices: int = 0


class Difference(Struct, frozen=True, tag_field="code", tag="difference"):
    """What is `told`, the surest first.

    `undecided`: the other values that can be compared. `early`: whether the sequence told something before the test.
    The others as in NoDifference.
    """

    question: Question
    told: tuple[Told, ...]
    undecided: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    early: bool = False
    more_devices: int | None = None
    cap: float | None = None
    capped_devices: int = 0


Verdict = NotTrusted | NotEnough | NoDifference | Difference


class Exposure(Struct, frozen=True):
    """Per variant the devices that never reported that they showed their value.

    `differs`: the variant in which clearly more or fewer devices are exposed than in the others; None if there is
    none. `part`, `others_part`: the exposed part of its devices, and of all other devices. `alike`: whether the
    figures rule out a difference that matters in every variant.
    """

    missing: tuple[int, ...]
    differs: int | None = None
    part: float = 0.0
    others_part: float = 0.0
    alike: bool = False


class VariantResult(Struct, frozen=True):
    """A variant: devices assigned and exposed, those with an event, and the mean per device with its interval.

    The mean is a rate for a conversion. Its interval, at 95%, is Wilson's for a conversion and Student's for an
    amount. With several phases, only those count in which all variants can be compared; each has the same weight in
    all variants.
    `capped_mean`: the same mean of totals up to the metric's cap; None without a cap.
    """

    value: str
    devices: int
    exposed: int
    converters: int
    mean: float | None
    low: float | None
    high: float | None
    capped_mean: float | None = None


class Results(Struct, frozen=True):
    """All of it. `omnibus_p`: whether the variants differ at all, not safe for peeking. `cap`: what a device counts
    as at most, and `capped_devices` how many have more; None where totals count in full."""

    verdict: Verdict
    baseline: str
    variants: tuple[VariantResult, ...]
    comparisons: tuple[Comparison, ...]
    omnibus_p: float | None
    exposure: Exposure
    cap: float | None = None
    capped_devices: int = 0
