"""`python -m tests.inference.simulations CASE [RUNS]`: how often the rule is wrong, how often it finds what is there.

Every run is an experiment that is looked at 30 or 365 times at equal distances, the last time at the planned number
of devices. Runs come in hundreds, each with a seed of its own, so that a figure does not depend on the machine.
`list` instead of a case lists them.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import cache, partial
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from abtest.inference.answers import Lift
from abtest.inference.comparison import decide, exact_loss, plan_lifts, sequence_lifts
from abtest.inference.gate import is_informed
from abtest.inference.pair import Pair, enough, pairs
from abtest.inference.question import Kind, Question
from abtest.inference.statistics.buckets import bucket, edge
from abtest.inference.statistics.capping import capped, find_cap
from abtest.inference.statistics.moments import AMOUNT_UNITS, Bucket, Moments, Stratum, summed

HUNDRED = 100
LOOKS = 30
Looks = list[list[Stratum]]
"""The strata as they are at each look."""
Ints = NDArray[np.int64]
Truth = Callable[[float | None], tuple[float, ...]]
"""The true lift of every variant but the first, of totals up to a cap."""


@dataclass(frozen=True)
class Case:
    """How runs are drawn, and what is true. `fair`: no variant brings in more than another in the mean, though their
    amounts may differ; then every claim is wrong."""

    draw: Callable[[np.random.Generator], Looks]
    truth: Truth
    kind: Kind = "conversion"
    fair: bool = False


@dataclass(frozen=True)
class Found:
    """Parts of the runs. A claim is wrong about a variant without a lift, right about one with it in its direction.

    `wrong`, `right`: by the rule with a plan. `open_wrong`, `open_right`: by the rule without one. `peeking_wrong`:
    by an ordinary test of the pooled figures at every look. `fixed_wrong`, `fixed_right`: by that test at the last
    look alone. `always_covered`: the safe intervals without a plan held every true lift at all looks, and
    `plan_always_covered` those with one. `told_covered`: the interval that decided held the lift (of those runs).
    `told_size`, `open_told_size`: a true lift, as it is told when the sequence shows it, in multiples of what it is.
    """

    wrong: float
    right: float
    open_wrong: float
    open_right: float
    peeking_wrong: float
    fixed_wrong: float
    fixed_right: float
    always_covered: float
    plan_always_covered: float
    told_covered: float
    told_size: float
    open_told_size: float


def simulate(case: str, runs: int, spread: Callable[..., Iterable[NDArray[np.float64]]] = map) -> Found:
    """The means over so many runs, a multiple of 100. `spread` maps the hundreds to processes."""
    found = np.concatenate(list(spread(_hundred, [case] * (runs // HUNDRED), range(runs // HUNDRED))))
    known = [column[~np.isnan(column)] for column in found.T]
    return Found(*(float(column.mean()) if column.size else float("nan") for column in known))


def _hundred(name: str, number: int) -> NDArray[np.float64]:
    case = CASES[name]
    random = np.random.default_rng([int.from_bytes(name.encode()), number])
    return np.array([_follow(case, case.draw(random)) for _ in range(HUNDRED)], dtype=np.float64)


class _Rule:
    """What one rule claims in the course of a run."""

    def __init__(self, question: Question, case: Case) -> None:
        self.question, self._case = question, case
        self.claims: dict[int, float] = {}
        self.sizes: list[float] = []
        self.told: list[bool] = []
        self.covered = True

    def look(
        self,
        strata: Sequence[Stratum],
        found: Sequence[Pair],
        truth: Sequence[float],
        losses: Callable[[int], float | None],
        last: bool,
    ) -> None:
        """`truth`: the true lifts, and `losses`: the exact test's, which are the same for every rule."""
        question = self.question
        safe = sequence_lifts(question, found)
        planned = plan_lifts(question, _tested(question, strata)) if last and question.planned else {}
        for place in question.others:
            true = truth[place - 1]
            self.covered &= place not in safe or _holds(safe[place], true)
            loss = None if place in self.claims else losses(place)
            decision = decide(question, safe.get(place), planned.get(place), loss)
            if place in self.claims or decision is None:
                continue
            if decision == "exact":
                self.claims[place] = loss or -1.0
                continue
            lift = safe[place] if decision == "safe" else planned[place]
            self.claims[place] = lift.value
            self.told.append(_holds(lift, true))
            if decision == "safe" and true and lift.relative and not last:
                self.sizes.append(lift.value / true)

    def judged(self) -> tuple[float, float]:
        """Whether one of the claims is wrong, and whether one is right."""
        truth = self._case.truth(None)
        wrong = any(self._case.fair or truth[place - 1] == 0 for place in self.claims)
        right = any(truth[place - 1] * value > 0 for place, value in self.claims.items())
        return float(wrong), float(right)


