"""First requests in SQLite: functions on a raw connection, each run inside one transaction."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from abtest.domain import NO_ATTRIBUTES, Attributes
from abtest.store.enrolment import Enrolment
from abtest.store.relational.enrolling import (
    NOTHING_DRAWN,
    Catalogue,
    Found,
    ask_profiles,
    by_app,
    current,
    draw_all,
    enrolment_of,
    known_of,
    put_profiles,
    said_of,
)
from abtest.store.sqlite.driver import Raw
from abtest.store.sqlite.enrolling.storing import PROFILES, add_devices, positions, store

KNOWN = """
SELECT device_token.token, assignment.variant_id
FROM json_each(?) AS asked
JOIN device_token ON device_token.token = asked.value
LEFT JOIN assignment ON assignment.device_id = device_token.device_id
ORDER BY asked.key
"""


def known(connection: Raw, catalogue: Catalogue, tokens: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The variants that are delivered to the test devices and known devices among these tokens."""
    rows = groupby(connection.execute(KNOWN, (json.dumps(tokens),)), key=itemgetter(0))
    return known_of(catalogue, tokens, ((token, [variant for _, variant in of_token]) for token, of_token in rows))


def find(connection: Raw, catalogue: Catalogue, tokens: Sequence[str]) -> tuple[Catalogue, Enrolment]:
    """The answers for the known devices among these tokens."""
    catalogue = current(connection, catalogue)
    return catalogue, enrolment_of(catalogue, known(connection, catalogue, tokens))


def enrol(
    connection: Raw,
    catalogue: Catalogue,
    kept: Mapping[int, Found],
    tokens: Sequence[str],
    now: int,
    attributes: Mapping[str, Attributes],
) -> tuple[Catalogue, Enrolment, dict[int, Found]]:
    """Answer every token. Unknown tokens become devices, which are drawn in everything that takes them.

    `kept`: the profiles that are known. The last value returned is the profiles of these devices, which count as
    known only once all is durable.
    """
    catalogue = current(connection, catalogue)
    variants = known(connection, catalogue, tokens)
    new = [token for token in tokens if token not in variants]
    apps = by_app(new)
    said = said_of(apps, attributes)
    shelf = ask_profiles(connection, PROFILES, said, kept)()
    found = shelf.find(said, kept)
    put_profiles(connection, PROFILES, shelf)
    for app, of_app in apps.items():
        theirs = [found[app][attributes.get(token, NO_ATTRIBUTES)] for token in of_app]
        devices = add_devices(connection, of_app, now, theirs)
        taking = catalogue.drawn.get(app, NOTHING_DRAWN)
        there = positions(connection, taking.phases)
        drawn, rows = draw_all(catalogue, taking, devices, theirs, there)
        store(connection, there, rows)
        variants |= zip(of_app, drawn, strict=True)
    return catalogue, enrolment_of(catalogue, variants, frozenset(new)), found
