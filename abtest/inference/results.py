"""From sufficient statistics to what is known: estimates, comparisons and a verdict that can't be misread."""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Literal

from msgspec import Struct

from abtest.inference import sequence, testing
from abtest.inference.health import Exposure, exposure
from abtest.inference.lift import Lift, chance_to_beat, expected_loss, lift, scaled
from abtest.inference.moments import UNITS, Estimate, Stratum, comparable, estimate, summed

LEVEL = 0.05
BEFORE_PLAN, AT_PLAN = 0.01, 0.04
"""How the level is spent: on the sequence before the planned number of devices, and on one test at it."""
FEWEST_CONVERTERS = 25
FEWEST_DAYS = 7

Code = Literal["not_enough_data", "no_difference", "difference", "not_trusted"]


class Question(Struct, frozen=True):
    """What is asked: the kind of metric, the values, which of them is the baseline, since how many days.

    `planned`: devices in all variants that the experiment was planned for, if it was.
    """

    kind: Literal["conversion", "amount"]
    values: tuple[str, ...]
    baseline: int = 0
    days: float = 0.0
    planned: int | None = None

    @property
    def scale(self) -> int:
        """Units per 1."""
        return UNITS if self.kind == "amount" else 1


class VariantResult(Struct, frozen=True):
    """A variant: devices assigned and exposed, those with an event, and the mean per device with its interval.

    The mean is a rate for a conversion; the interval is Wilson's there and Student's for an amount, at 95 %.
    """

    value: str
    devices: int
    exposed: int
    converters: int
    mean: float | None
    low: float | None
    high: float | None