def _follow(case: Case, looks: Looks) -> list[float]:
    """What Found holds, of one run."""
    values = tuple("abcdefgh"[: len(looks[0][0])])
    devices = sum(each.n for stratum in looks[-1] for each in stratum)
    shares = tuple(summed(looks[0], place).n / sum(each.n for each in looks[0][0]) for place in range(len(values)))
    planned = _Rule(Question(case.kind, values, days=30.0, planned=devices, shares=shares), case)
    unplanned = _Rule(Question(case.kind, values, days=30.0), case)
    for number, strata in enumerate(looks, start=1):
        cap = find_cap(strata)
        found = enough(pairs(unplanned.question, capped(strata, cap)))
        truth = case.truth(None if cap is None else cap / unplanned.question.scale)
        losses = cache(partial(exact_loss, unplanned.question, strata))
        for rule in (planned, unplanned):
            rule.look(strata, found, truth, losses, number == len(looks))
    p, signs = _pooled(looks)
    truth = case.truth(None)
    significant = {place: signs[place - 1] for place in range(1, len(values)) if p[-1, place - 1] < 0.05}
    nothing = [place for place, true in enumerate(truth) if not true or case.fair]
    return [
        *planned.judged(),
        *unplanned.judged(),
        float((p[:, nothing] < 0.05).any()),
        float(any(place - 1 in nothing for place in significant)),
        float(any(truth[place - 1] * sign > 0 for place, sign in significant.items())),
        float(unplanned.covered),
        float(planned.covered),
        float(all(planned.told)) if planned.told else float("nan"),
        float(np.mean(planned.sizes)) if planned.sizes else float("nan"),
        float(np.mean(unplanned.sizes)) if unplanned.sizes else float("nan"),
    ]


def _tested(question: Question, strata: Sequence[Stratum]) -> dict[int, Sequence[Stratum]]:
    """The variants that have the planned information."""
    both = {
        place: [
            [(stratum[each].n, stratum[each].converters) for each in (place, question.baseline)] for stratum in strata
        ]
        for place in question.others
    }
    return {place: strata for place in question.others if is_informed(question, both[place], place)}


def _holds(lift: Lift, truth: float) -> bool:
    """Whether the interval holds the true lift. A difference is not held against a ratio."""
    return lift.low <= truth <= lift.high or (not lift.relative and truth != 0)


