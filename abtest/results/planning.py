"""How many devices and days a test needs, or what effect a number of devices can find: in figures and in words.

The formulas and their level are those of `inference/planning.py`, for one ordinary test of two variants; a plan also
says how often the rule of the results finds the effect with the same devices.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil, copysign

from msgspec import Struct
from msgspec.structs import replace

from abtest import allocation
from abtest.domain import MOST_PLANNED, MOST_VARIANTS
from abtest.errors import InvalidSetting
from abtest.inference import planning, rule
from abtest.language import counted, figure, figure_percent, number

NOTHING_FOUND = "no increase is found {}, not even one to 100%"
EFFECTS = (0.05, 0.1, 0.2, 0.5)
LEAST_POWER, MOST_POWER = 0.1, 0.999
LEAST, MOST_AMOUNT = 1e-9, 10**12
PART = re.compile(r"([+-]?(?:[0-9]{1,15}(?:\.[0-9]{1,15})?|\.[0-9]{1,15}))( ?%)?")
WHOLE = re.compile(r"[0-9]{1,15}")


class PlanRequest(Struct, frozen=True):
    """What is asked: devices for an effect, or the effect for a number of devices.

    `base`: the rate of a conversion at the baseline; else `mean` and `deviation` of an amount per device. `effect`:
    relative to it, 0.2 is a fifth more; else `devices` in all variants. `power`: the part of the tests that find such
    an effect. `weights`: of the variants, the baseline first. `per_day`: new devices in all variants.
    `less`: whether less is better. `open_ended`: whether the results will judge without a planned number.
    """

    base: float | None = None
    mean: float | None = None
    deviation: float | None = None
    effect: float | None = None
    devices: int | None = None
    power: float = planning.POWER
    weights: tuple[Decimal, ...] = (Decimal(1), Decimal(1))
    per_day: int | None = None
    less: bool = False
    open_ended: bool = False


class Plan(Struct, frozen=True):
    """What a test needs, or finds.

    `effect`: the one asked for, or the smallest one to the better that is found; None when none is. `devices`: in all
    variants, and `per_variant` in their order. `planned`: the number of devices at which to judge; more than
    `devices` if the results would say nothing yet with these. `days`: until so many have come. `rule_power`: how
    often, or without a plan at least how often, the rule of the results finds the effect with `planned` devices;
    `rule_devices`: how many devices in all variants the rule needs for the power asked for, None when so many can't
    be planned.
    """

    sentence: str
    notes: tuple[str, ...]
    effect: float | None
    power: float
    devices: int
    per_variant: tuple[int, ...]
    planned: int
    days: int | None
    rule_power: float | None
    rule_devices: int | None


def plan(request: PlanRequest) -> Plan:
    """The answer. Raises InvalidSetting that says what can't be planned, and where."""
    _check(request)
    effect = request.effect if request.devices is None else _detectable(request, request.devices)
    devices = _needed(request, effect or 0.0, rule.LEVEL) if request.devices is None else request.devices
    if devices is None:
        raise InvalidSetting(
            f"too small here: more than {number(MOST_PLANNED)} devices would be needed", field="effect"
        )
    gate = _gate(request, effect)
    planned = max(devices, gate)
    by_rule = None if effect is None else _needed_by_rule(request, effect, planned)
    found = Plan(
        sentence="",
        notes=(),
        effect=effect,
        power=request.power,
        devices=devices,
        per_variant=_split(devices, _integers(request)),
        planned=planned,
        days=None if request.per_day is None else planning.days(planned, request.per_day),
        rule_power=None if effect is None else _power(request, effect, planned, _level(request, planned)),
        rule_devices=by_rule and max(by_rule, gate),
    )
    return replace(found, sentence=_sentence(request, found), notes=_notes(request, found))


def plans(request: PlanRequest) -> tuple[Plan, ...]:
    """Plans for the effect that is asked for and some others of its sign, without those that no test can find."""
    asked = request.effect or (-0.0 if request.less else 0.0)
    effects = {copysign(each, asked) for each in EFFECTS} | ({asked} if asked else set())
    found = []
    for effect in sorted(effects, key=abs):
        try:
            found.append(plan(replace(request, effect=effect, devices=None)))
        except InvalidSetting:
            continue
    return tuple(found)


