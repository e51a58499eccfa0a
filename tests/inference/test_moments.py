from fractions import Fraction
from statistics import mean, variance

from hypothesis import given
from hypothesis import strategies as st

from abtest.inference.moments import Moments, comparable, estimate, summed

TOTALS = st.lists(st.integers(-(10**16), 10**16), min_size=2, max_size=30)


def moments(totals: list[int]) -> Moments:
    return Moments(len(totals), 0, len(totals), sum(totals), sum(total * total for total in totals))


@given(TOTALS)
def test_mean_and_variance_are_exact(totals: list[int]) -> None:
    exact = [Fraction(total) for total in totals]
    assert (moments(totals).mean, moments(totals).variance) == (mean(exact), variance(exact))


@given(TOTALS, TOTALS, TOTALS, TOTALS)
def test_an_estimate_over_phases_is_their_weighed_mean(
    a: list[int], b: list[int], c: list[int], d: list[int]
) -> None:
    strata = [(moments(a), moments(b)), (moments(c), moments(d))]
    found = estimate(strata, 0, [0, 1])
    first, second = len(a) + len(b), len(c) + len(d)
    expected = (first * mean(map(Fraction, a)) + second * mean(map(Fraction, c))) / (first + second)
    assert found is not None
    assert found.mean == float(expected)


def test_what_cannot_be_compared_is_left_out() -> None:
    strata = [(Moments(5), Moments(1)), (Moments(5), Moments(5))]
    assert comparable(strata, [0, 1]) == strata[1:]
    assert estimate([], 0, [0, 1]) is None
    assert summed(strata, 1).n == 6
