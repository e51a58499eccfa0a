"""Devices, known by the tokens that their apps generated; and test devices, whose values a person chose."""

import re
from collections.abc import Mapping

from msgspec import Struct

from abtest.domain.values import text_fault
from abtest.errors import InvalidField, InvalidToken

TOKEN = re.compile(r"[\x21-\x7e]{1,128}")
LONGEST_TOKEN = 128
TOKEN_RULE = "Device-Token must be 1 to 128 visible ASCII characters (0x21-0x7E)"
LONGEST_NOTE = 200
MOST_TEST_DEVICES = 1_000
"""The limit in an app: every process keeps all of them in memory."""


class TestDevice(Struct, frozen=True):
    """A token whose values a person chose; it is never counted.

    `number`: a larger one each time a test device is made or changed. `values`: by key. `made_at` in milliseconds.
    `is_device`: the token asked at a time when it was not a test device, so it has values of its own too.
    """

    number: int
    token: str
    values: Mapping[str, str]
    note: str
    made_by: str
    made_at: int
    is_device: bool


def check_token(token: str) -> str:
    """The token. Raises InvalidToken."""
    if not TOKEN.fullmatch(token):
        raise InvalidToken(TOKEN_RULE)
    return token


def check_note(note: str) -> str:
    """The note of a test device or of a shared link. Raises InvalidField."""
    if len(note) > LONGEST_NOTE:
        raise InvalidField(f"must have at most {LONGEST_NOTE} characters", field="note")
    if fault := text_fault(note):
        raise InvalidField(fault, field="note")
    return note