def found_with(request: PlanRequest, effect: float, devices: int) -> float:
    """How often an ordinary test finds this effect with so many devices in all variants."""
    return _power(request, effect, devices, rule.LEVEL)


def next_step(request: PlanRequest, found: Plan) -> str:
    """The command with which such an experiment is added."""
    metric = f"{'amount' if request.base is None else 'conversion'}:EVENT"
    metric = f"'{metric} less'" if request.less else metric
    return f"abtest experiments add KEY --variant VALUE=WEIGHT ... --metric {metric} --planned {found.planned}"


def equal(variants: int) -> tuple[Decimal, ...]:
    """Equal weights for so many variants. Raises InvalidSetting."""
    if not 2 <= variants <= MOST_VARIANTS:
        raise InvalidSetting(f"from 2 to {MOST_VARIANTS}, including the baseline", field="variants")
    return (Decimal(1),) * variants


def parse_part(text: str, field: str) -> float:
    """0.05, or 5% as a part of 1. Raises InvalidSetting."""
    match = PART.fullmatch(text.strip())
    if not match:
        raise InvalidSetting("must be a percentage such as 5%, or a number such as 0.05", field=field)
    return float(Decimal(match[1]) / (100 if match[2] else 1))


def parse_number(text: str, field: str) -> float:
    """A decimal number. Raises InvalidSetting."""
    match = PART.fullmatch(text.strip())
    if not match or match[2]:
        raise InvalidSetting("must be a decimal number such as 9.5", field=field)
    return float(match[1])


def parse_whole(text: str, field: str) -> int:
    """A whole number. Raises InvalidSetting."""
    if not WHOLE.fullmatch(text.strip()):
        raise InvalidSetting("must be a whole number, without a sign or a comma", field=field)
    return int(text)


def signed(part: float) -> str:
    """+20%, as it was asked for."""
    return f"{'+' if part > 0 else '-'}{_exact(abs(part))}"


def _check(request: PlanRequest) -> None:
    if not 2 <= len(request.weights) <= MOST_VARIANTS:
        raise InvalidSetting(f"give 2 to {MOST_VARIANTS} of them, the baseline's first", field="weights")
    if not all(weight > 0 for weight in request.weights):
        raise InvalidSetting("each must be above 0", field="weights")
    if not LEAST_POWER <= request.power <= MOST_POWER:
        raise InvalidSetting(f"from {_exact(LEAST_POWER)} to {_exact(MOST_POWER)}, such as 80%", field="power")
    if request.per_day is not None and not 1 <= request.per_day <= MOST_PLANNED:
        raise InvalidSetting(f"from 1 to {number(MOST_PLANNED)} new devices", field="per_day")
    _check_metric(request)
    if (request.effect is None) == (request.devices is None):
        raise InvalidSetting("give the effect to find or the number of devices, and not both", field="effect")
    if request.devices is not None and not len(request.weights) <= request.devices <= MOST_PLANNED:
        raise InvalidSetting(
            f"from {len(request.weights)} (one for each variant) to {number(MOST_PLANNED)}", field="devices"
        )
    if request.effect is not None:
        _check_effect(request.effect, request.base)


def _check_metric(request: PlanRequest) -> None:
    if request.base is not None:
        if request.mean is not None or request.deviation is not None:
            raise InvalidSetting("give either a rate or a mean with its deviation, not both", field="base")
        if not LEAST <= request.base < 1:
            raise InvalidSetting("must be a rate between 0 and 100%, such as 5%", field="base")
        return
    if request.mean is None or request.deviation is None:
        raise InvalidSetting("give a rate, or a mean with its deviation", field="base")
    for where, value in (("mean", request.mean), ("deviation", request.deviation)):
        if not LEAST <= value <= MOST_AMOUNT:
            raise InvalidSetting(f"must be a number from {_plain(LEAST)} to {number(MOST_AMOUNT)}", field=where)


