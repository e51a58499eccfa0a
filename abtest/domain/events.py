"""The events that an app sends."""

import re

from msgspec import Struct

EVENT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
EVENT_RULE = "1 to 64 characters from a-z, 0-9, '_', '.' and '-', and begin with a letter or a digit"


class Event(Struct, frozen=True):
    """Something that happened on a device. `amount` in units of 1/10000; `at` in milliseconds, by the device's clock.

    `value`, only of an exposure: what the device really showed; None if the app does not say.
    """

    id: str
    name: str
    experiment: str | None = None
    amount: int | None = None
    at: int | None = None
    value: str | None = None
