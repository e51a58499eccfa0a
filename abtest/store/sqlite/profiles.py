"""Combinations of attributes in SQLite: each is kept once, and their number is bounded."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain

from msgspec import Struct

from abtest.domain import KNOWN_ATTRIBUTES, MOST_PROFILES, NO_ATTRIBUTES, Attributes
from abtest.store.sqlite.driver import Raw

RESERVED_PROFILES = 10_000
"""The last ones are for short combinations, which repeat: the shorter one is, the more of them are open to it."""
MOST_REMEMBERED = 5_000
"""Combinations in the memory of a process, at most 9 kB each."""

PROFILE = "SELECT id FROM profile WHERE attributes = ?"

LAST_PROFILE = "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'profile'), 0)"

ADD_PROFILE = "INSERT INTO profile (attributes) VALUES (?)"

COUNT_SHORTENED = "UPDATE meta SET value = value + ? WHERE name = 'shortened_devices'"


class Profile(Struct, frozen=True):
    """The number under which attributes are kept, None for none of them; `shortened`: some could not be kept."""

    number: int | None
    attributes: Attributes
    shortened: bool = False


NO_PROFILE = Profile(None, NO_ATTRIBUTES)


class Kept:
    """What this process knows of the profiles that are kept; they never change."""

    def __init__(self) -> None:
        self.profiles: dict[Attributes, Profile] = {}

    def learn(self, profiles: Mapping[Attributes, Profile]) -> None:
        """Know these too, once they are durable."""
        if len(self.profiles) + len(profiles) > MOST_REMEMBERED:
            self.profiles.clear()
        self.profiles.update(profiles)


def dump_attributes(attributes: Attributes) -> str:
    """A JSON object; equal attributes give equal texts."""
    return json.dumps(dict(attributes.pairs), ensure_ascii=False, separators=(",", ":"))


def load_attributes(text: str) -> Attributes:
    """Raises ValueError, TypeError or AttributeError when the text is damaged."""
    return Attributes(tuple(json.loads(text).items()))


def profiles(connection: Raw, kept: Kept, wanted: Sequence[Attributes]) -> dict[Attributes, Profile]:
    """The profile of each of these combinations, one for each new device. Counts the devices that are shortened."""
    found = {NO_ATTRIBUTES: NO_PROFILE}
    for attributes in wanted:
        if attributes not in found:
            found[attributes] = kept.profiles.get(attributes) or _profile(connection, attributes)
    shortened = sum(found[attributes].shortened for attributes in wanted)
    if shortened:
        connection.execute(COUNT_SHORTENED, (shortened,))
    return found


def _profile(connection: Raw, attributes: Attributes) -> Profile:
    """The profile of a combination, or of the longest part of it that is kept or has room."""
    (last,) = connection.execute(LAST_PROFILE).fetchone()
    for part in chain([attributes], attributes.shorter()):
        text = dump_attributes(part)
        found = connection.execute(PROFILE, (text,)).fetchone()
        if found:
            return Profile(found[0], part, shortened=part is not attributes)
        if last < _room(part):
            connection.execute(ADD_PROFILE, (text,))
            return Profile(last + 1, part, shortened=part is not attributes)
    return Profile(None, NO_ATTRIBUTES, shortened=True)


def _room(attributes: Attributes) -> int:
    """How many profiles there may be for one more with as many attributes as these."""
    return MOST_PROFILES - RESERVED_PROFILES * (len(attributes.pairs) - 1) // (len(KNOWN_ATTRIBUTES) - 1)
