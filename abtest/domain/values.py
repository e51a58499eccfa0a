"""The values of an experiment: texts of one type, in which OFREP delivers them."""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any
from unicodedata import category

import msgspec

from abtest.domain.documents import read_json
from abtest.errors import InvalidExperiment

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
THOUSANDS = re.compile(r",[0-9]{3}\b")
TURNED = re.compile("[\\u202a-\\u202e\\u2066-\\u2069]")
"""After these, a terminal or a page would show text in another order, even text beyond the value."""
MOST_DIGITS = 30
"""The limit on the digits of a number that is proposed in place of one that can't be read."""


def text_fault(text: str) -> str:
    """Why a text can't be accepted; empty if it can.

    Control characters could forge lines in a terminal; others change the direction of the text after them; surrogates
    come from bytes that are not UTF-8, and can't be stored.
    """
    if text.isprintable():  # nearly every text is, and then has none of these characters
        return ""
    if any(category(character) in {"Cc", "Cs"} for character in text):
        return "must be UTF-8 without control characters"
    return "must not contain characters that change the direction of text" if TURNED.search(text) else ""


class Type(StrEnum):
    """What the values of an experiment are."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "json"


TYPE_RULE = "string, number, boolean or json"


def typed(type: Type, value: str) -> bytes:
    """The value as compact JSON of its type, with digits and order as they were given."""
    if type is Type.STRING:
        return msgspec.json.encode(value)
    return msgspec.json.format(value.encode(), indent=-1)


def canonical(type: Type, text: str) -> object:
    """What a text means, however it is written: the same for 9.5 and 9.50, and for members in another order.

    The result is hashable. Raises ValueError if the text of a number or of JSON can't be read.
    """
    if type in {Type.STRING, Type.BOOLEAN}:
        return text
    try:
        return _canonical(read_json(text.encode()))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _canonical(document: Any) -> object:
    if isinstance(document, dict):
        return frozenset((name, _canonical(member)) for name, member in document.items())
    if isinstance(document, list):
        return tuple(map(_canonical, document))
    return (bool, document) if isinstance(document, bool) else document  # for Python, true is 1


def same(type: Type, shown: str, value: str) -> bool:
    """Whether what an app says that it showed means the same as the value."""
    try:
        return shown == value or canonical(type, shown) == canonical(type, value)
    except ValueError:
        return False


def check_values(type: Type, values: Sequence[str]) -> None:
    """Raises InvalidExperiment unless each value can be read as one of the type, and no two mean the same."""
    given: dict[object, int] = {}
    for place, value in enumerate(values, start=1):
        reason, fault = "", FAULTS[type](value)
        if fault:
            reason = f"the value can't be used as {_name(type)}: {fault}"
        elif (same := given.setdefault(canonical(type, value), place)) != place:
            reason = f"the value means the same as that of variant {same}"
        if reason:
            raise InvalidExperiment(reason, f"variants[{place - 1}].value", f"variant {place}")


def _name(type: Type) -> str:
    return "JSON" if type is Type.JSON else f"a {type}"


def _number(value: str) -> str:
    """What to write instead; empty if the value is a number."""
    if NUMBER.fullmatch(value):
        return ""
    try:
        meant = Decimal(value.replace(",", "."))
    except InvalidOperation:
        meant = Decimal("NaN")
    if THOUSANDS.search(value) or not meant.is_finite() or abs(meant.adjusted()) > MOST_DIGITS:
        return "write digits, and a point before decimals, such as 9.5"
    return f"write {meant:f}"


def _boolean(value: str) -> str:
    if value in {"true", "false"}:
        return ""
    meant = value.lower()
    return f"write {meant}" if meant in {"true", "false"} else "write true or false"


def _json(value: str) -> str:
    try:
        read_json(value.encode())
        decoded = msgspec.json.decode(value)  # it refuses half of a surrogate pair, and numbers out of range
    except (ValueError, msgspec.DecodeError) as error:
        return str(error)
    return "apps take null for a missing value" if decoded is None else ""


FAULTS = {Type.STRING: lambda value: "", Type.NUMBER: _number, Type.BOOLEAN: _boolean, Type.JSON: _json}
