"""Combinations of attributes in SQLite: each is kept once, and their number is bounded."""

import json
from collections.abc import Mapping, Sequence

from msgspec import Struct

from abtest.domain import MOST_PROFILES, NO_ATTRIBUTES, Attributes
from abtest.store.sqlite.driver import Raw

RESERVED_PROFILES = 10_000
"""The last ones are for combinations that were shortened, which repeat."""

PROFILE = "SELECT id FROM profile WHERE attributes = ?"

LAST_PROFILE = "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'profile'), 0)"

ADD_PROFILE = "INSERT INTO profile (attributes) VALUES (?)"

RAREST = """
SELECT attribute.key FROM profile, json_each(profile.attributes) AS attribute
GROUP BY attribute.key ORDER BY count(DISTINCT attribute.value) DESC, attribute.key
"""

COUNT_SHORTENED = "UPDATE meta SET value = value + ? WHERE name = 'shortened_devices'"


class Profile(Struct, frozen=True):
    """The number under which a combination is kept, None for no attributes; `shortened`: without some of them."""

    number: int | None
    shortened: bool = False


NO_PROFILE = Profile(None)


class Kept:
    """What this process knows of the profiles that are kept; they never change.

    `rarest`: the names of attributes, first the one with the most different values; empty while there is room.
    """

    def __init__(self) -> None:
        self.profiles: dict[Attributes, Profile] = {}
        self.rarest: list[str] = []

    def learn(self, profiles: Mapping[Attributes, Profile]) -> None:
        """Know these too, once they are durable."""
        if len(self.profiles) > MOST_PROFILES:
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
            found[attributes] = kept.profiles.get(attributes) or _profile(connection, kept, attributes)
    shortened = sum(found[attributes].shortened for attributes in wanted)
    if shortened:
        connection.execute(COUNT_SHORTENED, (shortened,))
    return found


def _profile(connection: Raw, kept: Kept, attributes: Attributes) -> Profile:
    """The profile of a combination; if there is no room, without its rarest attributes."""
    number = _number(connection, attributes, MOST_PROFILES - RESERVED_PROFILES)
    if number is not None:
        return Profile(number)
    if not kept.rarest:
        kept.rarest += [name for (name,) in connection.execute(RAREST)]
    for name in kept.rarest:
        attributes = attributes.without(name)
        number = _number(connection, attributes, MOST_PROFILES) if attributes else None
        if number is not None:
            return Profile(number, shortened=True)
    return Profile(None, shortened=True)


def _number(connection: Raw, attributes: Attributes, most: int) -> int | None:
    """The number of a combination, which is added if there are fewer than `most`; None if there are not."""
    text = dump_attributes(attributes)
    found = connection.execute(PROFILE, (text,)).fetchone()
    if found:
        return int(found[0])
    (last,) = connection.execute(LAST_PROFILE).fetchone()
    if last >= most:
        return None
    connection.execute(ADD_PROFILE, (text,))
    return int(last) + 1
