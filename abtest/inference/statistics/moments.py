"""What is known about a variant's devices, and means with their variance, combined over phases.

Phases are strata: a mean is estimated in each, and the estimates are added. Counts are never pooled: devices of
different phases were drawn with different shares and came at different times.

A stratum weighs 1 / (sum of 1 / n over the compared variants), which is n1 * n2 / (n1 + n2) for two (W. G. Cochran,
Some methods for strengthening the common chi-square tests, Biometrics 10, 1954). The ratio of two means is then that
of N. Mantel and W. Haenszel (JNCI 22, 1959; S. Greenland and J. M. Robins, Biometrics 41, 1985). The weights do not
depend on outcomes, and a phase that gave a variant 1% of many devices does not outweigh the next one, which tells
more.
"""

from collections.abc import Sequence
from fractions import Fraction

from msgspec import Struct

AMOUNT_UNITS = 10_000
"""An amount of 1 is this many units; amounts are whole numbers of units."""
Bucket = tuple[int, int, int, int]


class Moments(Struct, frozen=True):
    """Sufficient statistics of one variant in one phase for one metric.

    `n` devices were assigned; `exposed` of them reported exposure; `converters` have at least one event. `total` and
    `squares` are the sum, and the sum of squares, of the devices' totals: these are in units for an amount, and 0 or
    1 for a conversion. `buckets`, for an amount: (bucket, devices, total, squares) of the devices with an event.
    """

    n: int = 0
    exposed: int = 0
    converters: int = 0
    total: int = 0
    squares: int = 0
    buckets: tuple[Bucket, ...] = ()

    @property
    def mean(self) -> Fraction:
        """Per assigned device. Raises ZeroDivisionError without one."""
        return Fraction(self.total, self.n)

    @property
    def variance(self) -> float:
        """The unbiased sample variance. Squares and total nearly cancel for large means: only the quotient of the
        integers is rounded."""
        return (self.squares * self.n - self.total * self.total) / (self.n * (self.n - 1))


COUNTS = ("n", "exposed", "converters", "total", "squares")

Stratum = tuple[Moments, ...]
"""One phase: the moments of each variant, in the order of the experiment's values."""


class Estimate(Struct, frozen=True):
    """An exact mean per device over strata. `variance`: of the estimate; `freedom`: its degrees of freedom.

    The degrees are Welch's and Satterthwaite's (B. L. Welch, Biometrika 34, 1947), over all strata.
    """

    mean: Fraction
    variance: float
    freedom: float
    n: int

    @property
    def terms(self) -> float:
        """variance^2 / freedom, which adds up over independent estimates."""
        return self.variance**2 / self.freedom if self.variance else 0.0


def comparable(strata: Sequence[Stratum], variants: Sequence[int]) -> list[Stratum]:
    """The strata in which each of these variants has at least two devices: the others can't compare them."""
    return [stratum for stratum in strata if all(stratum[variant].n >= 2 for variant in variants)]


def estimate(
    strata: Sequence[Stratum], variant: int, variants: Sequence[int], scale: int = 1, *, pooled: bool = False
) -> Estimate | None:
    """The mean of a variant, in the weights that the comparison of all `variants` gives the strata; None without
    strata.

    `scale`: units per 1, AMOUNT_UNITS for amounts. `pooled`: use, in each stratum, the variance of all `variants`
    together, which is right if they do not differ; since all estimates then share it, their `terms` add up to those
    of one variance. Every stratum must be comparable in these variants.
    """
    if not strata:
        return None
    weights = [1 / sum((Fraction(1, stratum[each].n) for each in variants), Fraction(0)) for stratum in strata]
    whole = sum(weights, Fraction(0))
    mean, spread, terms = Fraction(0), 0.0, 0.0
    for stratum, weight in zip(strata, weights, strict=True):
        moments, part = stratum[variant], weight / whole
        basis = added([stratum[each] for each in variants]) if pooled else moments
        unit = float(part) ** 2 * basis.variance / scale**2
        own = unit / moments.n
        shared = sum(unit / stratum[each].n for each in variants) if pooled else own
        mean += part * moments.mean
        spread += own
        terms += own * shared / (basis.n - 1)
    n = sum(stratum[variant].n for stratum in strata)
    return Estimate(mean / scale, spread, spread**2 / terms if terms else float(n - len(strata)), n)


def added(parts: Sequence[Moments]) -> Moments:
    """The moments of all these devices together, without buckets."""
    return Moments(*(sum(getattr(part, name) for part in parts) for name in COUNTS))


def summed(strata: Sequence[Stratum], variant: int) -> Moments:
    """Plain sums over the phases: for counts that people read, never for an estimate."""
    return added([stratum[variant] for stratum in strata])
