"""`python -m tests.inference.simulations CASE [RUNS]`: how often the rule is wrong, how often it finds what is there.

Every run is an experiment that is looked at 30 times at equal distances, the last time at the planned number of
devices. Runs come in hundreds, each with a seed of its own, so that a figure does not depend on the machine.
"""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from abtest.inference.answers import Lift
from abtest.inference.comparison import safe_lifts
from abtest.inference.moments import Moments, Stratum
from abtest.inference.question import Kind, Question
from abtest.inference.results import judge

LOOKS = 30
HUNDRED = 100
Counts = NDArray[np.int64]
"""Looks x phases x variants x (devices, converters, total, squares)."""


@dataclass(frozen=True)
class Case:
    """How runs are drawn, and the true lift of every variant but the first."""

    draw: Callable[[np.random.Generator], Counts]
    truth: tuple[float, ...]
    kind: Kind = "conversion"


@dataclass(frozen=True)
class Found:
    """Parts of the runs. A claim is wrong about a variant without a lift, right about one with it in its direction.

    `wrong`, `right`: by the rule. `sequence_wrong`, `sequence_right`: by the sequence alone, without a plan.
    `peeking_wrong`: by a test of the pooled figures at every look. `fixed_wrong`, `fixed_right`: by that test at the
    last look alone. `covered`: the 95 % interval of each lift held it at the last look, on average over the variants.
    `always_covered`: the sequence's intervals held all of them at all looks. `told_covered`: the interval in a
    verdict that told a difference held the lift (of those runs).
    """

    wrong: float
    right: float
    sequence_wrong: float
    sequence_right: float
    peeking_wrong: float
    fixed_wrong: float
    fixed_right: float
    covered: float
    always_covered: float
    told_covered: float


