import pytest
from scipy.stats import norm
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from abtest.inference import planning
from abtest.inference.statistics import sequence


@pytest.mark.parametrize(("base", "effect"), [(0.05, 0.2), (0.5, -0.1), (0.001, 3.0), (0.9, 0.05)])
def test_devices_for_a_rate(base: float, effect: float) -> None:
    h = proportion_effectsize(base * (1 + effect), base)
    needed = NormalIndPower().solve_power(h, alpha=0.05, power=0.8)
    assert planning.devices_for_rate(base, effect) == pytest.approx(needed, abs=1)


def test_what_is_promised_for_5_percent_and_a_fifth_more() -> None:
    assert planning.devices_for_rate(0.05, 0.2) == 8_143


def test_what_600_devices_over_three_variants_can_find() -> None:
    assert planning.detectable_rate(0.05, 200) == pytest.approx(1.56, abs=0.005)


@pytest.mark.parametrize("devices", [10, 200, 8_143, 10**9])
def test_what_is_detectable_needs_so_many_devices(devices: int) -> None:
    found = planning.detectable_rate(0.05, devices)
    assert found is not None
    assert planning.devices_for_rate(0.05, found) == pytest.approx(devices, abs=1)
    difference = planning.detectable_mean(3.0, devices)
    assert planning.devices_for_mean(3.0, difference) == pytest.approx(devices, abs=1)


def test_a_rate_that_cannot_rise_or_fall_enough_is_not_detectable() -> None:
    assert planning.detectable_rate(0.9, 5) is None
    assert planning.detectable_rate(0.1, 5, less=True) is None


def test_a_fall_is_detected_that_needs_so_many_devices() -> None:
    found = planning.detectable_rate(0.05, 8_143, less=True)
    assert found is not None
    assert -0.2 < found < 0
    assert planning.devices_for_rate(0.05, found) == pytest.approx(8_143, abs=1)


def test_a_look_is_as_strict_as_the_sequence_that_goes_on() -> None:
    quantile = sequence.quantile(16_286, 0.045, None)
    assert planning.as_one_look(16_286, 1, exact=True) == pytest.approx(2 * norm.sf(quantile))
    assert planning.as_one_look(16_286, 2, exact=False) == pytest.approx(
        2 * norm.sf(sequence.quantile(16_286, 0.025, None))
    )


@pytest.mark.parametrize(("devices", "of_baseline"), [(8_143, 8_143), (200, 200), (600, 9_000)])
@pytest.mark.parametrize("alpha", [0.05, 0.04, 0.04 / 3])
def test_how_often_a_test_finds_an_effect(devices: int, of_baseline: int, alpha: float) -> None:
    arm = planning.per_arm(devices, of_baseline)
    h = proportion_effectsize(0.06, 0.05)
    expected = NormalIndPower().power(h, devices, alpha, ratio=of_baseline / devices)
    assert planning.power_for_rate(0.05, 0.2, arm, alpha) == pytest.approx(expected, rel=1e-9)
    expected = NormalIndPower().power(0.1, devices, alpha, ratio=of_baseline / devices)
    assert planning.power_for_mean(3.0, -0.3, arm, alpha) == pytest.approx(expected, rel=1e-9)


def test_what_is_planned_for_is_found_as_often_as_was_asked() -> None:
    assert planning.power_for_rate(0.05, 0.2, planning.devices_for_rate(0.05, 0.2)) == pytest.approx(0.8, abs=1e-4)
    assert planning.power_for_rate(0.05, 0.2, 1e12) == 1.0
    assert planning.power_for_rate(0.05, 0.0, 5_000) == pytest.approx(0.05)


def test_unequal_arms_count_as_equal_ones_of_their_harmonic_mean() -> None:
    assert planning.per_arm(30, 450) == 56.25
    assert planning.per_arm(0, 450) == 0.0


def test_the_variant_with_the_smallest_share_decides_how_many_devices_are_needed() -> None:
    assert planning.in_all(8_143, [0.1] * 3) == 3 * 8_143
    whole = planning.in_all(8_143, [75, 10, 5, 10])
    assert planning.per_arm(whole * 0.05, whole * 0.75) == pytest.approx(8_143, abs=1)
    assert planning.in_all(8_143, [5, 10, 75, 10], baseline=2) == whole
    with pytest.raises(ValueError, match="must be"):
        planning.in_all(8_143, [50, 50, 0])


def test_days_are_a_week_at_least() -> None:
    assert planning.days(16_286, 1_000) == 17
    assert planning.days(16_286, 1_000_000) == 7


@pytest.mark.parametrize(
    "ask",
    [
        lambda: planning.devices_for_rate(0.0, 0.2),
        lambda: planning.devices_for_rate(0.5, 2.0),
        lambda: planning.devices_for_rate(0.5, 0.0),
        lambda: planning.devices_for_mean(0.0, 1.0),
        lambda: planning.detectable_rate(1.0, 10),
        lambda: planning.detectable_rate(0.5, 0),
        lambda: planning.detectable_mean(1.0, 0),
        lambda: planning.days(10, 0.0),
        lambda: planning.devices_for_rate(0.05, 0.2, power=1.0),
        lambda: planning.devices_for_rate(0.05, 0.2, power=0.02),
        lambda: planning.devices_for_rate(float("nan"), 0.2),
        lambda: planning.devices_for_mean(1.0, 1e-300),
        lambda: planning.power_for_rate(0.05, 0.2, 0),
        lambda: planning.power_for_mean(0.0, 0.2, 10),
    ],
)
def test_what_cannot_be_planned_is_refused(ask: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        ask()  # type: ignore[operator]
