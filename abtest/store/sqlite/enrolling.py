"""First requests in SQLite: functions on a raw connection, each run inside one transaction."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby, repeat
from operator import itemgetter

from msgspec import Struct, field

from abtest import allocation
from abtest.domain import FULL_COVERAGE, NO_ATTRIBUTES, Attributes, Audience, Status, Type, failed
from abtest.store.enrolment import Delivered, Enrolment
from abtest.store.sqlite.columns import load_audience, load_weights
from abtest.store.sqlite.driver import Raw
from abtest.store.sqlite.profiles import Kept, Profile, profiles

MOST_DECIDED = 20_000

CONFIG_VERSION = "SELECT value FROM meta WHERE name = 'config_version'"

KNOWN = """
SELECT device_token.token, assignment.variant_id
FROM json_each(?) AS asked
JOIN device_token ON device_token.token = asked.value
LEFT JOIN assignment ON assignment.device_id = device_token.device_id
ORDER BY asked.key
"""

# Not max(id): a number must never be given out twice, even if somebody deleted its row.
LAST_DEVICE = "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'device'), 0)"

ADD_DEVICE = "INSERT INTO device (id, first_seen, profile_id) VALUES (?, ?, ?)"

ADD_TOKEN = "INSERT INTO device_token (token, device_id) VALUES (?, ?)"

ADD_ASSIGNMENT = """
INSERT INTO assignment (device_id, experiment_id, phase_id, variant_id, position) VALUES (?, ?, ?, ?, ?)
"""

NEXT_POSITION = "SELECT next_position, block_counts FROM phase WHERE id = ?"

ADVANCE = "UPDATE phase SET next_position = ?, block_counts = ? WHERE id = ?"

KEYS = "SELECT key FROM experiment"

DELIVERED = """
SELECT variant.id, experiment.key, variant.value, experiment.type
FROM experiment JOIN variant ON variant.experiment_id = experiment.id
WHERE experiment.status IN ('running', 'paused', 'finished') AND variant.value != ''
"""

TAKING = """
SELECT experiment.id, experiment.status, experiment.winner, experiment.seed, experiment.audience,
  phase.id, phase.number, phase.weights, phase.coverage
FROM experiment
JOIN phase ON phase.id = (SELECT max(id) FROM phase WHERE experiment_id = experiment.id)
WHERE experiment.status = 'running' OR (experiment.status = 'finished' AND experiment.winner IS NOT NULL)
ORDER BY experiment.id
"""

# The one for devices outside the coverage, if there is one, comes last.
VARIANTS = "SELECT id, value FROM variant WHERE experiment_id = ? ORDER BY place < 0, place"


class Taking(Struct, frozen=True):
    """An experiment that takes new devices. `winner`: the variant that all of them get if it is finished.

    `weights`: what positions are drawn from. Where they leave devices out, the last of `variant_ids` is for those.
    """

    experiment_id: int
    audience: Audience
    phase_id: int
    phase_number: int
    seed: bytes
    weights: allocation.Weights
    covers_all: bool
    variant_ids: tuple[int, ...]
    winner: int | None

    @property
    def takes_all(self) -> bool:
        """Whether every new device gets a value."""
        return not self.audience and self.covers_all


Fits = tuple[bool, ...]
"""Of each experiment that takes devices, whether a device is in its audience."""


class Catalogue(Struct, frozen=True):
    """What enrolment needs to know of the experiments, as of a config version.

    `decided`: what was decided for attributes that devices had.
    """

    config_version: int
    keys: frozenset[str]
    values: Mapping[int, Delivered]
    taking: tuple[Taking, ...]
    decided: dict[Attributes, Fits] = field(default_factory=dict)

    def fits(self, attributes: Attributes) -> Fits:
        """Decides once for equal attributes."""
        found = self.decided.get(attributes)
        if found is None:
            if len(self.decided) >= MOST_DECIDED:
                self.decided.clear()
            found = self.decided[attributes] = tuple(not failed(each.audience, attributes) for each in self.taking)
        return found


NOTHING = Catalogue(config_version=0, keys=frozenset(), values={}, taking=())


def config_version(connection: Raw) -> int:
    """The number that grows with every change of an experiment."""
    (version,) = connection.execute(CONFIG_VERSION).fetchone()
    return int(version)


def last_device(connection: Raw) -> int:
    """The highest id that a device ever had; 0 before the first."""
    (last,) = connection.execute(LAST_DEVICE).fetchone()
    return int(last)


def current(connection: Raw, catalogue: Catalogue) -> Catalogue:
    """The catalogue, read again only if the version has changed."""
    version = config_version(connection)
    if version == catalogue.config_version:
        return catalogue
    values = {
        variant: Delivered(key, value, Type(type)) for variant, key, value, type in connection.execute(DELIVERED)
    }
    taking = []
    for experiment, status, winner, seed, audience, phase, number, weights, coverage in connection.execute(
        TAKING
    ).fetchall():
        variants = connection.execute(VARIANTS, (experiment,)).fetchall()
        taking.append(
            Taking(
                experiment_id=experiment,
                audience=load_audience(audience),
                phase_id=phase,
                phase_number=number,
                seed=seed,
                weights=allocation.drawn_weights(load_weights(weights), Decimal(coverage)),
                covers_all=Decimal(coverage) == FULL_COVERAGE,
                variant_ids=tuple(variant for variant, _ in variants),
                winner=next(variant for variant, value in variants if value == winner)
                if status == Status.FINISHED
                else None,
            )
        )
    keys = frozenset(key for (key,) in connection.execute(KEYS))
    return Catalogue(config_version=version, keys=keys, values=values, taking=tuple(taking))


def known(connection: Raw, catalogue: Catalogue, tokens: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The delivered variants of the known devices among these tokens."""
    rows = connection.execute(KNOWN, (json.dumps(tokens),))
    return {
        token: tuple(variant for _, variant in group if variant in catalogue.values)
        for token, group in groupby(rows, key=itemgetter(0))
    }


