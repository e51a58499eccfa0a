import pytest
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from abtest.inference import planning


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


def test_a_rate_that_cannot_rise_enough_is_not_detectable() -> None:
    assert planning.detectable_rate(0.9, 5) is None


def test_days() -> None:
    assert planning.days(16_286, 1_000) == 17


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
    ],
)
def test_what_cannot_be_planned_is_refused(ask: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        ask()  # type: ignore[operator]
