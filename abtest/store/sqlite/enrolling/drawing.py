"""New devices in SQLite: they are numbered, and drawn by everything that takes them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, compress, count, repeat

from abtest import allocation
from abtest.domain import HELD_PLACE
from abtest.store.sqlite.driver import Raw
from abtest.store.sqlite.enrolling.catalogue import Catalogue, Drawn, Taking
from abtest.store.sqlite.enrolling.profiles import Profile

# Not max(id): a number must never be given out twice, even if somebody deleted its row.
LAST_DEVICE = "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'device'), 0)"

# One statement for all devices: around every statement and row, other threads of Python may take their turn.
ADD_DEVICES = "INSERT INTO device (id, first_seen, profile_id) SELECT ? + key, ?, value FROM json_each(?)"

ADD_TOKENS = "INSERT INTO device_token (token, device_id) SELECT value, ? + key FROM json_each(?)"

ADD_ASSIGNMENT = """
INSERT INTO assignment (device_id, experiment_id, phase_id, variant_id, position) VALUES (?, ?, ?, ?, ?)
"""

AT_ONCE = 64

ADD_ASSIGNMENTS = ADD_ASSIGNMENT + ", (?, ?, ?, ?, ?)" * (AT_ONCE - 1)

NEXT_POSITION = "SELECT next_position, block_counts FROM phase WHERE id = ?"

Row = tuple[int, int, int, int, int | None]
"""An assignment: device, experiment, phase, variant, position."""

ADVANCE = "UPDATE phase SET next_position = ?, block_counts = ? WHERE id = ?"


def last_device(connection: Raw) -> int:
    """The highest id that a device ever had; 0 before the first."""
    (last,) = connection.execute(LAST_DEVICE).fetchone()
    return int(last)


def add_devices(connection: Raw, tokens: Sequence[str], now: int, profiles: Sequence[Profile]) -> range:
    """Number these devices, in this order."""
    first = last_device(connection) + 1
    connection.execute(ADD_DEVICES, (first, now, json.dumps([profile.number for profile in profiles])))
    connection.execute(ADD_TOKENS, (first, json.dumps(tokens)))
    return range(first, first + len(tokens))


def draw_all(
    connection: Raw, catalogue: Catalogue, drawn: Drawn, devices: Sequence[int], profiles: Sequence[Profile]
) -> list[tuple[int, ...]]:
    """Draw new devices of one app, which ascend; the delivered variants of each.

    First the holdouts, then the groups, then the experiments, each in the order of creation. A device that is held
    takes no other position.
    """
    rows: list[Row] = []
    if drawn.takes_all:
        columns = [_draw(connection, each, devices, rows) for each in drawn.experiments]
        variants: list[tuple[int, ...]] = list(zip(*columns, strict=True)) if columns else [()] * len(devices)
    else:
        variants = _draw_some(connection, catalogue, drawn, devices, profiles, rows)
    _assign(connection, rows)
    return variants


def _assign(connection: Raw, rows: Sequence[Row]) -> None:
    """Add these assignments: many at once take half the time of one after another."""
    whole = len(rows) - len(rows) % AT_ONCE
    for begin in range(0, whole, AT_ONCE):
        connection.execute(ADD_ASSIGNMENTS, list(chain.from_iterable(rows[begin : begin + AT_ONCE])))
    connection.executemany(ADD_ASSIGNMENT, rows[whole:])


def _draw_some(
    connection: Raw,
    catalogue: Catalogue,
    drawn: Drawn,
    devices: Sequence[int],
    profiles: Sequence[Profile],
    rows: list[Row],
) -> list[tuple[int, ...]]:
    free = _not_held(connection, drawn, devices, rows)
    chosen = defaultdict(set)
    for group in drawn.groups:
        for device, variant in zip(free, _draw(connection, group, free, rows), strict=True):
            chosen[variant].add(device)
    fits = [drawn.fits(profiles[device - devices[0]].attributes) for device in free]
    variants: dict[int, list[int]] = {device: [] for device in devices}
    for taking, fit in zip(drawn.experiments, zip(*fits, strict=True), strict=False):
        inside = list(compress(free, fit))
        if taking.chosen is not None:
            inside = [device for device in inside if device in chosen[taking.chosen]]
        for device, variant in zip(inside, _draw(connection, taking, inside, rows), strict=False):
            if variant in catalogue.delivered:
                variants[device].append(variant)
    return list(map(tuple, variants.values()))


def _not_held(connection: Raw, drawn: Drawn, devices: Sequence[int], rows: list[Row]) -> Sequence[int]:
    for holdout in drawn.holdouts:
        held = holdout.variant_ids[HELD_PLACE]
        outcomes = _draw(connection, holdout, devices, rows)
        devices = [device for device, variant in zip(devices, outcomes, strict=True) if variant != held]
    return devices


def _draw(connection: Raw, taking: Taking, devices: Sequence[int], rows: list[Row]) -> list[int]:
    """Draw the devices, which ascend, in one experiment, group or holdout; the variant of each. Adds to the rows.

    There are fewer variants where an experiment takes no more devices.
    """
    if not devices:
        return []
    positions: Iterable[int | None]
    if taking.winner is not None:
        variants, positions = [taking.winner] * len(devices), repeat(None)
    else:
        first, counts = connection.execute(NEXT_POSITION, (taking.phase_id,)).fetchone()
        places, counts = _places(taking, first, tuple(json.loads(counts)), len(devices))
        connection.execute(ADVANCE, (first + len(places), json.dumps(counts), taking.phase_id))
        variants, positions = [taking.variant_ids[place] for place in places], count(first)
    rows += zip(devices, repeat(taking.experiment_id), repeat(taking.phase_id), variants, positions, strict=False)
    return variants


def _places(
    taking: Taking, first: int, counts: allocation.Counts, number: int
) -> tuple[list[int], allocation.Counts]:
    """What the next positions give, at most up to the last device that the experiment may have."""
    places, after = allocation.draw(taking.seed, taking.phase_number, taking.weights, first, number, counts)
    if taking.stop_at is None:
        return places, after
    had = taking.before + allocation.covered_until(
        taking.seed, taking.phase_number, taking.weights, first, counts, taking.outside
    )
    most = allocation.positions_until(places, taking.stop_at - had, taking.outside)
    if most == number:
        return places, after
    return allocation.draw(taking.seed, taking.phase_number, taking.weights, first, most, counts)
