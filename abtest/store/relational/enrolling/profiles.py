"""Combinations of attributes: an app keeps each once, and their number is bounded."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec import Struct

from abtest.domain import DEFAULT_APP_ID, KNOWN_ATTRIBUTES, MOST_PROFILES, NO_ATTRIBUTES, Attributes
from abtest.store.relational.connection import Connection

RESERVED_PROFILES = 10_000
"""Room for short combinations only, which repeat: the shorter one is, the more of this room is open to it."""
MOST_REMEMBERED = 5_000
"""Combinations in the memory of a process, at most 9 kB each."""

THERE = "SELECT id, profiles FROM app"

LAST = "SELECT coalesce(max(id), 0) FROM profile"

COUNT = "UPDATE app SET profiles = profiles + ?, shortened_devices = shortened_devices + ? WHERE id = ?"


class ProfileStatements(NamedTuple):
    """Statements of a database. The parameter of each is a JSON list of lists.

    `find`: given apps and attributes, returns app, attributes and number of those that are stored. `add`: stores
    numbers, apps and attributes.
    """

    find: str
    add: str


class Profile(Struct, frozen=True):
    """The number under which attributes are kept; None if there are none, in the default app.

    `shortened`: whether some could not be kept.
    """

    number: int | None
    attributes: Attributes
    shortened: bool = False


NO_PROFILE = Profile(None, NO_ATTRIBUTES)
Found = Mapping[Attributes, Profile]
NOTHING_KNOWN: Found = {}
Said = Mapping[int, Mapping[Attributes, int]]
"""By app: how many new devices send which attributes."""


class Kept:
    """The stored profiles that this process knows. They never change."""

    def __init__(self) -> None:
        self._profiles: dict[int, dict[Attributes, Profile]] = defaultdict(dict)

    def known(self) -> Mapping[int, Found]:
        """The known profiles by app, for a transaction: none of them goes away meanwhile."""
        return dict(self._profiles)

    def learn(self, found: Mapping[int, Found]) -> None:
        """Remember these too, by app. To be called once they are durable."""
        for app, profiles in found.items():
            if len(self._profiles[app]) + len(profiles) > MOST_REMEMBERED:
                self._profiles[app] = {}
            self._profiles[app].update(profiles)


class Shelf:
    """The stored profiles, as they were read under the enrolment lock, and those that new devices add."""

    def __init__(self, numbers: Iterable[tuple[int, str, int]], there: Mapping[int, int], last: int) -> None:
        """`numbers`: app, attributes and number of some. `there`: how many an app has. `last`: the highest number."""
        self._numbers = {(app, text): number for app, text, number in numbers}
        self._there = dict(there)
        self._last = last
        self.added: list[tuple[int, int, str]] = []
        self.counts: list[tuple[int, int, int]] = []

    def find(self, said: Said, known: Mapping[int, Found]) -> dict[int, Found]:
        """The profile of each of these combinations, by app.

        Then `added` has the number, app and attributes of each new profile. `counts` has, for each app with something
        to count, how many were added, how many devices had their attributes shortened, and the app.
        """
        found = dict[int, Found]()
        for app, of_app in said.items():
            mine, before = known.get(app, NOTHING_KNOWN), len(self.added)
            found[app] = {each: mine.get(each) or self._profile(app, each) for each in of_app}
            shortened = sum(devices for each, devices in of_app.items() if found[app][each].shortened)
            if shortened or len(self.added) > before:
                self.counts.append((len(self.added) - before, shortened, app))
        return found

    def _profile(self, app: int, attributes: Attributes) -> Profile:
        """The profile of a combination, or of the longest part of it that is stored or has room."""
        for part in chain([attributes], attributes.shorter(), [NO_ATTRIBUTES]):
            if not part and app == DEFAULT_APP_ID:
                break
            number = self._number(app, part)
            if number is not None:
                return Profile(number, part, part is not attributes)
        return Profile(None, NO_ATTRIBUTES, shortened=True) if attributes else NO_PROFILE

    def _number(self, app: int, part: Attributes) -> int | None:
        """The number of a combination, which is added if there is room for it; None if it is not stored."""
        stored = app, dump_attributes(part)
        if stored not in self._numbers and self._there[app] < _room(len(part.pairs)):
            self._there[app] += 1
            self._last += 1
            self._numbers[stored] = self._last
            self.added.append((self._last, *stored))
        return self._numbers.get(stored)


def said_of(apps: Mapping[int, Sequence[str]], attributes: Mapping[str, Attributes]) -> Said:
    """How many tokens of each app send which attributes."""
    return {app: Counter([attributes.get(token, NO_ATTRIBUTES) for token in of_app]) for app, of_app in apps.items()}


def ask_profiles(
    connection: Connection, statements: ProfileStatements, said: Said, known: Mapping[int, Found]
) -> Callable[[], Shelf]:
    """Ask for the stored profiles of those combinations that are not known; returns what reads the answers."""
    unknown = [(app, each) for app, of_app in said.items() for each in of_app if each not in known.get(app, ())]
    if not unknown:
        return lambda: Shelf((), {}, 0)

    def find(wanted: Iterable[tuple[int, Attributes]]) -> Any:
        return connection.execute(
            statements.find, (json.dumps([(app, dump_attributes(each)) for app, each in wanted]),)
        )

    of_apps, highest, found = connection.execute(THERE), connection.execute(LAST), find(unknown)

    def read() -> Shelf:
        numbers, ((last,),), there = found.fetchall(), highest.fetchall(), dict(of_apps.fetchall())
        if parts := _substitutes(unknown, there):
            numbers += find(parts).fetchall()
        return Shelf(numbers, there, last)

    return read


def put_profiles(connection: Connection, statements: ProfileStatements, shelf: Shelf) -> None:
    """Store the profiles that were added to the shelf."""
    if shelf.added:
        connection.execute(statements.add, (json.dumps(shelf.added),))
    connection.executemany(COUNT, sorted(shelf.counts, key=itemgetter(2)))  # in the order of `count_refused`


def _substitutes(unknown: Sequence[tuple[int, Attributes]], there: Mapping[int, int]) -> list[tuple[int, Attributes]]:
    """The parts of these combinations that may have to replace them, in apps that may lack room for all of them."""
    coming = Counter(app for app, _ in unknown)
    full = {app for app, number in coming.items() if there[app] + number > _room(len(KNOWN_ATTRIBUTES))}
    return [(app, part) for app, each in unknown if app in full for part in (*each.shorter(), NO_ATTRIBUTES)]


def dump_attributes(attributes: Attributes) -> str:
    """A JSON object; equal attributes give equal texts."""
    return json.dumps(dict(attributes.pairs), ensure_ascii=False, separators=(",", ":"))


def load_attributes(text: str) -> Attributes:
    """Raises ValueError, TypeError or AttributeError when the text is damaged."""
    return Attributes(tuple(json.loads(text).items()))


def _room(length: int) -> int:
    """An app with fewer profiles than this takes one more with so many attributes."""
    return MOST_PROFILES - RESERVED_PROFILES * max(length - 1, 0) // (len(KNOWN_ATTRIBUTES) - 1)
