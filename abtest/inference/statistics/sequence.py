"""A confidence sequence: intervals that hold at all looks together, so that people may look at any time.

I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, Time-uniform central limit theory and asymptotic
confidence sequences, Annals of Statistics 52, 2024 (arXiv 2103.06476): the boundary of H. Robbins' Gaussian mixture
in Theorem 2.2, and its tuning in Appendix B.2. The difference of means is their average treatment effect of a
randomized experiment (section 3): a device of either variant is one observation.
"""

from math import log, sqrt

TUNED_WITHOUT_PLAN = 10_000
"""Devices at which the sequence is narrowest without a planned number."""


def quantile(devices: int, alpha: float, planned: int | None) -> float:
    """Standard errors of the difference on either side, after so many devices of both variants together.

    `planned`: devices at which it shall be narrowest; it must not depend on what was seen.
    """
    rho2 = _mixing_variance(alpha, planned or TUNED_WITHOUT_PLAN)
    grown = devices * rho2 + 1
    return sqrt(2 * grown / (devices * rho2) * log(sqrt(grown) / alpha))


def _mixing_variance(alpha: float, devices: int) -> float:
    """rho^2 for which the boundary is nearly the narrowest after so many devices."""
    return (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / devices
