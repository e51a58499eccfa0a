from fractions import Fraction
from statistics import mean, variance

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable

from abtest.inference.statistics.moments import Moments, comparable, estimate, summed
from abtest.inference.statistics.testing import freedom

TOTALS = st.lists(st.integers(-(10**16), 10**16), min_size=2, max_size=30)


def moments(totals: list[int]) -> Moments:
    return Moments(len(totals), 0, len(totals), sum(totals), sum(total * total for total in totals))


@given(TOTALS)
def test_the_mean_is_exact_and_the_variance_as_near_as_a_float(totals: list[int]) -> None:
    exact = [Fraction(total) for total in totals]
    assert moments(totals).mean == mean(exact)
    assert moments(totals).variance == float(variance(exact))


@given(TOTALS, TOTALS)
def test_pooled_it_has_the_variance_of_all_devices_together(a: list[int], b: list[int]) -> None:
    found = estimate([(moments(a), moments(b))], 0, [0, 1], pooled=True)
    assert found is not None
    assert found.mean == mean(map(Fraction, a))
    assert found.variance == pytest.approx(float(variance(map(Fraction, a + b)) / len(a)))


def test_pooled_estimates_have_the_degrees_of_freedom_of_one_variance() -> None:
    strata = [(moments(list(range(25))), moments(list(range(5, 30))))]
    one, other = (estimate(strata, place, [0, 1], pooled=True) for place in (0, 1))
    assert one is not None
    assert other is not None
    assert freedom(one, other) == pytest.approx(49)


@given(TOTALS, TOTALS, TOTALS, TOTALS)
def test_phases_weigh_what_they_can_tell(a: list[int], b: list[int], c: list[int], d: list[int]) -> None:
    strata = [(moments(a), moments(b)), (moments(c), moments(d))]
    found = estimate(strata, 0, [0, 1])
    first, second = (Fraction(len(one) * len(other), len(one) + len(other)) for one, other in ((a, b), (c, d)))
    assert found is not None
    assert found.mean == (first * mean(map(Fraction, a)) + second * mean(map(Fraction, c))) / (first + second)
    spread = first**2 * variance(map(Fraction, a)) / len(a) + second**2 * variance(map(Fraction, c)) / len(c)
    assert found.variance == pytest.approx(float(spread / (first + second) ** 2))


@given(TOTALS)
def test_one_phase_is_its_plain_mean(totals: list[int]) -> None:
    found = estimate([(moments(totals), Moments(7, 0, 0, 0, 0))], 0, [0, 1], scale=10_000)
    assert found is not None
    assert found.mean == Fraction(sum(totals), len(totals) * 10_000)
    assert found.variance == pytest.approx(float(variance(map(Fraction, totals))) / len(totals) / 1e8)
    assert found.freedom == pytest.approx(len(totals) - 1)


def test_the_ratio_over_phases_is_that_of_mantel_and_haenszel() -> None:
    counts = [((12, 1_000), (990, 99_000)), ((600, 5_000), (500, 5_000)), ((70, 300), (80, 400))]
    strata = [tuple(Moments(n, 0, k, k, k) for k, n in arms) for arms in counts]
    mine, base = (estimate(strata, place, [0, 1]) for place in (0, 1))
    tables = [np.array([[k, n - k] for k, n in arms]) for arms in counts]
    assert mine is not None
    assert base is not None
    assert float(mine.mean / base.mean) == pytest.approx(StratifiedTable(tables).riskratio_pooled, rel=1e-9)


def test_what_cannot_be_compared_is_left_out() -> None:
    strata = [(Moments(5), Moments(1)), (Moments(5), Moments(5))]
    assert comparable(strata, [0, 1]) == strata[1:]
    assert estimate([], 0, [0, 1]) is None
    assert summed(strata, 1).n == 6
