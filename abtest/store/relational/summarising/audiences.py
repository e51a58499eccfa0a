"""Which devices are outside which audience: decided once for each combination of attributes, as neither changes."""

from collections import Counter
from collections.abc import Iterable, Mapping

from abtest.domain import DEFAULT_APP_ID, NO_ATTRIBUTES, Attributes, failed
from abtest.store.relational.columns import load_audience
from abtest.store.relational.connection import Connection
from abtest.store.relational.enrolling import load_attributes

MOST_DECIDED = 50_000
"""Combinations of attributes in the memory of a worker, about 100 bytes each."""

AT_ONCE = 100

PROFILES = f"SELECT id, app_id, attributes FROM profile WHERE id IN ({', '.join('?' * AT_ONCE)})"

Asked = tuple[tuple[int, str], ...]
"""Audiences, each with the number of its app, as they are stored."""
Outcome = tuple[int, tuple[tuple[int, ...], ...]]
"""The app of a device, and for each audience of that app, the places of the conditions that it does not fulfil."""


class Decided:
    """What was decided about the audiences of the last call."""

    def __init__(self) -> None:
        self._asked: Asked = ()
        self._outcomes: dict[Outcome, int] = {}
        self._numbers: dict[str, int] = {}

    def count(self, connection: Connection, asked: Asked, devices: Mapping[str, int]) -> list[tuple[Outcome, int]]:
        """How many devices have which outcome.

        `devices`: by the id of a profile as a text, how many devices have it; 0 means none.
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

    def _decide(self, connection: Connection, profiles: Iterable[str]) -> None:
        audiences = [(app, load_audience(audience)) for app, audience in self._asked]
        said: dict[int, tuple[int, Attributes]] = {0: (DEFAULT_APP_ID, NO_ATTRIBUTES)}
        asked = [int(profile) for profile in profiles]
        for begin in range(0, len(asked), AT_ONCE):
            some = asked[begin : begin + AT_ONCE]
            rows = connection.execute(PROFILES, some + [0] * (AT_ONCE - len(some)))
            said |= {id: (app, load_attributes(attributes)) for id, app, attributes in rows}
        for id, (app, attributes) in said.items():
            outcome = app, tuple(failed(audience, attributes) if of == app else () for of, audience in audiences)
            self._numbers[str(id)] = self._outcomes.setdefault(outcome, len(self._outcomes))