def _check_effect(effect: float, base: float | None) -> None:
    if not (-1 <= effect <= MOST_AMOUNT and effect):
        raise InvalidSetting("must be a difference of -100% or more, but not 0, such as +20%", field="effect")
    if base is not None and not 0 < base * (1 + effect) < 1:
        raise InvalidSetting(
            f"{signed(effect)} turns a rate of {_exact(base)} into {_exact(max(base * (1 + effect), 0))}, "
            "but a test needs a rate between 0 and 100%; a fifth more is +20%",
            field="effect",
        )


def _needed(request: PlanRequest, effect: float, level: float) -> int | None:
    """Devices in all variants; None when they are more than can be planned."""
    try:
        if request.base is not None:
            arm = planning.devices_for_rate(request.base, effect, request.power, level)
        else:
            mean, deviation = request.mean or 0.0, request.deviation or 0.0
            arm = planning.devices_for_mean(deviation, mean * effect, request.power, level)
        devices = planning.in_all(max(arm, 1), _integers(request))
    except (ValueError, ArithmeticError):
        return None
    return devices if devices <= MOST_PLANNED else None


def _needed_by_rule(request: PlanRequest, effect: float, devices: int) -> int | None:
    """Devices in all variants for the rule of the results. If nobody planned a number, its level falls as devices
    come: then they must be enough for the level that belongs to their own number."""
    needed = _needed(request, effect, _level(request, devices))
    while needed and needed > devices and request.open_ended:
        devices, needed = needed, _needed(request, effect, _level(request, needed))
    return needed


def _level(request: PlanRequest, devices: int) -> float:
    """The level of the rule for one comparison, after so many devices in all variants."""
    comparisons = len(request.weights) - 1
    if not request.open_ended:
        return rule.plan_level(comparisons)
    baseline, *others = _integers(request)
    part = (baseline + min(others)) / (baseline + sum(others))
    return planning.as_one_look(devices * part, comparisons, request.base is not None)


def _detectable(request: PlanRequest, devices: int) -> float | None:
    arm = _arm(request, devices)
    if request.base is not None:
        return planning.detectable_rate(request.base, arm, request.power, less=request.less)
    found = planning.detectable_mean(request.deviation or 0.0, arm, request.power) / (request.mean or 1.0)
    return -found if request.less else found


def _power(request: PlanRequest, effect: float, devices: int, level: float) -> float:
    arm = _arm(request, devices)
    if request.base is not None:
        return planning.power_for_rate(request.base, effect, arm, level)
    return planning.power_for_mean(request.deviation or 0.0, (request.mean or 0.0) * effect, arm, level)


def _arm(request: PlanRequest, devices: int) -> float:
    """Devices of each of two equal arms that tell as much as the baseline and the variant with the smallest share."""
    baseline, *others = _integers(request)
    part = devices / (baseline + sum(others))
    return planning.per_arm(min(others) * part, baseline * part)


def _gate(request: PlanRequest, effect: float | None) -> int:
    """Devices in all with which every variant passes the gate of the results, with the effect and without it. For an
    amount, whose conversions are not known, it is the least possible number."""
    baseline, *others = _integers(request)
    needed = 0.0
    for other in others:
        rarest = 1.0
        if request.base is not None:
            together = request.base * (1 + (effect or 0.0) * other / (baseline + other))
            rarest = min(request.base, together, 1 - request.base, 1 - together)
        needed = max(needed, rule.FEWEST * (baseline + sum(others)) / (min(baseline, other) * rarest))
    return ceil(round(min(needed, MOST_PLANNED), 6))


def _integers(request: PlanRequest) -> allocation.Weights:
    return allocation.lowest_terms(request.weights)