def _pooled(looks: Looks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """p-values of the first variant against the others at every look, of the sums over the phases; and the signs of
    the differences at the last one."""
    sums = [[summed(strata, place) for place in range(len(strata[0]))] for strata in looks]
    n, total, squares = (
        np.array([[float(getattr(each, name)) for each in line] for line in sums])
        for name in ("n", "total", "squares")
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        error = (squares / n - mean**2) / (n - 1)
        statistic = (mean[:, 1:] - mean[:, :1]) / np.sqrt(error[:, 1:] + error[:, :1])
    statistic = np.nan_to_num(statistic, posinf=0.0, neginf=0.0)
    return np.asarray(2 * ndtr(-np.abs(statistic))), np.sign(mean[-1, 1:] - mean[-1, 0])


def conversions(rates: Sequence[float], devices: Sequence[int], looks: int = LOOKS) -> Case:
    """One phase; so many devices of each variant at the end."""

    def draw(random: np.random.Generator) -> Looks:
        step = np.array(devices) // looks
        converters = random.binomial(step, rates, (looks, len(rates))).cumsum(axis=0)
        n = step * np.arange(1, looks + 1)[:, None]
        return [[_rates(*both)] for both in zip(n.tolist(), converters.tolist(), strict=True)]

    lifts = tuple(rate / rates[0] - 1 if rate != rates[0] else 0.0 for rate in rates[1:])
    return Case(draw, lambda _: lifts)


def phases(lift: float) -> Case:
    """99:1 of 30,000 devices of which 1% buy, then 50:50 of 12,000 of which 10% do; half the looks in each."""
    plan = [((29_700, 300), 0.01), ((6_000, 6_000), 0.1)]

    def draw(random: np.random.Generator) -> Looks:
        half, found, ended = LOOKS // 2, [], list[Stratum]()
        for devices, rate in plan:
            step = np.array(devices) // half
            converters = random.binomial(step, [rate, rate * (1 + lift)], (half, 2)).cumsum(axis=0)
            n = step * np.arange(1, half + 1)[:, None]
            found += [[*ended, _rates(*both)] for both in zip(n.tolist(), converters.tolist(), strict=True)]
            ended = found[-1]
        return found

    return Case(draw, lambda _: (lift,))


def watched(variants: int, low: float, high: float, then: Sequence[int]) -> Case:
    """So many variants of 6,000 devices at 5%. Somebody looks on, and gives new weights as soon as the first variant
    is between so many standard errors above or below the baseline."""

    def draw(random: np.random.Generator) -> Looks:
        found, ended = list[list[Stratum]](), list[Stratum]()
        weights, n, converters = np.ones(variants), *(np.zeros(variants, dtype=np.int64) for _ in range(2))
        for _ in range(LOOKS):
            step = np.rint(6_000 / LOOKS * variants * weights / weights.sum()).astype(np.int64)
            n, converters = n + step, converters + random.binomial(step, 0.05)
            found.append([*ended, _rates(n.tolist(), converters.tolist())])
            if not ended and low < _standard_errors(n, converters) < high:
                ended, weights = found[-1], np.array(then)
                n, converters = (np.zeros(variants, dtype=np.int64) for _ in range(2))
        return found

    return Case(draw, lambda _: (0.0,) * (variants - 1))


def _standard_errors(n: Ints, converters: Ints) -> float:
    """Between the first two of these rates, whichever is higher."""
    rate, variance = converters / n, converters / n * (1 - converters / n) / n
    return float(abs(rate[1] - rate[0]) / sqrt(variance[0] + variance[1] or 1.0))


def spending(
    sigma: float,
    shares: Sequence[int],
    devices: int,
    rate: float = 0.05,
    looks: int = LOOKS,
    buyers: float = 1.0,
    prices: float = 1.0,
) -> Case:
    """Devices of which a part buys once, each for a lognormal amount; in the variant with the smallest share so many
    times as often, for so many times as much."""
    step = devices // looks * np.array(shares) // sum(shares)
    small = min(range(1, len(shares)), key=lambda place: shares[place])
    often, dear = np.ones(len(shares)), np.ones(len(shares))
    often[small], dear[small] = buyers, prices

    def draw(random: np.random.Generator) -> Looks:
        bought = random.binomial(step, rate * often, (looks, len(shares)))
        place = np.repeat(np.tile(np.arange(len(shares)), looks), bought.ravel())
        spent = np.exp(random.normal(log(10), sigma, place.size)) * dear[place]
        units = np.maximum(np.rint(spent * AMOUNT_UNITS), 1).astype(np.int64)
        return list(_amounts(step, units, place, bought.sum(axis=1).cumsum()))

    def truth(cap: float | None) -> tuple[float, ...]:
        true = buyers * _mean(prices, sigma, cap) / _mean(1.0, sigma, cap) - 1
        return tuple(
            true if place == small and (buyers, prices) != (1, 1) else 0.0 for place in range(1, len(shares))
        )

    return Case(draw, truth, "amount", fair=buyers * prices == 1 and buyers != 1)


def late() -> Case:
    """2 x 3,000 devices come in the first half of the looks and none later; each buys again and again, up to the end,
    some far more often than others."""

    def draw(random: np.random.Generator) -> Looks:
        half, devices = LOOKS // 2, 200
        came = np.repeat(np.arange(half), devices)
        keen = random.gamma(0.2, 0.1, (came.size, 2))
        bought = (
            random.poisson(keen, (LOOKS, came.size, 2)) * random.integers(1, 20, (LOOKS, came.size, 2)) * AMOUNT_UNITS
        )
        bought[np.arange(LOOKS)[:, None] < came] = 0
        totals = bought.cumsum(axis=0)
        n = np.minimum(np.arange(1, LOOKS + 1), half) * devices
        return [
            [tuple(_moments(int(n[look]), totals[look, totals[look, :, place] > 0, place]) for place in (0, 1))]
            for look in range(LOOKS)
        ]

    return Case(draw, lambda _: (0.0,), "amount")


def _mean(price: float, sigma: float, cap: float | None) -> float:
    """Of a lognormal amount with this multiple of the median 10, up to the cap."""
    median = 10 * price
    whole = median * float(np.exp(sigma**2 / 2))
    if cap is None or not sigma:
        return whole if cap is None else min(whole, cap)
    z = log(cap / median) / sigma
    return whole * float(ndtr(z - sigma)) + cap * float(ndtr(-z))


def _rates(n: Sequence[int], converters: Sequence[int]) -> Stratum:
    return tuple(Moments(each, each, some, some, some) for each, some in zip(n, converters, strict=True))


def _amounts(step: Ints, units: Ints, place: Ints, ends: Ints) -> Iterator[list[Stratum]]:
    """`units`: what was spent, in the order of time, in the variant `place`; `ends`: how many at each look."""
    sizes, variants = _buckets(units), len(step)
    width = int(sizes.max(initial=0)) + 1
    counts, totals, squares = (np.zeros(variants * width) for _ in range(3))
    begin = 0
    for look, end in enumerate(ends, start=1):
        at, some = place[begin:end] * width + sizes[begin:end], units[begin:end].astype(np.float64)
        counts += np.bincount(at, minlength=counts.size)
        totals += np.bincount(at, some, minlength=counts.size)
        squares += np.bincount(at, some**2, minlength=counts.size)
        begin = end
        kept = np.stack([counts, totals, squares]).reshape(3, variants, width)
        yield [tuple(_held(int(step[each]) * look, kept[:, each]) for each in range(variants))]


def _held(n: int, kept: NDArray[np.float64]) -> Moments:
    present = np.flatnonzero(kept[0])
    buckets: list[Bucket] = [
        (place, int(devices), int(total), int(squares))
        for place, (devices, total, squares) in zip(present.tolist(), kept[:, present].T.tolist(), strict=True)
    ]
    converters, total, squares = (sum(each[column] for each in buckets) for column in (1, 2, 3))
    return Moments(n, n, converters, total, squares, tuple(buckets))


def _moments(n: int, totals: Ints) -> Moments:
    """Of one look's totals above 0."""
    sizes = _buckets(totals)
    width = int(sizes.max(initial=0)) + 1
    floats = totals.astype(np.float64)
    parts = [np.bincount(sizes, weights, minlength=width) for weights in (None, floats, floats**2)]
    return _held(n, np.stack([part.astype(np.float64) for part in parts]))


EDGES = np.array([edge(place) for place in range(bucket(2**53))])


def _buckets(totals: Ints) -> Ints:
    """`bucket` of many totals above 0."""
    return np.searchsorted(EDGES, totals, side="left").astype(np.int64)


PRICE, HALVES, TENTH = (75, 10, 5, 10), (50, 50), (90, 10)
CASES = {
    "nothing": conversions([0.05, 0.05], [6_000, 6_000]),
    "there": conversions([0.05, 0.06], [6_000, 6_000]),
    "planned": conversions([0.05, 0.06], [8_160, 8_160]),
    "small": conversions([0.05, 0.05], [1_200, 1_200]),
    "three": conversions([0.05, 0.05, 0.05], [6_000, 6_000, 6_000]),
    "one of two": conversions([0.05, 0.06, 0.05], [6_000, 6_000, 6_000]),
    "shares": conversions([0.05] * 4, [45_000, 6_000, 3_000, 6_000]),
    "rare": conversions([0.005] * 2, [30_000, 30_000]),
    "rare shares": conversions([0.005] * 4, [45_000, 6_000, 3_000, 6_000]),
    "often": conversions([0.4] * 4, [9_000, 1_200, 600, 1_200]),
    "year": conversions([0.05] * 2, [36_500, 36_500], 365),
    "year shares": conversions([0.05] * 4, [273_750, 36_500, 18_250, 36_500], 365),
    "year rare": conversions([0.005] * 4, [273_750, 36_500, 18_250, 36_500], 365),
    "phases": phases(0.0),
    "phases there": phases(0.2),
    "late": late(),
    "dropped at its worst": watched(2, 2.06, 99, (1, 0)),
    "slowed at its worst": watched(2, 2.06, 99, (99, 1)),
    "hurried": watched(3, 1.0, 2.2, (1, 1, 0)),
    "money halves 12k": spending(2, HALVES, 12_000),
    "money halves 60k": spending(2, HALVES, 60_000),
    "money 12k": spending(2, PRICE, 12_000),
    "money 60k": spending(2, PRICE, 60_000),
    "money 300k": spending(2, PRICE, 300_000),
    "money year": spending(2, PRICE, 365_000, looks=365),
    "money sigma 1.5": spending(1.5, PRICE, 60_000),
    "money sigma 1": spending(1, PRICE, 60_000),
    "money sigma 3": spending(3, PRICE, 60_000),
    "money tenth": spending(2, TENTH, 12_000),
    "money 20 % buy": spending(2, PRICE, 12_000, 0.2),
    "money one price": spending(0, PRICE, 60_000),
}
for _sigma, _devices in ((1, 60_000), (2, 60_000), (2, 300_000)):
    for _name, _buyers, _prices in (
        ("buyers +20 %", 1.2, 1.0),
        ("buyers +40 %", 1.4, 1.0),
        ("amounts +20 %", 1.0, 1.2),
        ("amounts +40 %", 1.0, 1.4),
        ("dear +40 %", 0.7, 2.0),
        ("cheap +40 %", 2.8, 0.5),
        ("dear, equal", 0.5, 2.0),
        ("cheap, equal", 2.0, 0.5),
    ):
        _title = f"money {_name}, sigma {_sigma}, {_devices // 1000}k"
        CASES[_title] = spending(_sigma, PRICE, _devices, buyers=_buyers, prices=_prices)


def main(case: str, runs: int) -> None:
    """Print the figures of a case, with their Monte-Carlo errors."""
    with ProcessPoolExecutor() as processes:
        found = simulate(case, runs, processes.map)
    for field in fields(found):
        value = getattr(found, field.name)
        error = f" +- {sqrt(value * (1 - value) / runs):4.1%}" if 0 <= value <= 1 else ""
        print(f"{case}, {runs:,} runs: {field.name:20} {value:6.1%}{error}")


if __name__ == "__main__":
    if sys.argv[1] == "list":
        print("\n".join(CASES))
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
