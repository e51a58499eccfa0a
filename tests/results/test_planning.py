"""The planner: what is asked, in figures and in words."""

from decimal import Decimal
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.errors import InvalidSetting
from abtest.inference import planning as formulas
from abtest.results.planning import (
    PlanRequest,
    equal,
    found_with,
    next_step,
    parse_number,
    parse_part,
    parse_whole,
    plan,
    plans,
)

WEIGHTS = tuple(map(Decimal, (75, 10, 5, 10)))
FIFTH = PlanRequest(base=0.05, effect=0.2)
FEW = PlanRequest(base=0.05, devices=600, weights=equal(3))


def test_5_percent_and_a_fifth_more_need_8143_devices_per_variant() -> None:
    found = plan(FIFTH)
    assert (found.per_variant, found.devices, found.planned) == ((8_143, 8_143), 16_286, 16_286)
    assert found.sentence == (
        "8,143 devices per variant, 16,286 in all, find a difference of +20% (a rate of 5% that becomes 6%) "
        "in 4 of 5 tests"
    )


def test_600_devices_find_only_156_percent_and_it_says_so() -> None:
    found = plan(FEW)
    assert found.effect == pytest.approx(1.56, abs=0.005)
    assert found.sentence.startswith("With 600 devices, the smallest difference found in 4 of 5 tests is about +156%")
    assert found.per_variant == (200, 200, 200)


def test_what_is_found_with_some_devices_needs_so_many() -> None:
    effect = plan(FEW).effect
    assert effect is not None
    assert plan(PlanRequest(base=0.05, effect=effect, weights=equal(3))).devices == pytest.approx(600, abs=3)
    assert found_with(FEW, effect, 600) == pytest.approx(0.8, abs=1e-3)


def test_an_amount_is_planned_from_its_mean_and_deviation() -> None:
    found = plan(PlanRequest(mean=9.5, deviation=30, effect=0.1))
    assert found.per_variant == (formulas.devices_for_mean(30, 0.95),) * 2
    assert "a mean of 9.5 that becomes 10.45" in found.sentence
    back = plan(PlanRequest(mean=9.5, deviation=30, devices=found.devices))
    assert back.effect == pytest.approx(0.1, abs=1e-4)


def test_with_unequal_weights_the_smallest_variant_decides() -> None:
    found = plan(PlanRequest(base=0.05, effect=0.2, weights=WEIGHTS))
    assert found.devices == formulas.in_all(8_143, [75, 10, 5, 10])
    assert sum(found.per_variant) == found.devices
    assert found.per_variant == pytest.approx([found.devices * part for part in (0.75, 0.1, 0.05, 0.1)], abs=1)
    assert f"{found.per_variant[2]:,} of them in the smallest variant" in found.sentence


def test_the_baseline_is_the_first_weight() -> None:
    small_baseline = PlanRequest(base=0.05, effect=0.2, weights=(WEIGHTS[2], WEIGHTS[0], *WEIGHTS[1::2]))
    expected = formulas.in_all(8_143, [75, 10, 5, 10], baseline=2)
    assert plan(small_baseline).devices == expected
    for weights, devices in ((small_baseline.weights, expected), (WEIGHTS, 86_859)):
        assert plan(PlanRequest(base=0.05, devices=devices, weights=weights)).effect == pytest.approx(0.2, abs=1e-4)


def test_the_rule_of_the_verdict_costs_something_and_more_with_more_variants() -> None:
    two, three = plan(FIFTH), plan(PlanRequest(base=0.05, effect=0.2, weights=equal(3)))
    assert two.rule_power == pytest.approx(formulas.power_for_rate(0.05, 0.2, 8_143, 0.04), rel=1e-12)
    assert three.rule_power == pytest.approx(formulas.power_for_rate(0.05, 0.2, 8_143, 0.02), rel=1e-12)
    assert two.rule_devices == 2 * formulas.devices_for_rate(0.05, 0.2, alpha=0.04)
    assert "in about 77% of tests with 16,286 devices, and in 4 of 5 with 17,394." in two.notes[-1]
    assert "divides its level among 2 comparisons" in three.notes[-1]


def test_without_a_planned_number_the_rule_finds_less_and_needs_more() -> None:
    found = plan(PlanRequest(base=0.05, effect=0.2, open_ended=True))
    level = formulas.as_one_look(16_286, 1, exact=True)
    assert found.rule_power == pytest.approx(formulas.power_for_rate(0.05, 0.2, 8_143, level))
    assert found.rule_devices is not None
    enough = formulas.as_one_look(found.rule_devices, 1, exact=True)
    assert formulas.power_for_rate(0.05, 0.2, found.rule_devices / 2, enough) == pytest.approx(0.8, abs=1e-4)
    assert (
        "at any time and has no planned number of devices; it finds this difference in at least 39%"
        in found.notes[-1]
    )
    assert f"and in at least 4 of 5 with {found.rule_devices:,}." in found.notes[-1]


