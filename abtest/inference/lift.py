"""How much one mean is above another."""

from math import sqrt

from msgspec import Struct
from scipy.special import ndtr

from abtest.inference import testing
from abtest.inference.moments import Estimate


class Lift(Struct, frozen=True):
    """A difference of means and its interval: relative to the baseline's mean, or absolute where that is not above
    zero."""

    relative: bool
    value: float
    low: float
    high: float


def lift(mine: Estimate, baseline: Estimate, alpha: float) -> Lift:
    """The lift with Welch's quantile; the variance of the ratio by the delta method (G. W. Oehlert, The American
    Statistician 46, 1992)."""
    quantile = testing.t_quantile(testing.freedom(mine, baseline), 1 - alpha / 2)
    return scaled(mine, baseline, quantile * sqrt(mine.variance + baseline.variance), quantile)


def scaled(mine: Estimate, baseline: Estimate, half: float, quantile: float) -> Lift:
    """The lift whose difference has this half-width, and its ratio the delta method's with this quantile."""
    difference = mine.mean - baseline.mean
    if baseline.mean <= 0:
        return Lift(False, difference, difference - half, difference + half)
    value = difference / baseline.mean
    ratio = mine.mean / baseline.mean
    spread = quantile * sqrt(mine.variance + ratio**2 * baseline.variance) / baseline.mean
    return Lift(True, value, value - spread, value + spread)


def chance_to_beat(mine: Estimate, baseline: Estimate) -> float | None:
    """The posterior probability that the mean is above the baseline's, with a flat prior and normal means.

    Not safe for peeking: who stops when it is high is wrong more often than it says. None where nothing varies.
    """
    variance = mine.variance + baseline.variance
    return float(ndtr((mine.mean - baseline.mean) / sqrt(variance))) if variance else None


def expected_loss(mine: Estimate, baseline: Estimate) -> float | None:
    """What is lost on average per device by choosing this mean if the baseline's is higher (C. Stucchio, Bayesian
    A/B testing at VWO, 2015, for normal means). As unsafe for peeking."""
    variance = mine.variance + baseline.variance
    if not variance:
        return None
    spread = sqrt(variance)
    gap = (baseline.mean - mine.mean) / spread
    return spread * (testing.normal_density(gap) + gap * float(ndtr(gap)))
