"""Which devices can be in an experiment: conditions on their attributes."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from operator import attrgetter, eq, ge, gt, le, lt
from typing import Any

from msgspec import Struct
from packaging.version import InvalidVersion, Version

from abtest.domain.attributes import KNOWN_ATTRIBUTES, LONGEST_ATTRIBUTE, Attributes
from abtest.errors import InvalidExperiment

CONDITION = re.compile(r"([^=!<>~]*)([=!<>~]+)(.*)", re.DOTALL)
BUILD = re.compile(r"(\s*\([^()]*\)|\+\S*)$")
MOST_CONDITIONS = 20
MOST_VALUES = 250


class Operator(StrEnum):
    """How an attribute is compared with the values of a condition."""

    IS = "="
    IS_NOT = "!="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="


ORDER: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.BELOW: lt,
    Operator.AT_MOST: le,
    Operator.ABOVE: gt,
    Operator.AT_LEAST: ge,
}


class Condition(Struct, frozen=True):
    """What an attribute must be. `values`: one or more for `=` and `!=`, exactly one for the other operators."""

    attribute: str
    operator: Operator
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.attribute}{self.operator}{','.join(self.values)}"

    @property
    def examples(self) -> tuple[str, ...]:
        """Values to try the condition with: its own and, unless its operator is `=`, others too."""
        if self.operator is Operator.IS:
            return self.values
        bound = version(self.values[0])
        if bound is None:
            return (*self.values, "other")
        return (str(max(bound.major - 1, 0)), *self.values, f"{bound.base_version}.0.1")

    def is_comparable(self, text: str) -> bool:
        """Whether an attribute can be compared with one of the values; with a version, only a version can."""
        return version(text) is not None or any(version(value) is None for value in self.values)

    def is_fulfilled(self, text: str | None) -> bool:
        """Whether an attribute fulfils the condition. One that is missing or can't be compared never does."""
        return text is not None and _is_fulfilled(self, text)


Audience = tuple[Condition, ...]
"""A device must fulfil all conditions; without conditions, every device is in the audience."""


@lru_cache(maxsize=4096)
def version(text: str) -> Version | None:
    """The version or number that a text is by the rules of PEP 440; None if it is neither.

    A build in parentheses or after a plus sign does not affect the order: 3.10.0 (1234) is 3.10.0.
    """
    try:
        return Version(BUILD.sub("", text))
    except InvalidVersion:
        return None


def parse_condition(text: str, field: str = "audience") -> Condition:
    """A condition from ATTRIBUTE OPERATOR VALUES. Raises InvalidExperiment."""
    match = CONDITION.fullmatch(text)
    if not match:
        raise _refused(f"{text!r} must be ATTRIBUTE OPERATOR VALUES, such as platform=ios,android", field)
    attribute, sign, values = match[1].strip(), match[2], tuple(value.strip() for value in match[3].split(","))
    if sign not in set(Operator):
        raise _refused(f"{text!r}: {sign!r} is not an operator; use one of {' '.join(Operator)}", field)
    condition = Condition(attribute, Operator(sign), values)
    for value in values:
        if not (0 < len(value) <= LONGEST_ATTRIBUTE and value.isprintable()):
            raise _refused(f"{text!r}: a value must have 1 to {LONGEST_ATTRIBUTE} printable characters", field)
    if len(values) > MOST_VALUES:
        raise _refused(f"{attribute}: must have at most {MOST_VALUES} values, not {len(values)}", field)
    if condition.operator in ORDER and (len(values) > 1 or version(values[0]) is None):
        raise _refused(f"{text!r}: {sign} takes one number or version, such as 3.10", field)
    return condition


def parse_audience(texts: Sequence[str]) -> Audience:
    """The conditions in these texts. Raises InvalidExperiment, also when no device could fulfil all of them."""
    if len(texts) > MOST_CONDITIONS:
        raise _refused(f"must have at most {MOST_CONDITIONS} conditions, not {len(texts)}")
    audience = tuple(parse_condition(text, f"audience[{place}]") for place, text in enumerate(texts))
    for place, condition in enumerate(audience):
        if condition.attribute not in KNOWN_ATTRIBUTES:
            (nearest,) = get_close_matches(condition.attribute, KNOWN_ATTRIBUTES, 1, 0)
            raise _refused(
                f"{str(condition)!r}: the attribute {condition.attribute!r} is unknown; "
                f"did you mean {nearest}? The attributes are {', '.join(KNOWN_ATTRIBUTES)}",
                f"audience[{place}]",
            )
    for together in _by_attribute(audience):
        if not _can_be_fulfilled(together):
            raise _refused(f"no device can fulfil {' and '.join(map(str, together))}")
    return audience


def overlap(one: Audience, other: Audience) -> bool:
    """Whether a device could be in both audiences."""
    return all(map(_can_be_fulfilled, _by_attribute(one + other)))


def failed(audience: Audience, attributes: Attributes) -> tuple[int, ...]:
    """The places of the conditions that a device with these attributes does not fulfil; empty if it fulfils all."""
    said = dict(attributes.pairs)
    return tuple(place for place, each in enumerate(audience) if not each.is_fulfilled(said.get(each.attribute)))


def _refused(reason: str, field: str = "audience") -> InvalidExperiment:
    return InvalidExperiment(reason, field, "audience")


def _by_attribute(audience: Audience) -> list[list[Condition]]:
    attribute = attrgetter("attribute")
    return [list(conditions) for _, conditions in groupby(sorted(audience, key=attribute), key=attribute)]


@lru_cache(maxsize=65_536)
def _is_fulfilled(condition: Condition, text: str) -> bool:
    if not condition.is_comparable(text):
        return False
    order = ORDER.get(condition.operator, eq)
    found = any(_compared(order, text, value) for value in condition.values)
    return found is not (condition.operator is Operator.IS_NOT)


def _compared(order: Callable[[Any, Any], bool], text: str, value: str) -> bool:
    mine, wanted = version(text), version(value)
    if wanted is None:
        return text == value
    return mine is not None and bool(order(mine, wanted))


def _can_be_fulfilled(conditions: Sequence[Condition]) -> bool:
    """Whether some value fulfils all of these conditions on one attribute.

    If none of them has the operator `=`, there is always another version between two different bounds.
    """
    named = [value for each in conditions if each.operator is Operator.IS for value in each.values]
    lower = [each.values[0] for each in conditions if each.operator in {Operator.ABOVE, Operator.AT_LEAST}]
    upper = [each.values[0] for each in conditions if each.operator in {Operator.BELOW, Operator.AT_MOST}]
    if not named and all(_compared(lt, low, high) for low in lower for high in upper):
        return True
    return any(all(each.is_fulfilled(value) for each in conditions) for value in named or lower)
