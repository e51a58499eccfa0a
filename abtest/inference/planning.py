"""How many devices a test needs, what effect a number of devices can find, and how often.

Every formula is the normal one for two means (J. Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd
ed. 1988, chapters 2 and 6). Rates are put on the arcsine scale, where their variance does not depend on them.
`devices` are those of each of two arms; arms of unequal size count as two equal ones of their harmonic mean
(`per_arm`).

The level is that of one test of two variants, 0.05. The rule of the results spends less on its test
(`rule.plan_level`), because its results may be looked at on the way.
"""

from collections.abc import Sequence
from math import asin, ceil, erfc, inf, sin, sqrt
from statistics import NormalDist

from abtest.inference import rule
from abtest.inference.statistics import sequence

POWER = 0.8
NORMAL = NormalDist()
"""Not scipy's: servers plan too, and loading the standard library's takes no memory."""


def devices_for_rate(base: float, effect: float, power: float = POWER, alpha: float = rule.LEVEL) -> int:
    """Devices per variant to distinguish a rate of base * (1 + effect) from base with this power, two-sided.

    Raises ValueError when a rate is not between 0 and 1, or there is no effect.
    """
    angle = abs(_angle(base, effect))
    if not angle:
        raise ValueError("both rates must be between 0 and 1, and differ")
    return ceil(2 * (_z(power, alpha) / angle) ** 2)


def devices_for_mean(deviation: float, difference: float, power: float = POWER, alpha: float = rule.LEVEL) -> int:
    """Devices per variant to find a difference of means. `deviation`: of the devices' totals, which are zero without
    an event. For an effect relative to the mean, the difference is their product.

    Raises ValueError when one of them is 0.
    """
    if not 0 < deviation < inf or not deviation * 1e-9 < abs(difference) < inf:
        raise ValueError("the deviation must be above 0, and the difference must be large enough beside it")
    return ceil(2 * (_z(power, alpha) * deviation / difference) ** 2)


def detectable_rate(
    base: float, devices: float, power: float = POWER, alpha: float = rule.LEVEL, less: bool = False
) -> float | None:
    """The smallest increase, or with `less` the smallest decrease below 0, that is found with so many devices per
    variant, relative to the base rate; None when not even a rate of 1, or of 0, is found.

    Raises ValueError when the rate is not between 0 and 1, or there are no devices.
    """
    if not 0 < base < 1 or not devices > 0:
        raise ValueError("the rate must be between 0 and 1, and there must be devices")
    step = _z(power, alpha) / sqrt(2 * devices)
    angle = asin(sqrt(base)) + (-step if less else step)
    return sin(angle) ** 2 / base - 1 if 0 < angle < asin(1) else None


def detectable_mean(deviation: float, devices: float, power: float = POWER, alpha: float = rule.LEVEL) -> float:
    """The smallest difference of means that is found with so many devices per variant."""
    if not deviation > 0 or not devices > 0:
        raise ValueError("the deviation must be above 0, and there must be devices")
    return _z(power, alpha) * deviation * sqrt(2 / devices)


def power_for_rate(base: float, effect: float, devices: float, alpha: float = rule.LEVEL) -> float:
    """How often a test finds a rate of base * (1 + effect) with so many devices per variant; `alpha` without effect.

    Raises ValueError when a rate is not between 0 and 1, or there are no devices.
    """
    return _power(_angle(base, effect), devices, alpha)


def power_for_mean(deviation: float, difference: float, devices: float, alpha: float = rule.LEVEL) -> float:
    """How often a test finds a difference of means with so many devices per variant."""
    if not deviation > 0:
        raise ValueError("the deviation must be above 0")
    return _power(difference / deviation, devices, alpha)


def as_one_look(devices: float, comparisons: int, exact: bool, planned: int | None = None) -> float:
    """The level of a single look that is as strict as the sequence is after so many devices of two variants. `exact`:
    whether an exact test of a loss takes a part of the level. `planned`: devices of the two to which the sequence is
    tuned."""
    level = rule.sequence_level(comparisons, planned=planned is not None, exact=exact)
    return erfc(sequence.quantile(ceil(devices), level, planned) / sqrt(2))


def per_arm(devices: float, of_baseline: float) -> float:
    """Two equal arms of so many devices tell as much as these two: the harmonic mean. 0 when one is empty."""
    return 2 / (1 / devices + 1 / of_baseline) if devices > 0 and of_baseline > 0 else 0.0


def in_all(devices: int, shares: Sequence[float], baseline: int = 0) -> int:
    """Devices in all variants so that each, compared with the baseline, tells as much as two arms of `devices`.

    The variant with the smallest share decides. `shares` are in any unit; raises ValueError when one is not above 0.
    """
    if not all(share > 0 for share in shares):
        raise ValueError("every share must be above 0")
    others = [share for place, share in enumerate(shares) if place != baseline]
    needed = max(devices * sum(shares) / per_arm(share, shares[baseline]) for share in others)
    return ceil(round(needed, 6))  # 3 x 8,143 in thirds is not one more for what a float loses


def days(devices: int, per_day: float) -> int:
    """Days until so many devices have come, a week at least: no gain is told before. Raises ValueError unless some
    come."""
    if not per_day > 0:
        raise ValueError("the devices per day must be above 0")
    return max(ceil(devices / per_day), rule.FEWEST_DAYS)


def _z(power: float, alpha: float) -> float:
    if not (0 < alpha < 1 and alpha / 2 < power < 1):
        raise ValueError("the level must be between 0 and 1, and the power between it and 1")
    return NORMAL.inv_cdf(1 - alpha / 2) + NORMAL.inv_cdf(power)


def _angle(base: float, effect: float) -> float:
    """Cohen's effect size h of two proportions."""
    other = base * (1 + effect)
    if not (0 < base < 1 and 0 <= other <= 1):
        raise ValueError("both rates must be between 0 and 1, and differ")
    return 2 * asin(sqrt(other)) - 2 * asin(sqrt(base))


def _power(effect: float, devices: float, alpha: float) -> float:
    """Of a two-sided test of two means `effect` deviations apart."""
    if not devices > 0:
        raise ValueError("there must be devices")
    shift, quantile = abs(effect) * sqrt(devices / 2), NORMAL.inv_cdf(1 - alpha / 2)
    return NORMAL.cdf(shift - quantile) + NORMAL.cdf(-shift - quantile)
