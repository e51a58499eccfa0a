"""`python -m tests.inference.caps [RUNS]`: up to what devices' totals should count, one test at the end.

Four variants get 75 : 10 : 5 : 10 of the devices, of which 5% buy, for log-normal amounts. What a cap must do: find
an effect in the smallest variant, and not tell apart two variants that bring in the same, because half as many
devices buy at twice the price, or twice as many at half of it. The error is the larger of Welch's and that of both
variants together; without that, no cap is enough.
"""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from abtest.inference import rule

SHARES = np.array([75, 10, 5, 10])
SMALL, VARIANTS, RATE = 2, 4, 0.05
Floats = NDArray[np.float64]
Cap = Callable[[Sequence[Floats], NDArray[np.int64]], float]
"""From what buyers of each variant spent, and the variants' devices."""


def together(part: float) -> Cap:
    """The quantile of all buyers."""
    return lambda spent, _: float(np.quantile(np.concatenate(spent), 1 - part))


def largest(aside: Callable[[int], int]) -> Cap:
    """Of each variant so many are set aside; the largest amount that is left."""
    return lambda spent, _: max(
        np.sort(each)[-1 - aside(each.size)] for each in spent if each.size > aside(each.size)
    )


def skewness(most: float) -> Cap:
    """The largest cap with which no difference is more skewed than that, by the moments of all devices together."""

    def cap(spent: Sequence[Floats], n: NDArray[np.int64]) -> float:
        amounts = np.sort(np.concatenate(spent))
        above, devices = np.arange(amounts.size)[::-1], n.sum()
        first, second, third = ((np.cumsum(amounts**power) + above * amounts**power) / devices for power in (1, 2, 3))
        own = (third - 3 * first * second + 2 * first**3) / (second - first**2) ** 1.5
        factor = max(abs(1 / each**2 - 1 / n[0] ** 2) / (1 / each + 1 / n[0]) ** 1.5 for each in n[1:].tolist())
        allowed = amounts[own * factor <= most]
        return float(allowed[-1]) if allowed.size else float(amounts[0])

    return cap


CAPS: dict[str, Cap] = {
    "none": lambda spent, _: float(np.concatenate(spent).max()),
    "99th percentile of all buyers": together(0.01),
    "90th percentile of all buyers": together(0.1),
    "99th percentile, largest variant": largest(lambda m: ceil(0.01 * m)),
    "98th percentile, largest variant": largest(lambda m: ceil(0.02 * m)),
    "95th percentile, largest variant": largest(lambda m: ceil(0.05 * m)),
    "skewness at most 0.1": skewness(0.1),
    "skewness at most 0.3": skewness(0.3),
    "root of m / 2, largest variant": largest(lambda m: ceil(sqrt(m) / 2)),
    "root of m, largest variant": largest(lambda m: ceil(sqrt(m))),
}
SCENES = {
    "no effect": (1.0, 1.0),
    "40% more buyers": (1.4, 1.0),
    "40% larger amounts": (1.0, 1.4),
    "equal, twice the price": (0.5, 2.0),
    "equal, half the price": (2.0, 0.5),
}


def claims(sigma: float, devices: int, scene: tuple[float, float], runs: int, seed: int) -> NDArray[np.float64]:
    """For each cap, in what part of the runs a difference of the smallest variant is told; of any without effect."""
    random, found = np.random.default_rng(seed), np.zeros(len(CAPS))
    n = devices * SHARES // SHARES.sum()
    buyers, price = scene
    often = np.where(np.arange(VARIANTS) == SMALL, RATE * buyers, RATE)
    told = range(1, VARIANTS) if scene == (1, 1) else [SMALL]
    for _ in range(runs):
        spent = [random.lognormal(0, sigma, count) for count in random.binomial(n, often)]
        spent[SMALL] = spent[SMALL] * price
        for place, cap in enumerate(CAPS.values()):
            counted = [np.minimum(each, cap(spent, n)) for each in spent]
            found[place] += any(_differs(counted[0], n[0], counted[each], n[each]) for each in told)
    return found / runs


def _differs(base: Floats, devices_of_base: int, mine: Floats, devices: int) -> bool:
    (m0, v0), (m1, v1) = (
        _moments(each.sum(), (each**2).sum(), n) for each, n in ((base, devices_of_base), (mine, devices))
    )
    both = np.concatenate([base, mine])
    _, pooled = _moments(both.sum(), (both**2).sum(), devices + devices_of_base)
    error = max(v0 / devices_of_base + v1 / devices, pooled * (1 / devices_of_base + 1 / devices))
    return bool(abs(m1 - m0) > stats.norm.isf(rule.plan_level(VARIANTS - 1) / 2) * sqrt(error))


def _moments(total: float, squares: float, n: int) -> tuple[float, float]:
    return total / n, (squares - total**2 / n) / (n - 1)


def main(runs: int) -> None:
    """Print a table."""
    with ProcessPoolExecutor() as processes:
        for sigma, devices in ((1.0, 60_000), (2.0, 60_000), (2.0, 300_000)):
            for name, scene in SCENES.items():
                parts = processes.map(partial(claims, sigma, devices, scene, runs // 10), range(10))
                for cap, part in zip(CAPS, np.mean(list(parts), axis=0), strict=True):
                    print(f"sigma {sigma}, {devices:,} devices, {name}; {cap}: {part:.1%}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
