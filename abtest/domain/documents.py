"""Reads documents that were sent or loaded, and says in plain words what is wrong in them, and where."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "datetime": "a time",
    "date": "a date",
    "null": "null",
}
MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
KIND = re.compile(r"Expected `(\w+)(?: \| null)?`, got `(\w+)`")
LENGTH = re.compile(r"Expected `array` of length <= (\d+)")
TIME_RULE = "must be a time with its time zone, such as 2026-11-23T10:00:00Z"
TWICE, NOT_FINITE, TOO_LONG = "a key is given twice", "NaN and Infinity are not JSON", "a number is too long"


Members = Sequence[tuple[str, Any]]


def _unique(members: Members) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError(TWICE)
    return found


def read_json(
    document: bytes,
    an_object: Callable[[Members], dict[str, Any]] = _unique,
    a_number: Callable[[str], Any] | None = None,
    lenient: bool = False,
) -> Any:
    """What a JSON document says, numbers with decimals as Decimals. Raises ValueError, which says what is wrong.

    `an_object` makes an object from its members; by default no two may have the same name. `a_number` makes something
    other than a number from its text. `lenient`: texts may contain control characters, and bytes that are not UTF-8,
    which become halves of surrogate pairs.

    msgspec's decoder would not do: it takes the last of two equal keys, and reads numbers as floats.
    """
    try:
        return json.loads(
            document.decode("utf-8", "surrogateescape" if lenient else "strict"),
            strict=not lenient,
            object_pairs_hook=an_object,
            parse_float=a_number or _decimal,
            parse_int=a_number,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(_short(error)) from None


def finding(error: msgspec.ValidationError, rules: Mapping[str, str]) -> tuple[str, str]:
    """The place in the document, such as events[3].id, and what is wrong there.

    The place is empty for the whole document. `rules`: for each field with a pattern, what it must be, in words.
    """
    found, at, where = str(error).rpartition(" - at `$")
    if not at:
        found, where = str(error), ""
    place = where.removesuffix("`").lstrip(".")
    if match := MISSING.fullmatch(found):
        return _below(place, match[1]), "must be given"
    if match := UNKNOWN.fullmatch(found):
        return _below(place, match[1]), "there is no such field"
    return place, _words(found, rules.get(place.rpartition(".")[2], ""))


def _words(found: str, rule: str) -> str:
    if match := KIND.fullmatch(found):
        wanted, given = (KINDS.get(kind, kind) for kind in match.groups())
        return f"must be {wanted}, not {given}"
    if match := LENGTH.fullmatch(found):
        return f"must be a list of at most {match[1]} items"
    if "datetime" in found:
        return TIME_RULE
    if "decimal" in found:
        return "must be a decimal number"
    return f"must be {rule}" if "regex" in found or "enum" in found else found


def _below(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field


def _refuse(constant: str) -> Any:
    raise ValueError(NOT_FINITE)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(TOO_LONG) from None


def _short(error: Exception) -> str:
    """What is wrong, without quoting the input."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at position {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error) if str(error) in {TWICE, NOT_FINITE} else TOO_LONG
