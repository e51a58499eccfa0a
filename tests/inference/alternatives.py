"""`python -m tests.inference.alternatives`: what was not chosen, beside what was, in 40,000 runs of each kind."""

import numpy as np
from scipy import stats

RUNS = 40_000
Z = stats.norm.isf(0.025)


def ratio_tails(devices: tuple[int, int], base: float, lift: float) -> None:
    """How often the true lift is below and above the 95% interval: the delta method's, and Fieller's."""
    random = np.random.default_rng(1)
    m, n = devices
    other, mine = random.binomial(m, base, RUNS) / m, random.binomial(n, base * (1 + lift), RUNS) / n
    known = (other * m >= 25) & (mine * n >= 25)
    other, mine = other[known], mine[known]
    own, of_base = mine * (1 - mine) / (n - 1) / other**2, other * (1 - other) / (m - 1) / other**2
    ratio, doubt = mine / other, Z**2 * of_base
    delta = Z * np.sqrt(own + ratio**2 * of_base)
    fieller = Z * np.sqrt(own * (1 - doubt) + ratio**2 * of_base) / (1 - doubt)
    for name, centre, half in (("delta", ratio, delta), ("Fieller", ratio / (1 - doubt), fieller)):
        below, above = np.mean(1 + lift < centre - half), np.mean(1 + lift > centre + half)
        print(f"{m:6,} and {n:6,} devices, {base:.0%}, {lift:+.0%}: {name:8} below {below:5.1%}, above {above:5.1%}")


def stratum_weights(phases: list[tuple[int, int, float]], lift: float) -> None:
    """How often a difference is claimed at 5%: phases weighed by devices, and by n1 * n2 / (n1 + n2)."""
    random = np.random.default_rng(2)
    sizes = np.array([phase[:2] for phase in phases], dtype=float)
    rates = np.array([[rate, rate * (1 + lift)] for *_, rate in phases])
    found = random.binomial(sizes.astype(int), rates, (RUNS, *sizes.shape)) / sizes
    errors = found * (1 - found) / (sizes - 1)
    for name, weights in (("devices", sizes.sum(axis=1)), ("what they tell", sizes.prod(axis=1) / sizes.sum(axis=1))):
        parts = weights / weights.sum()
        difference = ((found[:, :, 1] - found[:, :, 0]) * parts).sum(axis=1)
        own = errors * parts[:, None] ** 2
        freedom = own.sum(axis=(1, 2)) ** 2 / (own**2 / (sizes - 1)).sum(axis=(1, 2))
        claims = np.abs(difference) > stats.t.isf(0.025, freedom) * np.sqrt(own.sum(axis=(1, 2)))
        print(f"{phases}, {lift:+.0%}: weighed by {name:14} {claims.mean():5.1%}")


if __name__ == "__main__":
    for lift in (0.0, 0.3):
        ratio_tails((1_000, 1_000), 0.05, lift)
    for lift in (0.0, 0.2):
        ratio_tails((6_000, 6_000), 0.05, lift)
    ratio_tails((9_000, 1_000), 0.05, 0.0)
    stratum_weights([(1_980, 20, 0.05), (6_000, 6_000, 0.05)], 0.0)
    stratum_weights([(49_500, 500, 0.01), (5_000, 5_000, 0.1)], 0.0)
    stratum_weights([(49_500, 500, 0.05), (5_000, 5_000, 0.05)], 0.2)
    stratum_weights([(3_000, 3_000, 0.05), (4_500, 500, 0.08)], 0.0)
