"""What enrolment needs to know about everything that people made, read once for each config version."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from abtest import allocation
from abtest.domain import Attributes, Audience, Kind, Status, Type, failed
from abtest.store.enrolment import Delivered
from abtest.store.relational.columns import load_audience, load_weights
from abtest.store.relational.connection import Connection

MOST_DECIDED = 20_000

CONFIG_VERSION = "SELECT value FROM meta WHERE name = 'config_version'"

APPS = "SELECT key, id FROM app ORDER BY id"

# The variant for devices outside the coverage, if there is one, comes last.
VARIANTS = """
SELECT experiment_id, app_id, kind, key, type, status, variant.id, place, value
FROM experiment JOIN variant ON variant.experiment_id = experiment.id
ORDER BY experiment_id, place < 0, place
"""

TAKING = """
SELECT experiment.id, experiment.app_id, experiment.kind, experiment.key, experiment.status, experiment.winner,
  experiment.seed, experiment.audience, phase.id, phase.number, phase.weights, phase.coverage, phase.stop_at
FROM experiment
JOIN phase ON phase.id = (SELECT max(id) FROM phase WHERE experiment_id = experiment.id)
WHERE experiment.status = 'running' OR (experiment.status = 'finished' AND experiment.winner IS NOT NULL)
ORDER BY experiment.id
"""

EARLIER = """
SELECT phase.experiment_id, number, weights, coverage, next_position, block_counts
FROM experiment JOIN phase ON phase.experiment_id = experiment.id
WHERE status = 'running' AND phase.id < (SELECT max(id) FROM phase WHERE experiment_id = experiment.id)
"""

TEST_DEVICES = """
SELECT token, variant_id
FROM test_device LEFT JOIN test_value ON test_device_id = test_device.id
ORDER BY test_device.id, experiment_id
"""

DELIVERED = frozenset({Status.RUNNING, Status.PAUSED, Status.FINISHED})


class Taking(Struct, frozen=True):
    """An experiment, group or holdout that takes new devices.

    `weights`: what positions are drawn from. `outside`: the place among them, the last one, of devices outside the
    coverage; None if it leaves none out. `variant_ids`: one for each weight. `winner`: the variant that all new
    devices get if it is finished. `chosen`: the variant of its group that stands for this experiment. `stop_at`: how
    many devices it may have. `before`: how many it had in earlier phases.
    """

    experiment_id: int
    kind: Kind
    audience: Audience
    phase_id: int
    phase_number: int
    seed: bytes
    weights: allocation.Weights
    outside: int | None
    variant_ids: tuple[int, ...]
    winner: int | None
    chosen: int | None
    stop_at: int | None
    before: int

    @property
    def takes_all(self) -> bool:
        """Whether it is an experiment that gives every new device a value."""
        return (
            self.kind is Kind.EXPERIMENT
            and not self.audience
            and self.outside is None
            and self.chosen is None
            and self.stop_at is None
        )


Fits = tuple[bool, ...]
"""For each experiment that takes devices, whether a device is in its audience."""


class Drawn(Struct, frozen=True):
    """What takes the new devices of an app: holdouts, groups and experiments, each in the order of creation.

    `decided`: the decisions so far, by attributes.
    """

    holdouts: tuple[Taking, ...] = ()
    groups: tuple[Taking, ...] = ()
    experiments: tuple[Taking, ...] = ()
    takes_all: bool = True
    decided: dict[Attributes, Fits] = field(default_factory=dict)

    @property
    def phases(self) -> list[int]:
        """The phases in which positions may be drawn."""
        taking = (*self.holdouts, *self.groups, *self.experiments)
        return [each.phase_id for each in taking if each.winner is None]

    def fits(self, attributes: Attributes) -> Fits:
        """Which audiences these attributes fit, decided once for equal attributes."""
        found = self.decided.get(attributes)
        if found is None:
            if len(self.decided) >= MOST_DECIDED:
                self.decided.clear()
            audiences = (each.audience for each in self.experiments)
            found = self.decided[attributes] = tuple(not failed(audience, attributes) for audience in audiences)
        return found


class Catalogue(Struct, frozen=True):
    """Everything that people made, as of a config version.

    `apps`: the number of each app, by key. `keys`: the keys of each app's experiments, `drawn`: what takes its new
    devices, both by the app's number. `values`: what each variant delivers. `delivered`: the variants that devices
    get. `test_devices`: by scoped token, the variants that were chosen for each.
    """

    config_version: int
    apps: Mapping[str, int]
    keys: Mapping[int, frozenset[str]]
    values: Mapping[int, Delivered]
    delivered: frozenset[int]
    test_devices: Mapping[str, tuple[int, ...]]
    drawn: Mapping[int, Drawn]


Outcomes = list[tuple[int, str]]
"""The variants of an experiment, a group or a holdout, with their values."""

NOTHING = Catalogue(0, {}, {}, {}, frozenset(), {}, {})
NOTHING_DRAWN = Drawn()


def config_version(connection: Connection) -> int:
    """See EnrolmentStore.config_version."""
    (version,) = connection.execute(CONFIG_VERSION).fetchone()
    return int(version)


def current(connection: Connection, catalogue: Catalogue) -> Catalogue:
    """The catalogue, read again only if the version has changed."""
    version = config_version(connection)
    return catalogue if version == catalogue.config_version else read_catalogue(connection, version)


def read_catalogue(connection: Connection, version: int) -> Catalogue:
    """The catalogue of this version. Every query is sent before any answer is waited for."""
    asked = [connection.execute(each) for each in (APPS, VARIANTS, TAKING, EARLIER, TEST_DEVICES)]
    apps, variants, taking, earlier, test_devices = [each.fetchall() for each in reversed(asked)][::-1]
    keys: dict[int, set[str]] = defaultdict(set)
    values, delivered, outcomes = dict[int, Delivered](), set[int](), defaultdict[int, Outcomes](list)
    for experiment, app, kind, key, type, status, variant, place, value in variants:
        outcomes[experiment].append((variant, value))
        if kind == Kind.EXPERIMENT and place >= 0:
            keys[app].add(key)
            values[variant] = Delivered(key, value, Type(type))
            if status in DELIVERED:
                delivered.add(variant)
    return Catalogue(
        config_version=version,
        apps=dict(apps),
        keys={app: frozenset(found) for app, found in keys.items()},
        values=values,
        delivered=frozenset(delivered),
        test_devices=_test_devices(test_devices),
        drawn=_drawn([_Row(*row) for row in taking], outcomes, earlier),
    )


def _test_devices(rows: Iterable[tuple[str, int | None]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for token, variant in rows:
        found.setdefault(token, []).extend([] if variant is None else [variant])
    return {token: tuple(variants) for token, variants in found.items()}


def _drawn(rows: Sequence["_Row"], outcomes: Mapping[int, Outcomes], earlier: Iterable[Any]) -> dict[int, Drawn]:
    before: dict[int, list[Any]] = defaultdict(list)
    for experiment, *phase in earlier:
        before[experiment].append(phase)
    chosen = {
        (row.app_id, key): variant
        for row in rows
        if row.kind == Kind.GROUP
        for (variant, key), weight in zip(outcomes[row.id], load_weights(row.weights), strict=False)
        if weight
    }
    found: dict[int, dict[str, list[Taking]]] = defaultdict(lambda: {kind: [] for kind in Kind})
    for row in rows:
        if row.kind != Kind.GROUP or Decimal(row.coverage):  # a group without members decides nothing
            in_group = chosen.get((row.app_id, row.key)) if row.kind == Kind.EXPERIMENT else None
            found[row.app_id][row.kind].append(_taking(row, outcomes[row.id], in_group, before[row.id]))
    return {
        app: Drawn(
            holdouts=tuple(kinds[Kind.HOLDOUT]),
            groups=tuple(kinds[Kind.GROUP]),
            experiments=tuple(kinds[Kind.EXPERIMENT]),
            takes_all=all(each.takes_all for taking in kinds.values() for each in taking),
        )
        for app, kinds in found.items()
    }


class _Row(Struct, frozen=True):
    """A row of TAKING."""

    id: int
    app_id: int
    kind: str
    key: str
    status: str
    winner: str | None
    seed: bytes
    audience: str
    phase_id: int
    phase_number: int
    weights: str
    coverage: str
    stop_at: int | None


def _taking(row: _Row, outcomes: Outcomes, chosen: int | None, earlier: Iterable[Any]) -> Taking:
    weights, outside = allocation.drawn_weights(load_weights(row.weights), Decimal(row.coverage))
    return Taking(
        experiment_id=row.id,
        kind=Kind(row.kind),
        audience=load_audience(row.audience),
        phase_id=row.phase_id,
        phase_number=row.phase_number,
        seed=row.seed,
        weights=weights,
        outside=outside,
        variant_ids=tuple(variant for variant, _ in outcomes),
        winner=next(variant for variant, value in outcomes if value == row.winner)
        if row.status == Status.FINISHED
        else None,
        chosen=chosen,
        stop_at=row.stop_at,
        before=0 if row.stop_at is None else sum(_had(row.seed, *phase) for phase in earlier),
    )


def _had(seed: bytes, number: int, weights: str, coverage: str, position: int, counts: str) -> int:
    """How many devices an experiment had in an earlier phase."""
    drawn, outside = allocation.drawn_weights(load_weights(weights), Decimal(coverage))
    return allocation.covered_until(seed, number, drawn, position, tuple(json.loads(counts)), outside)
