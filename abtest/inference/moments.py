"""What is known of the devices of a variant, and means with their variance, combined over phases.

Phases are strata (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, chapter 5): a mean is estimated in each and the
estimates are added with the strata's parts of all devices as weights, as post-stratification does (Miratrix, Sekhon
and Yu, Adjusting treatment effect estimates by post-stratification, JRSS B 75, 2013). Counts are never pooled:
devices of different phases were drawn with different shares and came at different times.
"""

from collections.abc import Sequence
from fractions import Fraction

from msgspec import Struct

UNITS = 10_000
"""An amount of 1 is this many units; amounts are whole numbers of units."""


class Moments(Struct, frozen=True):
    """Sufficient statistics of one variant in one phase for one metric.

    `n` devices were assigned; `exposed` of them reported it; `converters` have at least one event. `total` and
    `squares` are the sum, and the sum of squares, of the devices' totals: of units for an amount, of 0 and 1 for a
    conversion.
    """

    n: int = 0
    exposed: int = 0
    converters: int = 0
    total: int = 0
    squares: int = 0

    @property
    def mean(self) -> Fraction:
        """Per assigned device. Raises ZeroDivisionError without one."""
        return Fraction(self.total, self.n)

    @property
    def variance(self) -> Fraction:
        """The unbiased sample variance. Exact: squares and total nearly cancel for large means."""
        return Fraction(self.squares * self.n - self.total * self.total, self.n * (self.n - 1))


Stratum = tuple[Moments, ...]
"""One phase: the moments of each variant, in the order of the experiment's values."""


class Estimate(Struct, frozen=True):
    """A mean per device over strata: `variance` is that of the estimate, `freedom` its degrees of freedom.

    The degrees are Welch's and Satterthwaite's (B. L. Welch, Biometrika 34, 1947), over all strata.
    """

    mean: float
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


def estimate(strata: Sequence[Stratum], variant: int, variants: Sequence[int], scale: int = 1) -> Estimate | None:
    """The mean of a variant, weighed by the devices that all `variants` have in each stratum; None without any.

    `scale`: units per 1, UNITS for amounts. Every stratum must be comparable in these variants.
    """
    weights = [sum(stratum[each].n for each in variants) for stratum in strata]
    whole = sum(weights)
    if not whole:
        return None
    mean = variance = Fraction(0)
    terms = 0.0
    for stratum, weight in zip(strata, weights, strict=True):
        moments, part = stratum[variant], Fraction(weight, whole)
        own = part * part * moments.variance / moments.n
        mean += part * moments.mean
        variance += own
        terms += float(own / scale**2) ** 2 / (moments.n - 1)
    spread = float(variance / scale**2)
    freedom = spread**2 / terms if terms else float(sum(stratum[variant].n - 1 for stratum in strata))
    return Estimate(float(mean / scale), spread, freedom, sum(stratum[variant].n for stratum in strata))


def summed(strata: Sequence[Stratum], variant: int) -> Moments:
    """Plain sums over the phases: for counts that people read, never for an estimate."""
    parts = [stratum[variant] for stratum in strata]
    return Moments(*(sum(getattr(part, name) for part in parts) for name in Moments.__struct_fields__))
