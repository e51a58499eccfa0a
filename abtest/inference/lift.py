"""How much one mean is above another."""

from math import sqrt

from scipy.special import ndtr

from abtest.inference.answers import Lift
from abtest.inference.moments import Estimate
from abtest.inference.testing import Interval, normal_density


def has_ratio(baseline: Estimate, quantile: float) -> bool:
    """Whether the baseline's mean is above zero by more than its own error: else no ratio to it has an interval."""
    return baseline.mean > 0 and _doubt(baseline, quantile) < 1


def lift(mine: Estimate, baseline: Estimate, quantile: float, relative: bool) -> Lift:
    """The lift with so many standard errors on either side; a relative one needs a baseline that `has_ratio`.

    The relative interval is E. C. Fieller's (JRSS B 16, 1954): the ratios q for which mine - q * baseline is not told
    from zero. So it leaves out zero exactly when the difference is told from zero, by a test or by a confidence
    sequence. The delta method's is its first approximation, for a baseline that is known exactly.
    """
    if not relative:
        difference = float(mine.mean - baseline.mean)
        low, high = difference_interval(mine, baseline, quantile)
        return Lift(False, difference, low, high)
    doubt, value = _doubt(baseline, quantile), float(mine.mean / baseline.mean - 1)
    half = sqrt(quantile**2 * mine.variance / float(baseline.mean) ** 2 * (1 - doubt) + (value + 1) ** 2 * doubt)
    return Lift(True, value, (value + doubt - half) / (1 - doubt), (value + doubt + half) / (1 - doubt))


def _doubt(baseline: Estimate, quantile: float) -> float:
    """The square of the baseline's interval's half, as a part of its mean's."""
    return quantile**2 * baseline.variance / float(baseline.mean) ** 2


def difference_interval(mine: Estimate, baseline: Estimate, quantile: float) -> Interval:
    """The difference of means with so many standard errors on either side."""
    difference = float(mine.mean - baseline.mean)
    half = quantile * sqrt(mine.variance + baseline.variance)
    return difference - half, difference + half


def chance_to_beat(mine: Estimate, baseline: Estimate) -> float | None:
    """The posterior probability that the mean is above the baseline's, with a flat prior and normal means.

    Not safe for peeking: who stops when it is high is wrong more often than it says. None where nothing varies.
    """
    variance = mine.variance + baseline.variance
    return float(ndtr(float(mine.mean - baseline.mean) / sqrt(variance))) if variance else None


def expected_loss(mine: Estimate, baseline: Estimate) -> float | None:
    """What is lost on average per device by choosing this mean if the baseline's is higher (C. Stucchio, Bayesian
    A/B testing at VWO, 2015, for normal means). As unsafe for peeking."""
    variance = mine.variance + baseline.variance
    if not variance:
        return None
    spread = sqrt(variance)
    gap = float(baseline.mean - mine.mean) / spread
    return max(0.0, spread * (normal_density(gap) + gap * float(ndtr(gap))))
