"""Intervals and p-values."""

from collections.abc import Sequence
from math import exp, inf, pi, sqrt

from scipy.special import chdtrc, fdtrc, ndtri, stdtr, stdtrit

from abtest.inference.moments import Estimate, Moments

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
    return found.mean - half, found.mean + half


def wilson(rate: float, n: float, alpha: float) -> Interval:
    """The score interval of a proportion (E. B. Wilson, JASA 22, 1927). `n`: devices, also effective ones."""
    z2 = normal_quantile(1 - alpha / 2) ** 2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


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
    statistic = (one.mean - other.mean) / sqrt(variance)
    return 2 * float(stdtr(freedom(one, other), -abs(statistic)))


def freedom(one: Estimate, other: Estimate) -> float:
    """Welch's degrees of freedom of a difference."""
    terms = one.terms + other.terms
    return (one.variance + other.variance) ** 2 / terms if terms else inf


def chi_square(counts: Sequence[tuple[int, int]]) -> float | None:
    """p-value of Pearson's test that (with, without) have one ratio in all rows; None where nothing varies."""
    sums = [sum(row[column] for row in counts) for column in (0, 1)]
    whole = sum(sums)
    rows = [row for row in counts if sum(row)]
    if not all(sums) or len(rows) < 2:
        return None
    expected = [[sum(row) * column / whole for column in sums] for row in rows]
    statistic = sum(
        (found - wanted) ** 2 / wanted
        for row, wants in zip(rows, expected, strict=True)
        for found, wanted in zip(row, wants, strict=True)
    )
    return float(chdtrc(len(rows) - 1, statistic))


def welch_anova(groups: Sequence[Moments]) -> float | None:
    """p-value of one mean in all groups with unequal variances (B. L. Welch, Biometrika 38, 1951)."""
    if len(groups) < 2 or any(group.n < 2 or not group.variance for group in groups):
        return None
    weights = [float(group.n / group.variance) for group in groups]
    means = [float(group.mean) for group in groups]
    whole, k = sum(weights), len(groups)
    centre = sum(weight * mean for weight, mean in zip(weights, means, strict=True)) / whole
    spread = sum(weight * (mean - centre) ** 2 for weight, mean in zip(weights, means, strict=True)) / (k - 1)
    terms = sum((1 - weight / whole) ** 2 / (group.n - 1) for weight, group in zip(weights, groups, strict=True))
    statistic = spread / (1 + 2 * (k - 2) * terms / (k * k - 1))
    return float(fdtrc(k - 1, (k * k - 1) / (3 * terms), statistic))


def wald(estimates: Sequence[Estimate]) -> float | None:
    """p-value of one mean in all groups from independent estimates: their weighed spread is chi-square distributed
    for many devices (W. G. Cochran, Biometrics 10, 1954)."""
    if len(estimates) < 2 or not all(each.variance for each in estimates):
        return None
    weights = [1 / each.variance for each in estimates]
    centre = sum(weight * each.mean for weight, each in zip(weights, estimates, strict=True)) / sum(weights)
    spread = sum(weight * (each.mean - centre) ** 2 for weight, each in zip(weights, estimates, strict=True))
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