def _split(devices: int, integers: allocation.Weights) -> tuple[int, ...]:
    """Whole numbers of devices per variant that add up to `devices`."""
    ends = [devices * sum(integers[:place]) // sum(integers) for place in range(len(integers) + 1)]
    return tuple(after - before for before, after in pairwise(ends))


def _sentence(request: PlanRequest, found: Plan) -> str:
    often = f"in {_times(request.power)} tests"
    if request.devices is not None:
        return _found_with_those(request, found, often)
    effect = found.effect or 0.0
    finds = f"find a difference of {signed(effect)} ({_change(request, effect, _plain)}) {often}"
    if len(set(request.weights)) == 1:
        return f"{counted(found.per_variant[0], 'device')} per variant, {number(found.devices)} in all, {finds}"
    smallest = number(min(found.per_variant))
    return f"{number(found.devices)} devices in all, {smallest} of them in the smallest variant, {finds}"


def _found_with_those(request: PlanRequest, found: Plan, often: str) -> str:
    if found.effect is None:
        nothing = "no decrease is found {}, not even one to 0%" if request.less else NOTHING_FOUND
        return f"With {number(found.devices)} devices, {nothing.format(often)}"
    size = f"{'-' if found.effect < 0 else '+'}{figure_percent(abs(found.effect))}"
    return (
        f"With {number(found.devices)} devices, the smallest difference found {often} is about {size}: "
        f"{_change(request, found.effect, _rounded)}"
    )


def _change(request: PlanRequest, effect: float, written: Callable[[float], str]) -> str:
    if request.base is not None:
        return f"a rate of {_exact(request.base)} that becomes {_exact(request.base * (1 + effect))}"
    mean = request.mean or 0.0
    return f"a mean of {_plain(mean)} that becomes {written(mean * (1 + effect))}"


def _notes(request: PlanRequest, found: Plan) -> tuple[str, ...]:
    notes = (
        _harm_note(request, found),
        _gate_note(request, found),
        _days_note(request, found),
        _rule_note(request, found),
    )
    return tuple(note for note in notes if note)


def _harm_note(request: PlanRequest, found: Plan) -> str:
    if not request.effect or (request.effect < 0) == request.less:
        return ""
    change = "An increase" if request.effect > 0 else "A decrease"
    return (
        f"{change} is harm here: the test guards against it, and a decisive loss is reported before the test is due."
    )


def _gate_note(request: PlanRequest, found: Plan) -> str:
    if found.planned == found.devices:
        return ""
    enough, when = f"{rule.FEWEST} devices with the event", f"{number(found.planned)} devices in all"
    if request.base is None:
        return f"There is no verdict until each variant can be expected to have {enough}, so not before {when}."
    return (
        f"No gain is reported until each variant can be expected to have {enough} and {rule.FEWEST} without it, "
        f"which takes {when}. A decisive loss is reported earlier."
    )


def _days_note(request: PlanRequest, found: Plan) -> str:
    if found.days is None or request.per_day is None:
        return ""
    week = "; no gain is reported before a week has passed" if found.days == rule.FEWEST_DAYS else ""
    return f"With {counted(request.per_day, 'new device')} per day that takes {number(found.days)} days{week}."


def _rule_note(request: PlanRequest, found: Plan) -> str:
    if found.rule_power is None:
        return ""
    comparisons = len(request.weights) - 1
    # Without a plan it may have been found at an earlier look.
    about, least = ("at least", "at least ") if request.open_ended else ("about", "")
    often = f"{about} {figure_percent(found.rule_power)}"
    each = " and compares one variant with the baseline" if comparisons > 1 else ""
    shared = f" and divides its level among {comparisons} comparisons" if comparisons > 1 else ""
    enough = found.rule_devices
    more = f", and in {least}{_times(found.power)} with {number(enough)}" if enough and enough > found.planned else ""
    without = " and has no planned number of devices" if request.open_ended else ""
    return (
        f"This is for an ordinary test that looks once{each}. The verdict may be read at any time{without}"
        f"{shared}; it finds this difference in {often} of tests with {number(found.planned)} devices{more}."
    )


def _times(power: float) -> str:
    """4 of 5."""
    part = Fraction(round(1000 * power), 1000)
    return f"{part.numerator} of {part.denominator}"


def _exact(part: float) -> str:
    """A percentage as people read it: what is computed has many more digits than matter."""
    return figure_percent(part, 3)


def _plain(value: float) -> str:
    """As it was entered: ten significant digits, no exponent."""
    return number(Decimal(f"{value:.10g}"))


def _rounded(value: float) -> str:
    return figure(value, 3)