def test_below_25_conversions_per_variant_it_says_that_no_gain_is_told() -> None:
    """At 5%, as it is without an effect, 25 conversions need 500 devices."""
    found = plan(FEW)
    assert (found.devices, found.planned) == (600, 1_500)
    assert "25 without it, which takes 1,500 devices in all. A decisive loss is reported earlier." in found.notes[0]
    assert next_step(FEW, found).endswith("--metric conversion:EVENT --planned 1500")
    assert plan(PlanRequest(base=0.95, effect=0.03)).planned == 1_399
    uneven = PlanRequest(base=0.05, devices=100, weights=(Decimal(9), Decimal(1)))
    assert plan(uneven).planned == 5_000
    assert plan(PlanRequest(mean=9.5, deviation=1, effect=2)).planned == 50


def test_percentages_have_three_figures_that_count() -> None:
    found = plan(PlanRequest(base=4207 / 21434, effect=0.12345))
    assert "a difference of +12.3% (a rate of 19.6% that becomes 22.1%)" in found.sentence


def test_days_are_told_when_the_devices_per_day_are() -> None:
    assert plan(FIFTH).days is None
    found = plan(PlanRequest(base=0.05, effect=0.2, per_day=2_000))
    assert (found.days, found.notes[0]) == (9, "With 2,000 new devices per day that takes 9 days.")
    assert "a week" in plan(PlanRequest(base=0.05, effect=0.2, per_day=10**6)).notes[0]


def test_a_rate_that_can_not_rise_enough_is_said() -> None:
    found = plan(PlanRequest(base=0.9, devices=10))
    assert (found.effect, found.rule_power) == (None, None)
    assert found.sentence == "With 10 devices, no increase is found in 4 of 5 tests, not even one to 100%"