class Comparison(Struct, frozen=True):
    """A variant against the baseline. Everything is None while there is not enough data.

    `lift`: at 95 %, Welch with the delta method. `safe`: the interval that may be looked at at any time, at the level
    that decides. `difference_low`, `difference_high`: of the means; Newcombe's for a conversion. `p`: Welch's;
    `adjusted_p`: Holm's over the variants. `chance_to_beat` and `expected_loss` are not safe for peeking.
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


class Verdict(Struct, frozen=True):
    """One sentence, and its stable name. `more_devices`: about how many are missing, where that can be said."""

    code: Code
    sentence: str
    more_devices: int | None = None


class Results(Struct, frozen=True):
    """All of it. `omnibus_p`: whether the variants differ at all."""

    verdict: Verdict
    baseline: str
    variants: tuple[VariantResult, ...]
    comparisons: tuple[Comparison, ...]
    omnibus_p: float | None
    exposure: Exposure


def judge(
    question: Question, strata: Sequence[Stratum], at_plan: Sequence[Stratum] | None = None, exact: bool = True
) -> Results:
    """What the figures say. `at_plan`: the figures when the planned number of devices was first reached, which alone
    the fixed test looks at. `exact`: whether every count of devices is where it must be."""
    found = exposure(strata)
    variants = tuple(_variant(question, strata, place) for place in range(len(question.values)))
    comparisons = tuple(
        Comparison(value) for place, value in enumerate(question.values) if place != question.baseline
    )
    omnibus_p = None
    missing = _missing(question, strata)
    if missing is None:
        comparisons = _comparisons(question, strata)
        omnibus_p = _omnibus(question, strata)
    verdict = _distrusted(question, strata, found, exact) or missing or _decided(question, comparisons, at_plan)
    return Results(verdict, question.values[question.baseline], variants, comparisons, omnibus_p, found)


def looks(question: Question, days: Sequence[Sequence[Stratum]]) -> list[list[Lift | None]]:
    """The safe interval of every comparison after each day, from the strata as they were at its end.

    Each is that of its own day: the intersection over the days would be narrower, but an asymptotic sequence that
    wanders may leave it empty.
    """
    others = [place for place in range(len(question.values)) if place != question.baseline]
    return [[_safe(question, strata, place) for place in others] for strata in days]


def _variant(question: Question, strata: Sequence[Stratum], place: int) -> VariantResult:
    sums = summed(strata, place)
    found = estimate(comparable(strata, [place]), place, [place], question.scale)
    mean = low = high = None
    if found is not None:
        mean = found.mean
        low, high = _score(found) if question.kind == "conversion" else testing.mean_interval(found, LEVEL)
    return VariantResult(question.values[place], sums.n, sums.exposed, sums.converters, mean, low, high)


def _score(found: Estimate) -> testing.Interval:
    """Wilson's interval; over several phases with the number of devices that would give the same variance (X. Yan and
    X. G. Su, Statistics in Biopharmaceutical Research 2, 2010)."""
    rate = min(max(found.mean, 0.0), 1.0)
    if not found.variance:
        return testing.wilson(rate, found.n, LEVEL)
    # The estimate's variance is the unbiased one, of n - 1: one phase gives exactly its n back.
    return testing.wilson(rate, min(rate * (1 - rate) / found.variance + 1, found.n), LEVEL)


def _missing(question: Question, strata: Sequence[Stratum]) -> Verdict | None:
    """Why nothing can be said yet; None when something can."""
    sums = [summed(strata, place) for place in range(len(question.values))]
    devices = sum(each.n for each in sums)
    if any(each.converters < FEWEST_CONVERTERS for each in sums):
        if not all(each.converters for each in sums):
            empty = next(value for value, each in zip(question.values, sums, strict=True) if not each.converters)
            return Verdict("not_enough_data", f"Not enough data: no event of a device in {empty} yet")
        fewest = min(each.converters for each in sums)
        needed = ceil(devices * FEWEST_CONVERTERS / fewest) - devices
        more = _about(max(needed, (question.planned or 0) - devices))
        return Verdict("not_enough_data", f"Not enough data: about {more:,} more devices", more)
    if question.days < FEWEST_DAYS:
        days = ceil(FEWEST_DAYS - question.days)
        return Verdict("not_enough_data", f"Not enough data: {days} more day{'' if days == 1 else 's'}")
    others = [place for place in range(len(sums)) if place != question.baseline]
    if any(_pair(question, strata, place) is None for place in others):
        return Verdict("not_enough_data", "Not enough data: the devices of a variant do not differ from one another")
    return None


def _pair(question: Question, strata: Sequence[Stratum], place: int) -> tuple[Estimate, Estimate] | None:
    """The estimates of a variant and of the baseline over the phases that have both; None where nothing varies."""
    pair = [place, question.baseline]
    common = comparable(strata, pair)
    mine = estimate(common, place, pair, question.scale)
    base = estimate(common, question.baseline, pair, question.scale)
    return None if mine is None or base is None or not mine.variance or not base.variance else (mine, base)


def _comparisons(question: Question, strata: Sequence[Stratum]) -> tuple[Comparison, ...]:
    others = [place for place in range(len(question.values)) if place != question.baseline]
    pairs = [pair for place in others if (pair := _pair(question, strata, place)) is not None]
    p_values = [testing.welch(mine, base) or 0.0 for mine, base in pairs]
    return tuple(
        _comparison(question, strata, place, pair, p, adjusted)
        for place, pair, p, adjusted in zip(others, pairs, p_values, testing.holm(p_values), strict=True)
    )


def _comparison(
    question: Question,
    strata: Sequence[Stratum],
    place: int,
    pair: tuple[Estimate, Estimate],
    p: float,
    adjusted: float,
) -> Comparison:
    mine, base = pair
    absolute = lift(mine, base, LEVEL)
    if question.kind == "conversion":
        low, high = testing.newcombe(mine.mean, _score(mine), base.mean, _score(base))
    else:
        half = testing.t_quantile(testing.freedom(mine, base), 1 - LEVEL / 2)
        half *= (mine.variance + base.variance) ** 0.5
        low, high = mine.mean - base.mean - half, mine.mean - base.mean + half
    return Comparison(
        value=question.values[place],
        lift=absolute,
        safe=_safe(question, strata, place),
        difference=mine.mean - base.mean,
        difference_low=low,
        difference_high=high,
        p=p,
        adjusted_p=adjusted,
        chance_to_beat=chance_to_beat(mine, base),
        expected_loss=expected_loss(mine, base),
    )


def _safe(question: Question, strata: Sequence[Stratum], place: int) -> Lift | None:
    """The interval of the confidence sequence, its level divided by the number of comparisons (Bonferroni)."""
    pair = _pair(question, strata, place)
    if pair is None:
        return None
    mine, base = pair
    whole = sum(summed(strata, each).n for each in range(len(question.values)))
    planned = None if question.planned is None else ceil(question.planned * (mine.n + base.n) / whole)
    level = (LEVEL if question.planned is None else BEFORE_PLAN) / (len(question.values) - 1)
    half = sequence.half_width(mine, base, level, planned)
    return scaled(mine, base, half, half / (mine.variance + base.variance) ** 0.5)


def _omnibus(question: Question, strata: Sequence[Stratum]) -> float | None:
    """Whether the variants differ at all: Pearson's and Welch's tests in one phase, Wald's over several."""
    places = range(len(question.values))
    common = comparable(strata, places)
    if len(common) == 1:
        (stratum,) = common
        if question.kind == "conversion":
            return testing.chi_square([(each.converters, each.n - each.converters) for each in stratum])
        return testing.welch_anova(stratum)
    found = [estimate(common, place, places, question.scale) for place in places]
    return testing.wald([each for each in found if each is not None]) if common else None


