"""Lifts, and what is not safe for peeking."""

from fractions import Fraction
from math import inf, sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from abtest.inference.answers import Lift
from abtest.inference.statistics import lift as lifts
from abtest.inference.statistics import testing
from abtest.inference.statistics.moments import Estimate

MEANS = st.fractions(Fraction(-3), Fraction(3), max_denominator=1_000)
VARIANCES = st.floats(1e-6, 1.0)


def known(mean: Fraction | int, variance: float, freedom: float = inf) -> Estimate:
    return Estimate(Fraction(mean), variance, freedom, 1_000)


@given(
    MEANS, VARIANCES, st.fractions(Fraction(1, 100), 3, max_denominator=1_000), st.floats(0, 0.24), st.floats(1, 6)
)
def test_a_relative_lift_leaves_out_zero_exactly_when_the_difference_does(
    a: Fraction, a_variance: float, b: Fraction, doubt: float, quantile: float
) -> None:
    b_variance = doubt * (float(b) / quantile) ** 2
    mine, base = known(a, a_variance), known(b, b_variance)
    assert lifts.has_ratio(base, quantile)
    errors = abs(float(a - b)) / sqrt(a_variance + b_variance)
    assume(abs(errors - quantile) > 1e-6)
    found = lifts.lift(mine, base, quantile, relative=True)
    assert found.low <= found.value <= found.high
    assert found.shown == (errors > quantile)


def test_the_ends_of_a_relative_lift_are_the_ratios_that_are_just_not_excluded() -> None:
    mine, base = known(Fraction(6, 100), 0.06 * 0.94 / 6_000), known(Fraction(5, 100), 0.05 * 0.95 / 6_000)
    found = lifts.lift(mine, base, 1.96, relative=True)

    def excess(ratio: float) -> float:
        return abs(0.06 - ratio * 0.05) - 1.96 * sqrt(mine.variance + ratio**2 * base.variance)

    assert found.low + 1 == pytest.approx(optimize.brentq(excess, 0.5, 1.2, xtol=1e-15), rel=1e-9)
    assert found.high + 1 == pytest.approx(optimize.brentq(excess, 1.2, 3.0, xtol=1e-15), rel=1e-9)


def test_with_a_baseline_known_exactly_it_is_the_delta_methods() -> None:
    found = lifts.lift(known(6, 0.25), known(5, 1e-18), 2.0, relative=True)
    assert found.low == pytest.approx(0.2 - 2 * 0.5 / 5)
    assert found.high == pytest.approx(0.2 + 2 * 0.5 / 5)


def test_a_baseline_that_is_hardly_known_has_no_ratio() -> None:
    assert not lifts.has_ratio(known(0, 0.0), 2.0)
    assert not lifts.has_ratio(known(-1, 0.01), 2.0)
    assert not lifts.has_ratio(known(1, 0.07), 2.0)
    assert lifts.has_ratio(known(1, 0.06), 2.0)
    assert lifts.lift(known(2, 0.25), known(-1, 0.0), 2.0, relative=False) == Lift(False, 3.0, 2.0, 4.0)


def test_nothing_can_fall_by_more_than_all_of_it() -> None:
    mine, base = known(Fraction(1, 1_000), 1e-5), known(Fraction(5, 100), 1e-5)
    assert lifts.lift(mine, base, 3.0, relative=True).low < -1
    assert lifts.lift(mine, base, 3.0, relative=True, floor=-1.0).low == -1


def test_where_less_is_better_the_chance_and_the_loss_are_turned() -> None:
    mine, base = known(6, 0.25), known(5, 0.25)
    assert lifts.chance_to_beat(mine, base, less=True) == pytest.approx(lifts.chance_to_beat(base, mine))
    assert lifts.expected_loss(mine, base, less=True) == pytest.approx(lifts.expected_loss(base, mine))


@given(MEANS, VARIANCES, MEANS, VARIANCES)
def test_chance_to_beat_and_expected_loss_are_those_of_normal_means(
    a: Fraction, a_variance: float, b: Fraction, b_variance: float
) -> None:
    mine, base = known(a, a_variance), known(b, b_variance)
    gain = stats.norm(float(a - b), sqrt(a_variance + b_variance))
    assert lifts.chance_to_beat(mine, base) == pytest.approx(gain.sf(0), abs=1e-12)
    low = min(gain.ppf(1e-15), -1e-9)
    loss, _ = integrate.quad(lambda x: -x * gain.pdf(x), low, 0, points=[min(gain.mean(), 0)], epsabs=1e-13)
    assert lifts.expected_loss(mine, base) == pytest.approx(loss, rel=1e-6, abs=1e-9)
    assert testing.welch(known(1, 0.0), known(2, 0.0)) is lifts.chance_to_beat(known(1, 0.0), known(2, 0.0)) is None
    assert lifts.expected_loss(known(1, 0.0), known(2, 0.0)) is None