def test_a_row_of_effects_stands_beside_the_one_that_is_asked_for() -> None:
    assert [each.effect for each in plans(PlanRequest(base=0.05, effect=0.15))] == [0.05, 0.1, 0.15, 0.2, 0.5]
    assert [each.effect for each in plans(PlanRequest(base=0.05, effect=-0.2))] == [-0.05, -0.1, -0.2, -0.5]
    assert [each.effect for each in plans(PlanRequest(base=0.9, devices=1_000))] == [0.05, 0.1]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (PlanRequest(base=0.0, effect=0.2), "base: must be a rate"),
        (PlanRequest(base=1.0, effect=-0.2), "base: must be a rate"),
        (PlanRequest(base=5.0, effect=0.2), "base: must be a rate"),
        (PlanRequest(base=nan, effect=0.2), "base: must be a rate"),
        (PlanRequest(effect=0.2), "base: give a rate, or a mean"),
        (PlanRequest(mean=1.0, effect=0.2), "base: give a rate, or a mean"),
        (PlanRequest(base=0.05, mean=1.0, deviation=1.0, effect=0.2), "not both"),
        (PlanRequest(mean=0.0, deviation=1.0, effect=0.2), "mean: must be"),
        (PlanRequest(mean=1.0, deviation=inf, effect=0.2), "deviation: must be"),
        (PlanRequest(mean=1.0, deviation=nan, effect=0.2), "deviation: must be"),
        (PlanRequest(base=0.05, effect=0.0), "effect: must be a difference"),
        (PlanRequest(base=0.05, effect=nan), "effect: must be a difference"),
        (PlanRequest(base=0.05, effect=inf), "effect: must be a difference"),
        (PlanRequest(base=0.05, effect=-1.5), "effect: must be a difference"),
        (PlanRequest(base=0.05, effect=20.0), r"effect: \+2,000% turns a rate of 5% into 105%"),
        (PlanRequest(base=0.05, effect=-1.0), "effect: -100% turns a rate of 5% into 0%"),
        (PlanRequest(base=0.05, effect=1e-9), "effect: too small here: more than 1,000,000,000,000"),
        (PlanRequest(base=0.05, effect=1e-300), "effect: too small"),
        (PlanRequest(base=0.05), "effect: give the effect to find or the number of devices"),
        (PlanRequest(base=0.05, effect=0.2, devices=5), "not both"),
        (PlanRequest(base=0.05, devices=1), r"devices: from 2 \(one for each variant\)"),
        (PlanRequest(base=0.05, devices=10**13), "devices: from 2"),
        (PlanRequest(base=0.05, effect=0.2, per_day=0), "per day: from 1"),
        (PlanRequest(base=0.05, effect=0.2, per_day=10**13), "per day: from 1"),
        (PlanRequest(base=0.05, effect=0.2, power=1.0), "power: from 10% to 99.9%"),
        (PlanRequest(base=0.05, effect=0.2, power=nan), "power: from 10%"),
        (PlanRequest(base=0.05, effect=0.2, weights=WEIGHTS[:1]), "weights: give 2 to 20"),
        (PlanRequest(base=0.05, effect=0.2, weights=WEIGHTS * 6), "weights: give 2 to 20"),
        (PlanRequest(base=0.05, effect=0.2, weights=(Decimal(1), Decimal(0))), "weights: each must be above 0"),
    ],
)
def test_what_can_not_be_planned_is_said(request_: PlanRequest, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        plan(request_)


@given(
    st.builds(
        PlanRequest,
        base=st.none() | st.floats(),
        mean=st.none() | st.floats(),
        deviation=st.none() | st.floats(),
        effect=st.none() | st.floats(),
        devices=st.none() | st.integers(),
        power=st.floats(0.05, 1),
        weights=st.lists(st.decimals(0, 9_999_999, places=4), max_size=21).map(tuple),
        per_day=st.none() | st.integers(),
    )
    | st.builds(
        PlanRequest,
        mean=st.floats(1e-9, 1e12),
        deviation=st.floats(1e-9, 1e12),
        devices=st.integers(2, 10**12),
        power=st.floats(0.1, 0.999),
    )
    | st.builds(PlanRequest, base=st.floats(1e-9, 1), devices=st.integers(2, 10**12), power=st.floats(0.1, 0.999))
    | st.builds(PlanRequest, base=st.floats(1e-9, 1), effect=st.floats(-1, 10), power=st.floats(0.1, 0.999))
)
def test_whatever_is_asked_gets_a_plan_or_is_refused_in_words(asked: PlanRequest) -> None:
    try:
        found = plan(asked)
    except InvalidSetting:
        return
    assert sum(found.per_variant) == found.devices <= found.planned
    assert not {"inf", "nan"} & set(f"{found.sentence} {' '.join(found.notes)}".split())


def test_there_are_2_to_20_variants() -> None:
    assert equal(20) == (Decimal(1),) * 20
    for variants in (-1, 0, 1, 21, 10**9):
        with pytest.raises(InvalidSetting, match="variants: from 2 to 20"):
            equal(variants)


@pytest.mark.parametrize(
    ("text", "part"), [("5%", 0.05), ("0.05", 0.05), ("+20%", 0.2), ("-20%", -0.2), (" .5 ", 0.5), ("12.5%", 0.125)]
)
def test_a_part_is_a_percentage_or_a_decimal(text: str, part: float) -> None:
    assert parse_part(text, "base") == part


@pytest.mark.parametrize("text", ["", "%", "x", "nan", "inf", "1e5", "5%%", "1,5", "--5", "٣", "9" * 400, "5\n6"])
def test_what_is_no_number_is_refused(text: str) -> None:
    for parse in (parse_part, parse_number, parse_whole):
        with pytest.raises(InvalidSetting, match="base: must be a"):
            parse(text, "base")
    with pytest.raises(InvalidSetting, match="must be a decimal number"):
        parse_number("5%", "mean")


def test_where_less_is_better_a_decrease_is_looked_for() -> None:
    found = plan(PlanRequest(base=0.05, devices=20_000, less=True))
    assert found.effect == pytest.approx(-0.1656, abs=0.0001)
    assert "found in 4 of 5 tests is about -17%: a rate of 5% that becomes 4.17%" in found.sentence
    assert plan(PlanRequest(base=0.05, effect=found.effect)).devices == pytest.approx(20_000, abs=5)
    assert [each.effect for each in plans(PlanRequest(base=0.05, devices=20_000, less=True))] == [
        -0.05,
        -0.1,
        -0.2,
        -0.5,
    ]
    assert "no decrease is found" in plan(PlanRequest(base=0.05, devices=100, less=True)).sentence
    assert plan(PlanRequest(mean=9.5, deviation=30.0, devices=5_000, less=True)).effect == pytest.approx(
        -0.25, abs=0.01
    )


def test_an_effect_to_the_worse_is_called_harm() -> None:
    harm = "is harm here"
    notes = {
        (effect, less): any(harm in note for note in plan(PlanRequest(base=0.05, effect=effect, less=less)).notes)
        for effect in (-0.2, 0.2)
        for less in (False, True)
    }
    assert notes == {(-0.2, False): True, (-0.2, True): False, (0.2, False): False, (0.2, True): True}
    request = PlanRequest(base=0.05, effect=-0.2, less=True)
    assert "--metric 'conversion:EVENT less'" in next_step(request, plan(request))
