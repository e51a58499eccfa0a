"""Results as plain values. Reading them needs only the standard library."""

from typing import Literal

from msgspec import Struct

from abtest.inference.question import Question

Missing = Literal["uncounted", "nobody", "devices", "event", "phase", "variance", "days"]
Decision = Literal["safe", "at_plan", "exact"]


class Lift(Struct, frozen=True):
    """A difference of means and its interval: relative to the baseline's mean, or absolute if that mean is not known
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
        """The size of the smallest difference in the interval."""
        return min(abs(self.low), abs(self.high)) if self.shown else 0.0


class Comparison(Struct, frozen=True):
    """A variant compared with the baseline. Without enough data, only `at_plan`, `loss` and `decided_by` may be
    known.

    `lift`: at 95%, with Welch's quantile. `safe`: the lift with the interval that may be read at any time; `at_plan`:
    with the interval of the test at the planned number of devices; both at the levels that decide. `loss`: what the
    exact test shows: the rate is worse by at least this part of the baseline's rate. `decided_by`: which of these
    three shows the difference that the verdict reports. `difference`: of the means, with Newcombe's interval for a
    conversion. `p`: Welch's; `adjusted_p`: Holm's over the variants. `lift`, the difference, both p, `chance_to_beat`
    and `expected_loss` are not safe for peeking. If an amount has a cap, all of this is about totals up to the cap.
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
    """Devices with an event, and all devices, of the variant and of the baseline."""

    converters: int
    devices: int
    baseline_converters: int
    baseline_devices: int


class Told(Struct, frozen=True):
    """A variant that the verdict says differs from the baseline: it is `better` or worse.

    `stop`: whether to say "stop it", before the verdict is due. `lift`: the interval that decided; None if the exact
    test did: then the loss is at least `loss`, as a part of the baseline's rate, and `split` is what that test saw,
    if there is a single phase. `today`: today's safe interval, if the test at the planned number decided. `tested`:
    what that test found, if the verdict says the opposite. `tested_devices`: how many devices all variants had in
    that test.
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
    """The figures can't be trusted: `part` of the devices in `value` is exposed, but `others_part` of all others.

    If `value` is None, counts of devices are not what they must be.
    """

    question: Question
    value: str | None = None
    part: float = 0.0
    others_part: float = 0.0


class NotEnough(Struct, frozen=True, tag_field="code", tag="not_enough_data"):
    """What is missing to judge these `values`.

    `uncounted`: the worker has not counted anything. `nobody`: no device took part. `devices`: about `more_devices`
    are missing. `event`: no device sent the event. `phase`: no phase has devices of both variants. `variance`: all
    devices did the same. `days`: so many `days` are missing to make a week.
    """

    question: Question
    what: Missing
    values: tuple[str, ...] = ()
    days: int = 0
    more_devices: int | None = None


class NoDifference(Struct, frozen=True, tag_field="code", tag="no_difference"):
    """These `values` may be anything from `worse` worse to `better` better than the baseline, relative or absolute.

    `unknown`: the values that can't be compared. `more_devices`: how many are missing to reach the planned number.
    `cap`: the most that a device's total counts; `capped_devices`: how many devices brought in more.
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
    """The variants that differ, the surest first.

    `undecided`: the other values that can be compared. `early`: whether the sequence showed a difference before the
    test. The other fields are as in NoDifference.
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
    """How many devices of each variant never reported that they showed their value.

    `differs`: the variant in which clearly more or fewer devices are exposed than in the others; None if there is
    none. `part`, `others_part`: the exposed part of its devices, and of all other devices. `alike`: whether the
    figures rule out, for every variant, a difference that matters.
    """

    missing: tuple[int, ...]
    differs: int | None = None
    part: float = 0.0
    others_part: float = 0.0
    alike: bool = False


class VariantResult(Struct, frozen=True):
    """A variant: devices assigned and exposed, those with an event, and the mean per device with its interval.

    The mean is a rate for a conversion. Its interval, at 95%, is Wilson's for a conversion and Student's for an
    amount. With several phases, it uses only those in which all variants can be compared; each phase has the same
    weight in all variants. `capped_mean`: the same mean of totals up to the metric's cap; None without a cap.
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
    """All results of a metric. `omnibus_p`: the p-value of all variants being alike, not safe for peeking. `cap`: the
    most that a device's total counts, None if totals count in full; `capped_devices`: how many devices have more."""

    verdict: Verdict
    baseline: str
    variants: tuple[VariantResult, ...]
    comparisons: tuple[Comparison, ...]
    omnibus_p: float | None
    exposure: Exposure
    cap: float | None = None
    capped_devices: int = 0
