"""How often a planned effect would be found with the devices of a simulation."""

from decimal import Decimal

import pytest
from msgspec import structs

from abtest.domain.experiments import Experiment, Phase, Status
from abtest.domain.metrics import parse_metrics
from abtest.errors import InvalidSetting
from abtest.inference.planning import per_arm, power_for_rate
from abtest.results.outlook import PlannedEffect, often, outlook
from abtest.results.reports import ExperimentReport, PhaseReport

PLANNED = PlannedEffect(0.05, 0.2)


def simulated(counts: tuple[int, ...], *weights: str, baseline: str | None = None) -> ExperimentReport:
    """An experiment whose values are 0, 1, 2 and so on, with the counts of a simulation."""
    phase = Phase(1, tuple(map(Decimal, weights)), 0, sum(counts))
    values = tuple(map(str, range(len(weights))))
    experiment = Experiment(1, "color", "", Status.RUNNING, 0, 0, values, (phase,), (), baseline=baseline)
    return ExperimentReport(experiment, (PhaseReport(phase, counts),))


def test_equal_variants_have_one_figure() -> None:
    found = outlook(PLANNED, simulated((200, 200, 200), "1", "1", "1"))
    assert found.sentence == (
        "+20% on a base rate of 5% would be found in 7.2% of such tests; 80% needs about 24,429 devices (8,143 each)."
    )
    assert found.equal
    assert [part for _, part in found.found] == [power_for_rate(0.05, 0.2, 200)] * 2
    assert any("may be read at any time and has no planned number" in note for note in found.notes)


def test_the_notes_know_what_is_better_and_what_is_planned() -> None:
    report = simulated((200, 200), "1", "1")
    judged_by = structs.replace(report.experiment, metrics=parse_metrics(["conversion:refund less"]), planned=16_286)
    notes = outlook(PLANNED, structs.replace(report, experiment=judged_by)).notes
    assert any("An increase is harm here" in note for note in notes)
    assert not any("no planned number" in note for note in notes)


def test_unequal_variants_each_have_theirs_against_the_baseline() -> None:
    found = outlook(PLANNED, simulated((15_000, 2_000, 1_000, 2_000), "75", "10", "5", "10"))
    assert [value for value, _ in found.found] == ["1", "2", "3"]
    assert found.found[1][1] == power_for_rate(0.05, 0.2, per_arm(1_000, 15_000))
    assert "would be found in 27% to 45% of such tests, depending on the variant; " in found.sentence
    assert "80% needs about 86,859 devices for every variant." in found.sentence
    assert not found.equal


def test_the_chosen_baseline_is_what_the_others_are_compared_with() -> None:
    found = outlook(PLANNED, simulated((15_000, 2_000, 3_000), "15", "2", "3", baseline="1"))
    assert dict(found.found) == {
        value: power_for_rate(0.05, 0.2, per_arm(devices, 2_000)) for value, devices in (("0", 15_000), ("2", 3_000))
    }


def test_a_variant_that_gets_no_devices_any_more_is_left_out() -> None:
    found = outlook(PLANNED, simulated((300, 0, 300), "1", "0", "1"))
    assert [value for value, _ in found.found] == ["2"]
    assert "devices (8,143 each)" in found.sentence
    assert "No effect would be found" in outlook(PLANNED, simulated((0, 300, 300), "0", "1", "1")).sentence
    assert "No effect would be found" in outlook(PLANNED, simulated((600, 0), "1", "0")).sentence


def test_a_variant_without_a_device_finds_nothing() -> None:
    found = outlook(PLANNED, simulated((1, 0), "1", "1"))
    assert found.found == (("1", 0.0),)
    assert "in 0% of such tests; 80%" in found.sentence


def test_an_effect_too_small_to_plan_for_has_no_number_of_devices() -> None:
    found = outlook(PlannedEffect(0.05, 0.0000001), simulated((200, 200), "1", "1"))
    assert found.sentence.endswith("of such tests.")
    assert found.notes == ()


@pytest.mark.parametrize(
    ("base", "effect", "message"),
    [(0, 0.2, "base: "), (1, 0.2, "base: "), (0.5, 2, "effect: "), (0.05, 0, "effect: "), (0.05, -1, "effect: ")],
)
def test_what_can_not_be_planned_is_said(base: float, effect: float, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        PlannedEffect(base, effect).checked()


def test_nothing_is_found_for_sure() -> None:
    assert (often(0.234), often(0.99999), often(1)) == ("23%", "more than 99%", "more than 99%")
