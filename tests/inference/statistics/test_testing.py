"""Intervals and p-values against statsmodels and scipy, which define the same quantities."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_generic
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from abtest.inference.statistics import testing
from abtest.inference.statistics.moments import Moments, estimate

COUNTS = [(0, 10), (10, 10), (1, 300), (150, 3_000), (420, 8_143), (3, 1_000_000_000_000)]


def exactly(value: object) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def moments(totals: list[int]) -> Moments:
    converters = sum(total != 0 for total in totals)
    return Moments(len(totals), 0, converters, sum(totals), sum(total * total for total in totals))


@pytest.mark.parametrize(("count", "n"), COUNTS)
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_wilsons_interval(count: int, n: int, alpha: float) -> None:
    assert testing.wilson(count / n, n, alpha) == exactly(proportion_confint(count, n, alpha, "wilson"))


@pytest.mark.parametrize(("one", "other"), [((60, 1000), (50, 1000)), ((0, 40), (3, 50)), ((420, 8143), (500, 8100))])
def test_newcombes_interval(one: tuple[int, int], other: tuple[int, int]) -> None:
    (a, n), (b, m) = one, other
    found = testing.newcombe(a / n, testing.wilson(a / n, n, 0.05), b / m, testing.wilson(b / m, m, 0.05))
    assert found == exactly(confint_proportions_2indep(a, n, b, m, method="newcomb", compare="diff", alpha=0.05))


GROUPS = ([0, 0, 90_000, 30_000, 0, 10_000], [0, 50_000, 0, 0, 70_000, 20_000, 0], [10_000, -20_000, 0, 5_000])


def test_welchs_test_and_interval() -> None:
    one, other = ([value / 10_000 for value in group] for group in GROUPS[:2])
    strata = [(moments(GROUPS[0]), moments(GROUPS[1]))]
    mine, base = (estimate(strata, place, [0, 1], 10_000) for place in (0, 1))
    assert mine is not None
    assert base is not None
    expected = stats.ttest_ind(one, other, equal_var=False)
    assert testing.welch(mine, base) == exactly(expected.pvalue)
    assert testing.freedom(mine, base) == exactly(expected.df)
    interval = stats.t.interval(0.95, len(one) - 1, np.mean(one), stats.sem(one))
    assert testing.mean_interval(mine, 0.05) == exactly(interval)


def test_welchs_analysis_of_variance() -> None:
    groups = [moments(group) for group in GROUPS]
    means = np.array([float(group.mean) for group in groups])
    variances = np.array([float(group.variance) for group in groups])
    expected = anova_generic(means, variances, np.array([group.n for group in groups]), use_var="unequal")
    assert testing.welch_anova(groups) == exactly(expected.pvalue)


@pytest.mark.parametrize("counts", [[(5, 95), (9, 91)], [(5, 95), (9, 91), (20, 180)], [(1, 0), (0, 1)]])
def test_pearsons_test(counts: list[tuple[int, int]]) -> None:
    assert testing.chi_square(counts) == exactly(stats.chi2_contingency(counts, correction=False).pvalue)


def test_pearsons_test_leaves_out_what_has_no_device() -> None:
    assert testing.chi_square([(40, 60), (30, 70), (0, 0)]) == testing.chi_square([(40, 60), (30, 70)])


@pytest.mark.parametrize(("count", "n"), [(1, 300), (150, 3_000), (0, 40), (40, 40)])
def test_the_score_interval_of_one_phase_is_wilsons(count: int, n: int) -> None:
    found = estimate([(Moments(n, 0, count, count, count),)], 0, [0])
    assert found is not None
    assert testing.score(found, 0.05) == exactly(proportion_confint(count, n, 0.05, "wilson"))


def test_a_mean_is_not_lost_in_a_much_larger_one() -> None:
    """What all groups have in common cancels exactly, however large it is."""
    groups = [moments([10**15 + value for value in group]) for group in GROUPS]
    assert testing.welch_anova(groups) == exactly(testing.welch_anova([moments(group) for group in GROUPS]))
    strata = [(groups[0], groups[1])]
    one, other = (estimate(strata, place, [0, 1], 10_000) for place in (0, 1))
    assert one is not None
    assert other is not None
    assert testing.welch(one, other) == exactly(stats.ttest_ind(*GROUPS[:2], equal_var=False).pvalue)


def test_where_nothing_varies_there_is_no_p_value() -> None:
    assert testing.chi_square([(0, 10), (0, 20)]) is None
    assert testing.chi_square([(1, 10), (0, 0)]) is None
    assert testing.welch_anova([moments([1, 1]), moments([0, 1])]) is None
    same = estimate([(moments([7, 7]), moments([7, 7]))], 0, [0, 1])
    assert same is not None
    assert testing.welch(same, same) is None
    assert testing.wald([same, same]) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holms_correction(p_values: list[float]) -> None:
    assert testing.holm(p_values) == exactly(multipletests(p_values, method="holm")[1].tolist())


def test_walds_test_of_two_groups_is_the_normal_one() -> None:
    strata = [(moments(GROUPS[0]), moments(GROUPS[1]))]
    found = [estimate(strata, place, [0, 1]) for place in (0, 1)]
    one, other = (each for each in found if each is not None)
    z = float(one.mean - other.mean) / sqrt(one.variance + other.variance)
    assert testing.wald([one, other]) == exactly(2 * stats.norm.sf(abs(z)))
