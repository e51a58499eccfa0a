"""An exact test of a loss, for few events: how the events split between a variant and the baseline.

If two variants convert alike, the probability that an event is the variant's is the variant's part of the devices,
whatever happened before. To test one ratio of the two rates, the likelihoods of smaller ratios are mixed with fixed
weights and divided by its own. If that ratio is true, the quotient is a martingale whose chance of ever reaching
1/level is at most the level (J. Ville, Etude critique de la notion de collectif, 1939; H. Robbins, Annals of
Mathematical Statistics 41, 1970). So people may look after every event, from the first one on. The test is exact for
rare events; if events are frequent, the split varies less than that, and the test is too careful.
"""

from collections.abc import Sequence
from math import exp, log, log1p

from abtest.inference.statistics.moments import Stratum

SMALLEST_LOG, STEPS = -7.0, 70
LOG_RATIOS = tuple(SMALLEST_LOG * (step + 0.5) / STEPS for step in range(STEPS))
"""Losses that are mixed, with equal weights: the ratio of the rates, from a thousandth to nearly 1."""
PRECISION = 1e-4


def largest_ratio(strata: Sequence[Stratum], mine: int, base: int, level: float) -> float | None:
    """The largest ratio of the rate of `mine` to that of `base` that is not excluded; None where 1 is not.

    The claim that the ratio is at most this is wrong with a probability of at most `level`, over all looks.
    """
    split = [
        (stratum[mine].converters, stratum[base].converters, stratum[mine].n / stratum[base].n)
        for stratum in strata
        if stratum[mine].n and stratum[base].n
    ]
    if not _excluded(split, 0.0, level):
        return None
    low, high = 2 * SMALLEST_LOG, 0.0
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if _excluded(split, middle, level) else (middle, high)
    return exp(high)


def _excluded(split: Sequence[tuple[int, int, float]], log_ratio: float, level: float) -> bool:
    """Whether the mixture of smaller ratios is 1 / level times as likely as this one, or more."""
    mine, base = (sum(each[place] for each in split) for place in (0, 1))
    if not mine + base:
        return False
    known = _log_likelihood(split, log_ratio)
    logs = [_log_likelihood(split, log_ratio + smaller) - known for smaller in LOG_RATIOS]
    most = max(logs)
    return most + log(sum(exp(each - most) for each in logs) / STEPS) >= -log(level)


def _log_likelihood(split: Sequence[tuple[int, int, float]], log_ratio: float) -> float:
    """Of a split, when the odds that an event is of the variant are those of the devices times the ratio."""
    return sum(
        mine * (log(odds) + log_ratio) - (mine + base) * log1p(odds * exp(log_ratio)) for mine, base, odds in split
    )
