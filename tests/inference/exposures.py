"""`python -m tests.inference.exposures [RUNS]`: how often a sound experiment is distrusted in a year of looks.

Three variants get devices evenly over 365 days, of which 90% report exposure; it is looked at every day.
"""

import sys

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from abtest.inference.health import exposure
from abtest.inference.statistics.moments import Moments

DAYS, VARIANTS = 365, 3


def alarms(per_day: int, rates: tuple[float, ...], runs: int) -> tuple[float, float]:
    """Parts of the experiments: distrusted by the rule, and by Pearson's test at 0.001 on each day."""
    random = np.random.default_rng(1)
    found = np.zeros(2)
    n = per_day * np.arange(1, DAYS + 1)[:, None]
    for _ in range(runs):
        seen = random.binomial(per_day, rates, (DAYS, VARIANTS)).cumsum(axis=0)
        whole = seen.sum(axis=1, keepdims=True) / VARIANTS
        pearson = ((seen - whole) ** 2 / whole + (seen - whole) ** 2 / (n - whole)).sum(axis=1)
        found += (
            any(_differs(int(each), counts) for each, counts in zip(n[:, 0], seen, strict=True)),
            bool((stats.chi2.sf(pearson, VARIANTS - 1) < 0.001).any()),
        )
    return found[0] / runs, found[1] / runs


def _differs(n: int, seen: NDArray[np.int64]) -> bool:
    return exposure([tuple(Moments(n, int(each)) for each in seen)]).differs is not None


def main(runs: int) -> None:
    """Print how often an alarm is given, without a difference and with one."""
    for rates in ((0.9, 0.9, 0.9), (0.9, 0.9, 0.908), (0.9, 0.9, 0.98)):
        rule, pearson = alarms(300, rates, runs)
        print(f"{rates} exposed: distrusted in {rule:.1%}, by a test on each day in {pearson:.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
