"""Combinations of attributes: an app keeps each once, and their number is bounded."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain

from msgspec import Struct

from abtest.domain import DEFAULT_APP_ID, KNOWN_ATTRIBUTES, MOST_PROFILES, NO_ATTRIBUTES, Attributes
from abtest.store.relational.connection import Connection

RESERVED_PROFILES = 10_000
"""The last ones are for short combinations, which repeat: the shorter one is, the more of them are open to it."""
MOST_REMEMBERED = 5_000
"""Combinations in the memory of a process, at most 9 kB each."""

PROFILE = "SELECT id FROM profile WHERE app_id = ? AND attributes = ?"

PROFILES = "SELECT profiles FROM app WHERE id = ?"

ADD_PROFILE = "INSERT INTO profile (app_id, attributes) VALUES (?, ?) RETURNING id"

COUNT_PROFILE = "UPDATE app SET profiles = profiles + 1 WHERE id = ?"

COUNT_SHORTENED = "UPDATE app SET shortened_devices = shortened_devices + ? WHERE id = ?"


class Profile(Struct, frozen=True):
    """The number under which attributes are kept; None for none of them in the default app.

    `shortened`: some could not be kept.
    """

    number: int | None
    attributes: Attributes
    shortened: bool = False


NO_PROFILE = Profile(None, NO_ATTRIBUTES)
Found = Mapping[Attributes, Profile]


class Kept:
    """What this process knows of the profiles that are kept; they never change."""

    def __init__(self) -> None:
        self.profiles: dict[int, dict[Attributes, Profile]] = defaultdict(dict)

    def learn(self, found: Mapping[int, Found]) -> None:
        """Know these too, by app, once they are durable."""
        for app, profiles in found.items():
            known = self.profiles[app]
            if len(known) + len(profiles) > MOST_REMEMBERED:
                known.clear()
            known.update(profiles)


def dump_attributes(attributes: Attributes) -> str:
    """A JSON object; equal attributes give equal texts."""
    return json.dumps(dict(attributes.pairs), ensure_ascii=False, separators=(",", ":"))


def load_attributes(text: str) -> Attributes:
    """Raises ValueError, TypeError or AttributeError when the text is damaged."""
    return Attributes(tuple(json.loads(text).items()))


def find_profiles(
    connection: Connection, kept: Kept, app: int, wanted: Sequence[Attributes]
) -> dict[Attributes, Profile]:
    """The profile of each of these combinations, one for each new device. Counts the devices that are shortened."""
    known, found = kept.profiles[app], dict[Attributes, Profile]()
    for attributes in wanted:
        if attributes not in found:
            found[attributes] = known.get(attributes) or _profile(connection, app, attributes)
    shortened = sum(found[attributes].shortened for attributes in wanted)
    if shortened:
        connection.execute(COUNT_SHORTENED, (shortened, app))
    return found


def _profile(connection: Connection, app: int, attributes: Attributes) -> Profile:
    """The profile of a combination, or of the longest part of it that is kept or has room."""
    for part in chain([attributes], attributes.shorter(), [NO_ATTRIBUTES]):
        shortened = part is not attributes
        if not part and app == DEFAULT_APP_ID:
            break
        text = dump_attributes(part)
        found = connection.execute(PROFILE, (app, text)).fetchone()
        if found:
            return Profile(found[0], part, shortened)
        (there,) = connection.execute(PROFILES, (app,)).fetchone()
        if there < _room(part):
            ((number,),) = connection.execute(ADD_PROFILE, (app, text))
            connection.execute(COUNT_PROFILE, (app,))
            return Profile(number, part, shortened)
    return Profile(None, NO_ATTRIBUTES, shortened) if attributes else NO_PROFILE


def _room(attributes: Attributes) -> int:
    """How many profiles there may be for one more with as many attributes as these."""
    return MOST_PROFILES - RESERVED_PROFILES * max(len(attributes.pairs) - 1, 0) // (len(KNOWN_ATTRIBUTES) - 1)
