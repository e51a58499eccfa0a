"""A confidence sequence: intervals that hold at all looks together, so that one may look at any time.

I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, Time-uniform central limit theory and asymptotic
confidence sequences, Annals of Statistics 52, 2024 (arXiv 2103.06476): the boundary of the Gaussian mixture, equation
(12) of Theorem 2.2, and its tuning, equation (10) of Appendix B.2.
"""

from math import log, sqrt

from abtest.inference.moments import Estimate

TUNED_WITHOUT_PLAN = 10_000
"""Devices at which the sequence is narrowest when nobody planned a number."""


def half_width(one: Estimate, other: Estimate, alpha: float, planned: int | None) -> float:
    """Half of the sequence's interval for the difference of two means after this many devices.

    `planned`: devices of both together at which it shall be narrowest; it must not depend on what was seen.
    """
    devices = one.n + other.n
    rho2 = _mixing_variance(alpha, planned or TUNED_WITHOUT_PLAN)
    grown = devices * rho2 + 1
    return sqrt((one.variance + other.variance) * 2 * grown / (devices * rho2) * log(sqrt(grown) / alpha))


def _mixing_variance(alpha: float, devices: int) -> float:
    """rho^2 for which the boundary is narrowest after so many devices."""
    return (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / devices
