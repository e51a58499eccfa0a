from math import exp, log, sqrt

import pytest
from scipy import integrate, optimize, stats

from abtest.inference import rule
from abtest.inference.statistics import sequence


@pytest.mark.parametrize("devices", [50, 1_000, 10_000, 500_000])
@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.0025])
def test_at_the_boundary_the_mixture_is_one_over_alpha(devices: int, alpha: float) -> None:
    """Robbins' martingale: the likelihood ratio against normal effects, which exceeds 1 / alpha with probability
    alpha at most, is just 1 / alpha where the interval ends."""
    rho = sqrt(sequence._mixing_variance(alpha, 10_000))
    end = sequence.quantile(devices, alpha, 10_000) * sqrt(devices)

    def ratio(effect: float) -> float:
        return float(exp(effect * end - effect**2 * devices / 2) * stats.norm.pdf(effect, scale=rho))

    found, _ = integrate.quad(ratio, -8 * rho, 8 * rho, limit=400, points=[end / devices], epsabs=1e-10)
    assert found == pytest.approx(1 / alpha, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_it_is_nearly_the_narrowest_at_the_planned_number(alpha: float) -> None:
    devices = 12_000

    def width(log_rho2: float) -> float:
        grown = devices * exp(log_rho2) + 1
        return sqrt(2 * grown / (grown - 1) * log(sqrt(grown) / alpha))

    best = optimize.minimize_scalar(width, bounds=(-20, 0), method="bounded")
    assert sequence.quantile(devices, alpha, devices) == pytest.approx(best.fun, rel=0.002)


def test_without_a_plan_it_is_tuned_to_ten_thousand() -> None:
    assert sequence.quantile(700, 0.05, None) == sequence.quantile(700, 0.05, 10_000)


@pytest.mark.parametrize("comparisons", [1, 2, 9])
def test_the_parts_of_the_level_add_up_to_5_percent(comparisons: int) -> None:
    for exact in (False, True):
        beside = rule.exact_level(comparisons) if exact else 0.0
        before, alone = (rule.sequence_level(comparisons, planned, exact) + beside for planned in (True, False))
        assert comparisons * (before + rule.plan_level(comparisons)) == pytest.approx(0.05)
        assert comparisons * alone == pytest.approx(0.05)
