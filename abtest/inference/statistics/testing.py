"""Intervals and p-values."""

from collections.abc import Sequence
from math import exp, inf, pi, sqrt

from scipy.special import chdtrc, fdtrc, ndtri, stdtr, stdtrit

from abtest.inference.statistics.moments import Estimate, Moments

Interval = tuple[float, float]


def normal_quantile(probability: float) -> float:
    """The standard normal distribution's quantile."""
    return float(ndtri(probability))


def t_quantile(freedom: float, probability: float) -> float:
    """Student's quantile; the normal one where the degrees of freedom have no end."""
    return normal_quantile(probability) if freedom == inf else float(stdtrit(freedom, probability))


def mean_interval(found: Estimate, alpha: float) -> Interval:
    """Student's interval of a mean (Welch's over strata)."""
    half = t_quantile(found.freedom, 1 - alpha / 2) * sqrt(found.variance)
    return float(found.mean) - half, float(found.mean) + half


def wilson(rate: float, n: float, alpha: float) -> Interval:
    """The score interval of a proportion (E. B. Wilson, JASA 22, 1927). `n`: devices, or effective devices."""
    z2 = normal_quantile(1 - alpha / 2) ** 2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def score(found: Estimate, alpha: float) -> Interval:
    """Wilson's interval of an estimate. With several phases, its number of devices is the one that would give the
    estimate's variance (E. L. Korn and B. I. Graubard, Survey Methodology 24, 1998), never more than there are."""
    rate = min(max(float(found.mean), 0.0), 1.0)
    # The estimate's variance is the unbiased one, of n - 1: one phase gives exactly its n back.
    n = min(rate * (1 - rate) / found.variance + 1, found.n) if found.variance else found.n
    return wilson(rate, n, alpha)


def newcombe(rate: float, own: Interval, base: float, others: Interval) -> Interval:
    """The interval of a difference of proportions from their score intervals (R. G. Newcombe, Statistics in Medicine
    17, 1998, method 10)."""
    difference = rate - base
    below = sqrt((rate - own[0]) ** 2 + (others[1] - base) ** 2)
    above = sqrt((own[1] - rate) ** 2 + (base - others[0]) ** 2)
    return difference - below, difference + above


def welch(one: Estimate, other: Estimate) -> float | None:
    """Two-sided p-value of a difference of means (Welch 1947); None where nothing varies."""
    variance = one.variance + other.variance
    if not variance:
        return None
    statistic = float(one.mean - other.mean) / sqrt(variance)
    return 2 * float(stdtr(freedom(one, other), -abs(statistic)))


def freedom(one: Estimate, other: Estimate) -> float:
    """Welch's degrees of freedom of a difference."""
    terms = one.terms + other.terms
    return (one.variance + other.variance) ** 2 / terms if terms else inf


Table = Sequence[tuple[int, int]]
"""A row per variant: devices with something, and devices without."""


def chi_square(table: Table) -> float | None:
    """p-value of Pearson's test that all rows of a table have one ratio; None where nothing varies."""
    rows = [row for row in table if sum(row)]
    columns = [sum(column) for column in zip(*rows, strict=True)]
    if len(rows) < 2 or not all(columns):
        return None
    wanted = [[sum(row) * column / sum(columns) for column in columns] for row in rows]
    statistic = sum(
        (found - want) ** 2 / want
        for row, wants in zip(rows, wanted, strict=True)
        for found, want in zip(row, wants, strict=True)
    )
    return float(chdtrc(len(rows) - 1, statistic))


def welch_anova(groups: Sequence[Moments]) -> float | None:
    """p-value of one mean in all groups with unequal variances (B. L. Welch, Biometrika 38, 1951)."""
    if len(groups) < 2 or any(group.n < 2 or not group.variance for group in groups):
        return None
    weights = [float(group.n / group.variance) for group in groups]
    means = [float(group.mean - groups[0].mean) for group in groups]  # exact before it is a float
    whole, k = sum(weights), len(groups)
    centre = sum(weight * mean for weight, mean in zip(weights, means, strict=True)) / whole
    spread = sum(weight * (mean - centre) ** 2 for weight, mean in zip(weights, means, strict=True)) / (k - 1)
    terms = sum((1 - weight / whole) ** 2 / (group.n - 1) for weight, group in zip(weights, groups, strict=True))
    statistic = spread / (1 + 2 * (k - 2) * terms / (k * k - 1))
    return float(fdtrc(k - 1, (k * k - 1) / (3 * terms), statistic))


def wald(estimates: Sequence[Estimate]) -> float | None:
    """p-value of one mean in all groups from independent estimates: their weighted spread is chi-square distributed
    for many devices (W. G. Cochran, Biometrics 10, 1954)."""
    if len(estimates) < 2 or not all(each.variance for each in estimates):
        return None
    weights = [1 / each.variance for each in estimates]
    means = [float(each.mean - estimates[0].mean) for each in estimates]  # exact before it is a float
    centre = sum(weight * mean for weight, mean in zip(weights, means, strict=True)) / sum(weights)
    spread = sum(weight * (mean - centre) ** 2 for weight, mean in zip(weights, means, strict=True))
    return float(chdtrc(len(estimates) - 1, spread))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (S. Holm, Scandinavian Journal of Statistics 6, 1979)."""
    corrected = [0.0] * len(p_values)
    worst = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = worst
    return corrected


def normal_density(x: float) -> float:
    """The standard normal distribution's density."""
    return exp(-x * x / 2) / sqrt(2 * pi)
