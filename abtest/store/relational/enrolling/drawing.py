"""Draws new devices in everything that takes them. Pure: positions go in, assignments and positions come out."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress, count, repeat

from abtest import allocation
from abtest.domain import HELD_PLACE
from abtest.store.relational.enrolling.catalogue import Catalogue, Drawn, Taking
from abtest.store.relational.enrolling.profiles import Profile

Row = tuple[int, int, int, int, int | None]
"""An assignment: device, experiment, phase, variant, position."""


class Positions:
    """The next position of each phase, as it was read under the enrolment lock and as the draw leaves it."""

    def __init__(self, found: Mapping[int, tuple[int, str]]) -> None:
        """`found`: by the id of the phase, its next position and block counts, as they are stored."""
        self._found = found
        self._moved: dict[int, tuple[int, allocation.Counts]] = {}

    def next(self, phase: int) -> tuple[int, allocation.Counts]:
        """The next position, and the counts before its block."""
        if phase in self._moved:
            return self._moved[phase]
        first, counts = self._found[phase]
        return first, tuple(json.loads(counts))

    def move(self, phase: int, first: int, counts: allocation.Counts) -> None:
        """The positions before `first` are taken."""
        self._moved[phase] = first, counts

    def moved(self) -> list[tuple[int, str, int]]:
        """The phases that have moved: next position and block counts, as they are stored, and the phase."""
        return [(first, json.dumps(counts), phase) for phase, (first, counts) in self._moved.items()]


def draw_all(
    catalogue: Catalogue, drawn: Drawn, devices: Sequence[int], profiles: Sequence[Profile], positions: Positions
) -> tuple[list[tuple[int, ...]], list[Row]]:
    """Draw new devices of one app, which ascend; returns the delivered variants of each, and all assignments.

    Holdouts draw first, then groups, then experiments, each in the order of creation. A device that is held takes no
    other position.
    """
    rows: list[Row] = []
    if drawn.takes_all:
        columns = [_draw(each, devices, positions, rows) for each in drawn.experiments]
        return list(zip(*columns, strict=True)) if columns else [()] * len(devices), rows
    return _draw_some(catalogue, drawn, devices, profiles, positions, rows), rows


def _draw_some(
    catalogue: Catalogue,
    drawn: Drawn,
    devices: Sequence[int],
    profiles: Sequence[Profile],
    positions: Positions,
    rows: list[Row],
) -> list[tuple[int, ...]]:
    free = _not_held(drawn, devices, positions, rows)
    chosen = defaultdict(set)
    for group in drawn.groups:
        for device, variant in zip(free, _draw(group, free, positions, rows), strict=True):
            chosen[variant].add(device)
    fits = [drawn.fits(profiles[device - devices[0]].attributes) for device in free]
    variants: dict[int, list[int]] = {device: [] for device in devices}
    for taking, fit in zip(drawn.experiments, zip(*fits, strict=True), strict=False):
        inside = list(compress(free, fit))
        if taking.chosen is not None:
            inside = [device for device in inside if device in chosen[taking.chosen]]
        for device, variant in zip(inside, _draw(taking, inside, positions, rows), strict=False):
            if variant in catalogue.delivered:
                variants[device].append(variant)
    return list(map(tuple, variants.values()))


def _not_held(drawn: Drawn, devices: Sequence[int], positions: Positions, rows: list[Row]) -> Sequence[int]:
    for holdout in drawn.holdouts:
        held = holdout.variant_ids[HELD_PLACE]
        outcomes = _draw(holdout, devices, positions, rows)
        devices = [device for device, variant in zip(devices, outcomes, strict=True) if variant != held]
    return devices


def _draw(taking: Taking, devices: Sequence[int], positions: Positions, rows: list[Row]) -> list[int]:
    """Draw the devices, which ascend, in one experiment, group or holdout, and add to the rows.

    Returns the variant of each; fewer, if an experiment takes no more devices.
    """
    if not devices:
        return []
    numbers: Iterable[int | None]
    if taking.winner is not None:
        variants, numbers = [taking.winner] * len(devices), repeat(None)
    else:
        first, before = positions.next(taking.phase_id)
        places, counts = _places(taking, first, before, len(devices))
        positions.move(taking.phase_id, first + len(places), counts)
        variants, numbers = [taking.variant_ids[place] for place in places], count(first)
    rows += zip(devices, repeat(taking.experiment_id), repeat(taking.phase_id), variants, numbers, strict=False)
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