def simulate(case: str, runs: int, spread: Callable[..., Iterable[NDArray[np.float64]]] = map) -> Found:
    """The means over so many runs, a multiple of 100. `spread` maps the hundreds to processes."""
    found = np.concatenate(list(spread(_hundred, [case] * (runs // HUNDRED), range(runs // HUNDRED))))
    known = [column[~np.isnan(column)] for column in found.T]
    return Found(*(float(column.mean()) if column.size else 1.0 for column in known))


def _hundred(name: str, number: int) -> NDArray[np.float64]:
    case = CASES[name]
    random = np.random.default_rng([list(CASES).index(name), number])
    return np.array([_follow(case, case.draw(random)) for _ in range(HUNDRED)], dtype=np.float64)


def _follow(case: Case, counts: Counts) -> list[float]:
    """What Found holds, of one run."""
    values = tuple("abcdefgh"[: counts.shape[2]])
    planned = Question(case.kind, values, days=30.0, planned=int(counts[-1, :, :, 0].sum()))
    open_ended = Question(case.kind, values, days=30.0)
    by_rule: dict[int, Lift] = {}
    by_sequence: dict[int, Lift] = {}
    always = True
    for look in range(LOOKS):
        strata = _strata(counts[look])
        found = judge(planned, strata, strata if look == LOOKS - 1 else None)
        for place, comparison in enumerate(found.comparisons, start=1):
            if comparison.shown:
                by_rule.setdefault(place, comparison.shown)
        for place, safe in safe_lifts(open_ended, strata).items():
            if safe.shown:
                by_sequence.setdefault(place, safe)
            always &= _holds(safe, case.truth[place - 1])
    p = _pooled(counts)
    significant = {place: _sign(counts[-1], place) for place in range(1, len(values)) if p[-1, place - 1] < 0.05}
    covered = [
        float(_holds(comparison.lift, truth))
        for comparison, truth in zip(found.comparisons, case.truth, strict=True)
        if comparison.lift
    ]
    told = [_holds(lift, case.truth[place - 1]) for place, lift in by_rule.items()]
    nothing = [place for place, truth in enumerate(case.truth) if not truth]
    return [
        *_judged(case, {place: lift.value for place, lift in by_rule.items()}),
        *_judged(case, {place: lift.value for place, lift in by_sequence.items()}),
        float((p[:, nothing] < 0.05).any()),
        *_judged(case, significant),
        float(np.mean(covered)) if covered else float("nan"),
        float(always),
        float(all(told)) if told else float("nan"),
    ]


def _judged(case: Case, claims: dict[int, float]) -> tuple[float, float]:
    """Whether one of the claims is wrong, and whether one is right."""
    wrong = any(case.truth[place - 1] == 0 for place in claims)
    return float(wrong), float(any(case.truth[place - 1] * value > 0 for place, value in claims.items()))


def _holds(lift: Lift, truth: float) -> bool:
    """Whether the interval holds the true lift. A difference is not held against a ratio."""
    return lift.low <= truth <= lift.high or (not lift.relative and truth != 0)


def _strata(look: Counts) -> list[Stratum]:
    return [
        tuple(Moments(n, n, converters, total, squares) for n, converters, total, squares in phase.tolist())
        for phase in look
        if phase[:, 0].any()
    ]


def _pooled(counts: Counts) -> NDArray[np.float64]:
    """p-values of the first variant against the others at every look, of the sums over the phases."""
    n, _, total, squares = np.moveaxis(counts.sum(axis=1).astype(np.float64), 2, 0)
    mean = total / n
    error = (squares / n - mean**2) / (n - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = (mean[:, 1:] - mean[:, :1]) / np.sqrt(error[:, 1:] + error[:, :1])
    return np.asarray(2 * stats.norm.sf(np.abs(np.nan_to_num(statistic, posinf=0.0, neginf=0.0))))


def _sign(look: Counts, place: int) -> float:
    n, _, total, _ = np.moveaxis(look.sum(axis=0), 1, 0)
    return float(total[place] / n[place] - total[0] / n[0])


def conversions(rates: list[float], devices: list[int]) -> Case:
    """One phase; so many devices of each variant at the end."""

    def draw(random: np.random.Generator) -> Counts:
        step = np.array(devices) // LOOKS
        return _binary(np.tile(step, (LOOKS, 1)), random.binomial(step, rates, (LOOKS, len(rates))))[:, None]

    return Case(draw, tuple(rate / rates[0] - 1 if rate != rates[0] else 0.0 for rate in rates[1:]))


def phases(lift: float) -> Case:
    """99:1 of 30,000 devices of which 1 % buy, then 50:50 of 12,000 of which 10 % do; half the looks in each."""

    def draw(random: np.random.Generator) -> Counts:
        half = LOOKS // 2
        found = np.zeros((LOOKS, 2, 2, 4), dtype=np.int64)
        for phase, (devices, rate) in enumerate([((29_700, 300), 0.01), ((6_000, 6_000), 0.1)]):
            step = np.array(devices) // half
            new = _binary(np.tile(step, (half, 1)), random.binomial(step, [rate, rate * (1 + lift)], (half, 2)))
            found[phase * half : (phase + 1) * half, phase] = new
            found[(phase + 1) * half :, phase] = new[-1]
        return found

    return Case(draw, (lift,))


def amounts(lift: float) -> Case:
    """2 x 6,000 devices of which 5 % spend, each a lognormal amount with a median of 10 and a sigma of 1.5."""

    def draw(random: np.random.Generator) -> Counts:
        shape = (LOOKS, 200, 2)
        spent = np.rint(random.lognormal(np.log(10), 1.5, shape) * [1, 1 + lift] * 10_000).astype(np.int64)
        return _amounts((random.random(shape) < 0.05) * spent)

    return Case(draw, (lift,), "amount")


def late() -> Case:
    """2 x 3,000 devices come in the first half of the looks and none later; each buys again and again, up to the end,
    some far more often than others."""

    def draw(random: np.random.Generator) -> Counts:
        half, devices = LOOKS // 2, 200
        came = np.repeat(np.arange(half), devices)
        keen = random.gamma(0.2, 0.1, (came.size, 2))
        bought = random.poisson(keen, (LOOKS, came.size, 2)) * random.integers(1, 20, (LOOKS, came.size, 2)) * 10_000
        bought[np.arange(LOOKS)[:, None] < came] = 0
        spent = bought.cumsum(axis=0)
        n = np.minimum(np.arange(1, LOOKS + 1), half) * devices
        parts = [np.tile(n[:, None], 2), (spent != 0).sum(axis=1), spent.sum(axis=1), (spent**2).sum(axis=1)]
        return np.stack(parts, axis=-1)[:, None].astype(np.int64)

    return Case(draw, (0.0,), "amount")


def _binary(new: Counts, converters: Counts) -> Counts:
    return np.stack([new, converters, converters, converters], axis=-1).cumsum(axis=0)


def _amounts(spent: Counts) -> Counts:
    """Looks x devices x variants, all totals complete when a device comes."""
    n = np.full(spent[:, 0].shape, spent.shape[1])
    parts = [n, (spent != 0).sum(axis=1), spent.sum(axis=1), (spent**2).sum(axis=1)]
    return np.stack(parts, axis=-1).cumsum(axis=0)[:, None]


CASES = {
    "nothing": conversions([0.05, 0.05], [6_000, 6_000]),
    "there": conversions([0.05, 0.06], [6_000, 6_000]),
    "planned": conversions([0.05, 0.06], [8_160, 8_160]),
    "small": conversions([0.05, 0.05], [1_200, 1_200]),
    "three": conversions([0.05, 0.05, 0.05], [6_000, 6_000, 6_000]),
    "one of two": conversions([0.05, 0.06, 0.05], [6_000, 6_000, 6_000]),
    "shares": conversions([0.05] * 4, [45_000, 6_000, 3_000, 6_000]),
    "amounts": amounts(0.0),
    "amounts there": amounts(0.5),
    "phases": phases(0.0),
    "phases there": phases(0.2),
    "late": late(),
}


def main(case: str, runs: int) -> None:
    """Print the figures of a case."""
    with ProcessPoolExecutor() as processes:
        found = simulate(case, runs, processes.map)
    for field in fields(found):
        print(f"{case}, {runs:,} runs: {field.name:15} {getattr(found, field.name):6.1%}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