def _distrusted(question: Question, strata: Sequence[Stratum], found: Exposure, exact: bool) -> Verdict | None:
    if not exact:
        return Verdict("not_trusted", "Don't trust this: devices are not where they must be; run abtest verify")
    if found.worst is None:
        return None
    part = found.missing[found.worst] / max(summed(strata, found.worst).n, 1)
    return Verdict(
        "not_trusted",
        f"Don't trust this yet: {_percent(part)} % of the devices in {question.values[found.worst]} "
        "never report exposure",
    )


def _decided(question: Question, comparisons: Sequence[Comparison], at_plan: Sequence[Stratum] | None) -> Verdict:
    """The rule: a difference is shown when a safe interval leaves out zero, or when the one test at the planned
    number of devices does, whose level is corrected by Holm."""
    shown = [
        (each.value, each.safe) for each in comparisons if each.safe and not each.safe.low <= 0 <= each.safe.high
    ]
    if question.planned is not None and at_plan is not None and _missing(question, at_plan) is None:
        shown += [
            (each.value, lift(*pair, AT_PLAN * each.p / each.adjusted_p))  # the level that Holm left for it
            for each in _comparisons(question, at_plan)
            if each.p
            and each.adjusted_p
            and each.adjusted_p <= AT_PLAN
            and each.value not in {value for value, _ in shown}
            and (pair := _pair(question, at_plan, question.values.index(each.value)))
        ]
    baseline = question.values[question.baseline]
    if shown:
        value, found = max(shown, key=lambda each: each[1].value if each[1] else 0.0)
        assert found is not None
        beats = "beats" if found.value > 0 else "loses to"
        return Verdict("difference", f"{value} {beats} {baseline} by {_size(question, found)}")
    ends = [abs(end) for each in comparisons if each.safe for end in (each.safe.low, each.safe.high)]
    relative = all(each.safe.relative for each in comparisons if each.safe)
    limit = f"{_percent(max(ends))} %" if relative else f"{max(ends):.4g}"
    return Verdict("no_difference", f"No difference shown; smaller than ±{limit} is not excluded")


def _size(question: Question, found: Lift) -> str:
    """12 % (3 to 21 %), without a sign: beats and loses say it."""
    sign = 1 if found.value > 0 else -1
    low, high = sorted((sign * found.low, sign * found.high))
    if found.relative:
        return f"{_percent(sign * found.value)} % ({_percent(low)} to {_percent(high)} %)"
    return f"{sign * found.value:.4g} ({low:.4g} to {high:.4g})"


def _percent(part: float) -> str:
    """Two figures below ten, else whole: 3.4, 12, 156."""
    percent = 100 * part
    return f"{percent:.1f}".removesuffix(".0") if abs(percent) < 10 else f"{percent:,.0f}"


def _about(number: int) -> int:
    """Two figures, rounded up."""
    if number < 100:
        return number
    step: int = 10 ** (floor(log10(number)) - 1)
    return ceil(number / step) * step
