"""How much one mean is above another."""

from math import sqrt

from scipy.special import ndtr

from abtest.inference.answers import Lift
from abtest.inference.statistics.moments import Estimate
from abtest.inference.statistics.testing import Interval, normal_density

MOST_DOUBT = 0.25
"""A ratio needs a baseline for which (half its interval / its mean)^2 is at most this. At 1 Fieller's interval has no
end, and well before that the end is too far away to be useful."""


def has_ratio(baseline: Estimate, quantile: float) -> bool:
    """Whether the baseline's mean is known well enough to divide by it: it is at least twice its interval's
    half-width."""
    return baseline.mean > 0 and _doubt(baseline, quantile) <= MOST_DOUBT


def lift(mine: Estimate, baseline: Estimate, quantile: float, relative: bool, floor: float | None = None) -> Lift:
    """The lift with so many standard errors on either side; a relative one needs a baseline that `has_ratio`.

    `floor`: the smallest relative lift there can be, -1 where nothing is below zero.

    The relative interval is E. C. Fieller's (JRSS B 16, 1954): it holds the ratios q for which mine - q * baseline
    does not differ significantly from zero. So it leaves out zero exactly when the difference itself is significant,
    by a test or by a confidence sequence. The delta method approximates it for a baseline that is known exactly.
    """
    if not relative:
        difference = float(mine.mean - baseline.mean)
        low, high = difference_interval(mine, baseline, quantile)
        return Lift(False, difference, low, high)
    doubt, value = _doubt(baseline, quantile), float(mine.mean / baseline.mean - 1)
    half = sqrt(quantile**2 * mine.variance / float(baseline.mean) ** 2 * (1 - doubt) + (value + 1) ** 2 * doubt)
    low, high = (value + doubt - half) / (1 - doubt), (value + doubt + half) / (1 - doubt)
    return Lift(True, value, low if floor is None else max(low, floor), high)


def _doubt(baseline: Estimate, quantile: float) -> float:
    """(Half of the baseline's interval / its mean)^2."""
    return quantile**2 * baseline.variance / float(baseline.mean) ** 2


def difference_interval(mine: Estimate, baseline: Estimate, quantile: float) -> Interval:
    """The difference of means with so many standard errors on either side."""
    difference = float(mine.mean - baseline.mean)
    half = quantile * sqrt(mine.variance + baseline.variance)
    return difference - half, difference + half


def chance_to_beat(mine: Estimate, baseline: Estimate, less: bool = False) -> float | None:
    """The posterior probability that the mean is better than the baseline's, with a flat prior and normal means.

    Not safe for peeking: stopping when it is high is wrong more often than it says. None where nothing varies.
    """
    variance = mine.variance + baseline.variance
    return float(ndtr(_gain(mine, baseline, less) / sqrt(variance))) if variance else None


def expected_loss(mine: Estimate, baseline: Estimate, less: bool = False) -> float | None:
    """What is lost on average per device by choosing this variant, since the baseline may be better (C. Stucchio,
    Bayesian A/B testing at VWO, 2015, for normal means). Not safe for peeking either."""
    variance = mine.variance + baseline.variance
    if not variance:
        return None
    spread = sqrt(variance)
    gap = -_gain(mine, baseline, less) / spread
    return max(0.0, spread * (normal_density(gap) + gap * float(ndtr(gap))))


def _gain(mine: Estimate, baseline: Estimate, less: bool) -> float:
    return float(baseline.mean - mine.mean if less else mine.mean - baseline.mean)
