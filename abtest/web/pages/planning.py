"""The planner's form: what is entered, and the answer as its page shows it."""

import re
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from abtest.domain import parse_weight
from abtest.errors import InvalidExperiment, InvalidSetting
from abtest.results import (
    Plan,
    PlanRequest,
    equal,
    found_with,
    next_step,
    parse_number,
    parse_part,
    parse_whole,
    plan,
    plans,
    signed,
)

FIELDS = {
    "metric": "conversion",
    "base": "5",
    "mean": "",
    "deviation": "",
    "find": "devices",
    "effect": "20",
    "devices": "",
    "power": "80",
    "variants": "2",
    "weights": "",
    "per_day": "",
    "less": "",
}
"""Every field, and what is entered in it at first."""
CHOICES = {"metric": ("conversion", "amount"), "find": ("devices", "effect")}
BETWEEN_WEIGHTS = re.compile(r"[\s,;:/]+")


class Row(Struct, frozen=True):
    """What an effect needs; `found`: how often it is found with the devices that were asked about."""

    effect: str
    asked: bool
    plan: Plan
    found: float | None


class Answer(Struct, frozen=True):
    """What was asked, the answer, and the same for a row of effects."""

    request: PlanRequest
    plan: Plan
    rows: tuple[Row, ...]
    next_step: str

    @property
    def equal(self) -> bool:
        """Whether the variants have equal weights."""
        return len(set(self.request.weights)) == 1


def answered(entered: Mapping[str, str]) -> Answer:
    """The answer to what was entered. Raises InvalidSetting."""
    request = _request(entered)
    found = plan(request)
    rows = tuple(_row(request, each) for each in plans(request))
    return Answer(request, found, rows, next_step(request, found))


def percent(entered: Mapping[str, str], name: str) -> float:
    """What was entered in a field, as a part of 1. Raises InvalidSetting."""
    try:
        return parse_part(f"{entered[name].removesuffix('%').rstrip()}%", name)
    except InvalidSetting:
        raise InvalidSetting(f"must be a percentage, such as {FIELDS[name]}", field=name) from None


def _row(request: PlanRequest, needed: Plan) -> Row:
    effect = needed.effect or 0.0
    found = None if request.devices is None else found_with(request, effect, request.devices)
    return Row(signed(effect), effect == request.effect, needed, found)


def _request(entered: Mapping[str, str]) -> PlanRequest:
    for name, words in CHOICES.items():
        if entered[name] not in words:
            raise InvalidSetting(f"must be {' or '.join(words)}", field=name)
    amount, reverse = entered["metric"] == "amount", entered["find"] == "effect"
    return PlanRequest(
        base=None if amount else percent(entered, "base"),
        mean=parse_number(entered["mean"], "mean") if amount else None,
        deviation=parse_number(entered["deviation"], "deviation") if amount else None,
        effect=None if reverse else percent(entered, "effect"),
        devices=parse_whole(entered["devices"], "devices") if reverse else None,
        power=percent(entered, "power"),
        weights=_weights(entered["weights"]) or equal(parse_whole(entered["variants"], "variants")),
        per_day=parse_whole(entered["per_day"], "per_day") if entered["per_day"] else None,
        less=bool(entered["less"]),
    )


def _weights(text: str) -> tuple[Decimal, ...]:
    texts = [each for each in BETWEEN_WEIGHTS.split(text) if each]
    try:
        return tuple(parse_weight(each, f"number {place}") for place, each in enumerate(texts, start=1))
    except InvalidExperiment as error:
        raise InvalidSetting(str(error), field="weights") from None
