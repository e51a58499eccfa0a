"""Who is outside which audience, decided once for each combination of attributes: neither ever changes."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from abtest.domain import DEFAULT_APP_ID, NO_ATTRIBUTES, Attributes, failed
from abtest.store.relational.columns import load_audience
from abtest.store.relational.enrolling import load_attributes
from abtest.store.sqlite.driver import Raw

MOST_DECIDED = 50_000
"""Combinations of attributes in the memory of a worker, about 100 bytes each."""

PROFILES = "SELECT profile.id, app_id, attributes FROM json_each(?) AS asked JOIN profile ON profile.id = asked.value"

Asked = tuple[tuple[int, str], ...]
"""Audiences, each with the number of its app, as they are stored."""
Outcome = tuple[int, tuple[tuple[int, ...], ...]]
"""The app of a device, and of each audience of that app the places of the conditions that it does not fulfil."""


class Decided:
    """What was decided about the audiences that were asked about last."""

    def __init__(self) -> None:
        self._asked: Asked = ()
        self._outcomes: dict[Outcome, int] = {}
        self._numbers: dict[str, int] = {}

    def count(self, connection: Raw, asked: Asked, devices: Mapping[str, int]) -> list[tuple[Outcome, int]]:
        """How many devices have which outcome.

        `devices`: how many have a profile, by its id as a text; 0 is none.
        """
        if asked != self._asked:
            self._asked, self._outcomes, self._numbers = asked, {}, {}
        if len(self._numbers) > MOST_DECIDED:
            self._numbers = {}
        if unknown := devices.keys() - self._numbers.keys():
            self._decide(connection, unknown)
        counts: Counter[int] = Counter()
        for profile, number in devices.items():
            counts[self._numbers[profile]] += number
        outcomes = list(self._outcomes)
        return [(outcomes[number], devices) for number, devices in counts.items()]

    def _decide(self, connection: Raw, profiles: Iterable[str]) -> None:
        audiences = [(app, load_audience(audience)) for app, audience in self._asked]
        rows: Sequence[tuple[int, int, str]] = connection.execute(
            PROFILES, (json.dumps(list(map(int, profiles))),)
        ).fetchall()
        said: dict[int, tuple[int, Attributes]] = {0: (DEFAULT_APP_ID, NO_ATTRIBUTES)}
        said |= {id: (app, load_attributes(attributes)) for id, app, attributes in rows}
        for id, (app, attributes) in said.items():
            outcome = app, tuple(failed(audience, attributes) if of == app else () for of, audience in audiences)
            self._numbers[str(id)] = self._outcomes.setdefault(outcome, len(self._outcomes))
