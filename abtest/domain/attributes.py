"""What a device says about itself in its first request."""

import re
from collections.abc import Iterable, Iterator
from itertools import combinations

from msgspec import Struct

KNOWN_ATTRIBUTES = ("platform", "country", "language", "app_version", "os_version")
"""The most important first, for when not all of a device's attributes can be kept."""
LONGEST_ATTRIBUTE = 128
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""The Unicode categories Cc and Cs, to which no character is ever added, and what changes the direction of text."""
MOST_PROFILES = 100_000
"""The limit on combinations of attributes in an app."""


class Attributes(Struct, frozen=True):
    """The attributes of a device that are known and could be read, in ascending order of their names.

    Devices with the same attributes share one profile.
    """

    pairs: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def shorter(self) -> Iterator["Attributes"]:
        """Each smaller combination of them, the longest first; of equally long ones, the most important first."""
        given = dict(self.pairs)
        names = [name for name in KNOWN_ATTRIBUTES if name in given]
        for count in range(len(names) - 1, 0, -1):
            for part in combinations(names, count):
                yield Attributes(tuple((name, given[name]) for name in sorted(part)))


NO_ATTRIBUTES = Attributes()


def read_attributes(given: Iterable[tuple[str, object]]) -> Attributes:
    """The attributes in what was given: texts, numbers as texts, and true or false.

    Unknown attributes are left out. So are those that can't be read, as if they were missing: an empty text, a text
    of more than 128 characters or with one of CONTROL, an attribute that is given twice, and any other kind of value.
    """
    found: dict[str, str] = {}
    for name, value in given:
        if name in KNOWN_ATTRIBUTES:
            found[name] = "" if name in found else _text(value)
    return Attributes(tuple(sorted((name, text) for name, text in found.items() if text)))


def _text(value: object) -> str:
    """The value as a text; empty if it can't be read."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and len(value) <= LONGEST_ATTRIBUTE:
        return value if value.isprintable() or not CONTROL.search(value) else ""
    return ""