def find(connection: Raw, catalogue: Catalogue, tokens: Sequence[str]) -> tuple[Catalogue, Enrolment]:
    """The answers of the known devices among these tokens."""
    catalogue = current(connection, catalogue)
    variants = known(connection, catalogue, tokens)
    return catalogue, Enrolment(catalogue.config_version, catalogue.keys, catalogue.values, variants)


def enrol(
    connection: Raw,
    catalogue: Catalogue,
    kept: Kept,
    tokens: Sequence[str],
    now: int,
    attributes: Mapping[str, Attributes],
) -> tuple[Catalogue, Enrolment, dict[Attributes, Profile]]:
    """Answer every token. Unknown tokens become devices, and are enrolled in every experiment that takes them.

    The profiles of their attributes may be `kept` once all of it is durable.
    """
    catalogue = current(connection, catalogue)
    variants = known(connection, catalogue, tokens)
    new = [token for token in tokens if token not in variants]
    found: dict[Attributes, Profile] = {}
    if new:
        said = [attributes.get(token, NO_ATTRIBUTES) for token in new]
        found = profiles(connection, kept, said)
        theirs = [found[each] for each in said]
        variants |= zip(new, _enrol_new(connection, catalogue, new, now, theirs), strict=True)
    enrolment = Enrolment(catalogue.config_version, catalogue.keys, catalogue.values, variants, frozenset(new))
    return catalogue, enrolment, found


def _enrol_new(
    connection: Raw, catalogue: Catalogue, tokens: Sequence[str], now: int, profiles: Sequence[Profile]
) -> list[tuple[int, ...]]:
    last = last_device(connection)
    devices = range(last + 1, last + 1 + len(tokens))
    numbers = [profile.number for profile in profiles]
    connection.executemany(ADD_DEVICE, zip(devices, repeat(now), numbers, strict=False))
    connection.executemany(ADD_TOKEN, zip(tokens, devices, strict=True))
    if all(taking.takes_all for taking in catalogue.taking):
        drawn = [_draw(connection, taking, devices) for taking in catalogue.taking]
        return list(zip(*drawn, strict=True)) if drawn else [()] * len(tokens)
    fits = [catalogue.fits(profile.attributes) for profile in profiles]
    variants: list[list[int]] = [[] for _ in tokens]
    for place, taking in enumerate(catalogue.taking):
        inside = [device for device, each in zip(devices, fits, strict=True) if each[place]]
        for device, variant in zip(inside, _draw(connection, taking, inside), strict=True):
            if variant in catalogue.values:
                variants[device - devices.start].append(variant)
    return list(map(tuple, variants))


def _draw(connection: Raw, taking: Taking, devices: Sequence[int]) -> list[int]:
    """Assign the devices, which ascend, in one experiment; the variant id of each."""
    if not devices:
        return []
    if taking.winner is not None:
        variants = [taking.winner] * len(devices)
        positions: Sequence[int | None] = [None] * len(devices)
    else:
        first, counts = connection.execute(NEXT_POSITION, (taking.phase_id,)).fetchone()
        places, counts = allocation.draw(
            taking.seed, taking.phase_number, taking.weights, first, len(devices), tuple(json.loads(counts))
        )
        connection.execute(ADVANCE, (first + len(devices), json.dumps(counts), taking.phase_id))
        variants = [taking.variant_ids[place] for place in places]
        positions = range(first, first + len(devices))
    connection.executemany(
        ADD_ASSIGNMENT,
        [
            (device, taking.experiment_id, taking.phase_id, variant, position)
            for device, variant, position in zip(devices, variants, positions, strict=True)
        ],
    )
    return variants
