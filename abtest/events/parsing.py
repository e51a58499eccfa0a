"""Parses events strictly. A refusal says what is wrong and where."""

import re
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from abtest import clock
from abtest.domain import EVENT, EVENT_RULE, KEY, LONGEST_VALUE, Event, Moment, finding, read_json
from abtest.errors import InvalidEvent, InvalidJson
from abtest.inference import AMOUNT_UNITS

MOST_EVENTS = 500
AMOUNT_DIGITS, AMOUNT_DECIMALS = 12, 4
LONGEST_PROBLEM = 200
LONGEST_SHOWN = 16 * LONGEST_VALUE
"""How many characters are stored of what an app showed: a default in its code may be any text. No value is longer,
even as JSON with its characters escaped and spaces between them."""
AMOUNT = re.compile(r"-?[0-9]{1,12}([.][0-9]{1,4})?")
EXPOSURE = "exposure"
RULES = {
    "id": "1 to 64 visible ASCII characters (0x21-0x7E)",
    "name": EVENT_RULE,
}
Id = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,64}\Z")]
Name = Annotated[str, Meta(pattern=rf"^{EVENT.pattern}\Z")]


class _Amount(int):
    """Whole units of 1/10000. A separate type, so that msgspec calls `_convert` for it."""


class _Event(Struct, forbid_unknown_fields=True):
    id: Id
    name: Name
    amount: _Amount | None = None
    at: Moment | None = None
    experiment: str | None = None
    value: str | None = None


class _Body(Struct, forbid_unknown_fields=True):
    events: Annotated[list[_Event], Meta(max_length=MOST_EVENTS)]


def parse_events(body: bytes) -> tuple[Event, ...]:
    """The events of a request. Raises InvalidJson, or InvalidEvent, which says what is wrong and where."""
    try:
        document = read_json(body)
    except ValueError as error:
        raise InvalidJson(f"the body must be JSON: {error}") from None
    try:
        wanted = msgspec.convert(document, _Body, dec_hook=_convert)
    except msgspec.ValidationError as error:
        place, what = finding(error, RULES)
        raise InvalidEvent(f"{place or 'body'}: {what}"[:LONGEST_PROBLEM]) from None
    except UnicodeEncodeError:  # half of a surrogate pair in a field name breaks msgspec's error message
        raise InvalidJson("the body must be JSON: it is not UTF-8") from None
    return tuple(_event(event, f"events[{place}]") for place, event in enumerate(wanted.events))


def parse_amount(given: object) -> int:
    """A decimal text or number in whole units of 1/10000. Raises ValueError."""
    if isinstance(given, str):
        if not AMOUNT.fullmatch(given):
            raise ValueError('must be a decimal number with at most 4 decimals, such as "9.99"')
        given = Decimal(given)
    if not isinstance(given, int | Decimal) or isinstance(given, bool):
        raise ValueError("must be a decimal number, as a text or as a number")
    exact = Decimal(given)
    if exact and exact.adjusted() >= AMOUNT_DIGITS:
        raise ValueError("must be between -10^12 and 10^12")
    if int(exact.as_tuple().exponent) < -AMOUNT_DECIMALS:
        raise ValueError(f"must have at most {AMOUNT_DECIMALS} decimals")
    return int(exact * AMOUNT_UNITS)


def _event(event: _Event, where: str) -> Event:
    if (event.name == EXPOSURE) is not (event.experiment is not None):
        raise InvalidEvent(f"{where}.experiment: must be given for an exposure, and for no other event")
    if event.experiment is not None and not KEY.fullmatch(event.experiment):
        raise InvalidEvent(f"{where}.experiment: must be the key of an experiment")
    if event.value is not None:
        if event.name != EXPOSURE:
            raise InvalidEvent(f"{where}.value: may be given for an exposure, and for no other event")
        if not _is_text(event.value):
            raise InvalidEvent(f"{where}.value: must be a text without U+0000 and without halves of surrogate pairs")
    return Event(
        id=event.id,
        name=event.name,
        experiment=event.experiment,
        amount=event.amount,
        at=None if event.at is None else clock.milliseconds(event.at),
        value=None if event.value is None else event.value[:LONGEST_SHOWN],
    )


def _is_text(value: str) -> bool:
    """Whether every store can keep it. JSON can write half of a surrogate pair, which no text has."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value)


def _convert(kind: type, given: object) -> _Amount:
    return _Amount(parse_amount(given))
