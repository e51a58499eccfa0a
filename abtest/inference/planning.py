"""How many devices a test needs, and what can be found with those there are."""

from math import asin, ceil, sin, sqrt

from abtest.inference.testing import normal_quantile

ALPHA, POWER = 0.05, 0.8


def devices_for_rate(base: float, effect: float, power: float = POWER, alpha: float = ALPHA) -> int:
    """Devices per variant so that a rate of base * (1 + effect) is told from base with this power, two-sided.

    Cohen's effect size h of two proportions (J. Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd
    ed. 1988, chapter 6). Raises ValueError when a rate is not between 0 and 1, or there is no effect.
    """
    other = base * (1 + effect)
    if not (0 < base < 1 and 0 <= other <= 1 and effect):
        raise ValueError("both rates must be between 0 and 1, and differ")
    h = 2 * asin(sqrt(other)) - 2 * asin(sqrt(base))
    return ceil(2 * (_z(power, alpha) / h) ** 2)


def devices_for_mean(deviation: float, difference: float, power: float = POWER, alpha: float = ALPHA) -> int:
    """Devices per variant so that a difference of means is found; `deviation` is that of the devices' totals.

    Raises ValueError when one of them is 0.
    """
    if not deviation > 0 or not difference:
        raise ValueError("the deviation must be above 0, and so must the difference")
    return ceil(2 * (_z(power, alpha) * deviation / difference) ** 2)


def detectable_rate(base: float, devices: int, power: float = POWER, alpha: float = ALPHA) -> float | None:
    """The smallest increase, relative to the base rate, that is found with so many devices per variant; None when
    even a rate of 1 is not.

    Raises ValueError when the rate is not between 0 and 1, or there are no devices.
    """
    if not 0 < base < 1 or devices < 1:
        raise ValueError("the rate must be between 0 and 1, and there must be devices")
    angle = asin(sqrt(base)) + _z(power, alpha) / sqrt(2 * devices)
    return None if angle > asin(1) else sin(angle) ** 2 / base - 1


def detectable_mean(deviation: float, devices: int, power: float = POWER, alpha: float = ALPHA) -> float:
    """The smallest difference of means that is found with so many devices per variant."""
    if devices < 1:
        raise ValueError("there must be devices")
    return _z(power, alpha) * deviation * sqrt(2 / devices)


def days(devices: int, per_day: float) -> int:
    """Days until so many devices have come. Raises ValueError unless some come."""
    if not per_day > 0:
        raise ValueError("the devices per day must be above 0")
    return ceil(devices / per_day)


def _z(power: float, alpha: float) -> float:
    return normal_quantile(1 - alpha / 2) + normal_quantile(power)
