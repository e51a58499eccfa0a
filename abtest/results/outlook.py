"""How often a test of an experiment would find a planned effect, with the devices of a simulation."""

from msgspec import Struct

from abtest.errors import InvalidSetting
from abtest.inference import planning as power
from abtest.language import figure_percent, number
from abtest.results.planning import Plan, PlanRequest, plan, signed
from abtest.results.reports import ExperimentReport

NEARLY_ALWAYS = 0.99


class PlannedEffect(Struct, frozen=True):
    """The rate that there is, and the effect to find, relative to it."""

    base: float
    effect: float

    def checked(self) -> "PlannedEffect":
        """The same, if a test of it can be planned. Raises InvalidSetting that says what can't be planned, and
        where."""
        plan(PlanRequest(base=self.base, effect=self.effect))
        return self


class Outlook(Struct, frozen=True):
    """`found`: each value but the baseline, with the part of the tests that find the effect there."""

    sentence: str
    found: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether it is found equally often in every variant."""
        return len({often(part) for _, part in self.found}) <= 1


def outlook(planned: PlannedEffect, report: ExperimentReport) -> Outlook:
    """The outlook of an experiment with the devices that its variants got, each compared with the baseline."""
    experiment, counts = report.experiment, report.phases[-1].counts
    weights, base = experiment.phase.weights, experiment.baseline_place
    others = [place for place, weight in enumerate(weights) if weight and place != base]
    if not weights[base] or not others:
        return Outlook("No effect would be found: new devices no longer get both the baseline and another variant.")
    found = tuple((experiment.values[place], _found(planned, counts[place], counts[base])) for place in others)
    needed = _needed(
        PlanRequest(
            planned.base,
            effect=planned.effect,
            weights=tuple(weights[i] for i in [base, *others]),
            less=any(metric.less for metric in experiment.metrics[:1]),
            open_ended=experiment.planned is None,
        )
    )
    return Outlook(_sentence(planned, found, needed), found, needed.notes if needed else ())


def often(part: float) -> str:
    """A part of the tests as people read it, such as 23%."""
    return f"more than {figure_percent(NEARLY_ALWAYS)}" if part > NEARLY_ALWAYS else figure_percent(part)


def _found(planned: PlannedEffect, devices: int, of_baseline: int) -> float:
    arm = power.per_arm(devices, of_baseline)
    return power.power_for_rate(planned.base, planned.effect, arm) if arm else 0.0


def _needed(request: PlanRequest) -> Plan | None:
    """None when more devices are needed than can be planned."""
    try:
        return plan(request)
    except InvalidSetting:
        return None


def _sentence(planned: PlannedEffect, found: tuple[tuple[str, float], ...], needed: Plan | None) -> str:
    parts = [part for _, part in found]
    least, most = often(min(parts)), often(max(parts))
    tests = (
        f"{least} of such tests" if least == most else f"{least} to {most} of such tests, depending on the variant"
    )
    sentence = f"{signed(planned.effect)} on a base rate of {signed(planned.base)[1:]} would be found in {tests}"
    if needed is None:
        return f"{sentence}."
    equal = len(set(needed.per_variant)) == 1
    each = f" ({number(needed.per_variant[0])} each)" if equal else " for every variant"
    return f"{sentence}; {figure_percent(needed.power)} needs about {number(needed.devices)} devices{each}."
