"""Reading every decision back, to check it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from abtest.allocation import Weights
from abtest.domain import (
    DEFAULT_APP,
    Attributes,
    Audience,
    Cell,
    Entry,
    Facts,
    Metric,
    Occurrence,
    Showing,
    Sums,
    TestDevice,
)

OUTSIDE_AUDIENCE, ALL_DEVICES = -1, -2
"""Beside the place of a condition: devices outside the audience, and all devices, inside or outside."""


class PhaseRecord(Struct, frozen=True):
    """A phase as it is stored. `counts`: per variant, before the block with `next_position`.

    `weights`: what positions are drawn from. `outside`: the place among them of devices outside the coverage, the
    last one; None where there are none. `weights` and `counts` are empty when the stored text can't be read.
    `stop_at`: how many devices the experiment may have.
    """

    id: int
    number: int
    weights: Weights
    outside: int | None
    stop_at: int | None
    created_after_device: int
    next_position: int
    counts: tuple[int, ...]


class StatusRecord(Struct, frozen=True):
    """A status, stored as a word. It applies to devices after `after_device`, until the next status."""

    id: int
    status: str
    winner: str | None
    after_device: int


class ExperimentRecord(Struct, frozen=True):
    """Everything that decided the assignments in an experiment, a group or a holdout.

    `app`: its number. `name`: its key, and before it that of its app where there are several. `variants`: ids, in the
    order of the values and places. `outside`: the id that devices outside the coverage have; None if it never left
    devices out. `audience`: None when the stored text can't be read.
    """

    id: int
    app: int
    kind: str
    key: str
    name: str
    status: str
    winner: str | None
    seed: bytes
    algorithm: int
    created_after_device: int
    audience: Audience | None
    values: tuple[str, ...]
    variants: tuple[int, ...]
    places: tuple[int, ...]
    outside: int | None
    phases: tuple[PhaseRecord, ...]
    statuses: tuple[StatusRecord, ...]


class TestValueRecord(Struct, frozen=True):
    """A variant that was chosen for a test device. `test_device`: its id. `app`: the number of its token's app."""

    test_device: int
    app: int
    experiment_id: int
    variant_id: int


class Ledger(Struct, frozen=True):
    """What the assignments must agree with, from one snapshot.

    `devices`: the number of device rows. `last_device`: the highest id that was ever given. `strangers`: the number
    of rows of devices, tokens and assignments whose device id was never given. `tokens`: how many tokens each device
    has, in the order of ids, one byte each, at most 255. `token_apps`: in the same order, the number of the app that
    the device's token is of, 0 without one. `without_profile`: the number of devices whose profile is missing.
    `profiles`: the attributes that are kept, by id; None where they can't be read. `apps`: of all profiles, the
    number of the app. `app_rows`: by number, the key of each app and the number of its profiles with attributes.
    `strange_test_devices`: how many test devices have a token of another app. `missing`: numbers that must be kept
    beside all rows, and are not.

    The summary: `watermark` (None when its row is missing), `counted` by (phase id, variant id), `hourly` by
    (experiment id, hour), `daily` by (phase id, variant id, day), `outside` by (id of the status, place of the
    condition, OUTSIDE_AUDIENCE or ALL_DEVICES), `winners` by experiment id, `of_apps` by app.
    """

    devices: int
    last_device: int
    strangers: int
    tokens: bytes
    token_apps: Sequence[int]
    without_profile: int
    profiles: Mapping[int, Attributes | None]
    apps: Mapping[int, int]
    app_rows: Mapping[int, tuple[str, int]]
    strange_test_devices: int
    missing: tuple[str, ...]
    experiments: tuple[ExperimentRecord, ...]
    test_values: tuple[TestValueRecord, ...]
    watermark: int | None
    counted: Mapping[tuple[int, int], int]
    hourly: Mapping[tuple[int, int], int]
    daily: Mapping[tuple[int, int, int], int]
    outside: Mapping[tuple[int, int], int]
    winners: Mapping[int, int]
    of_apps: Mapping[int, int]


AssignmentRow = tuple[int, int, int, int, int | None]
"""Ids of device, experiment, phase and variant, and the position: a tuple, since verify compares millions of them."""


class Chunk(Struct, frozen=True):
    """The devices with after < id <= upto as (id, first seen in milliseconds, profile), ascending, and assignments.

    The assignments ascend by device and experiment, and include those of a device whose row is missing.
    """

    after: int
    upto: int
    devices: list[tuple[int, int, int | None]]
    assignments: list[AssignmentRow]


class AssignmentRecord(Struct, frozen=True):
    """An assignment as it is stored."""

    experiment_id: int
    phase_id: int
    variant_id: int
    position: int | None


class DeviceRecord(Struct, frozen=True):
    """A device of the app with this number, and all its assignments.

    `first_seen` in milliseconds. `attributes`: what is kept of them.
    """

    id: int
    app: int
    first_seen: int
    attributes: Attributes
    assignments: tuple[AssignmentRecord, ...]


class MetricRecord(Struct, frozen=True):
    """A metric as it is stored, with the name of its experiment; `watermark`: the last event that was folded in."""

    name: str
    metric: Metric
    watermark: int


class EventLedger(Struct, frozen=True):
    """What the events must agree with, from one snapshot.

    The summary: `cells` by metric, phase, variant and day; `happened` by metric and day; `exposed` by phase, variant,
    day, and whether devices showed their own value. `erasures`: how often events were erased.
    """

    last_event: int
    last_device: int
    metrics: Mapping[int, MetricRecord]
    exposure_watermark: int
    cells: Mapping[Cell, Sums]
    happened: Mapping[tuple[int, int], int]
    exposed: Mapping[tuple[int, int, int, bool], int]
    erasures: int


class EventChunk(Struct, frozen=True):
    """The folded events of some devices, in the order of storage, and what the worker keeps of each device.

    `events`: (metric id, event id, what happened). `totals`: by (metric id, device id); None when what is stored is
    no number. `exposed`: (experiment id, device id, whether it showed its own value). `metrics`: as in this snapshot.
    `erasures`: as in the ledger.
    """

    metrics: Mapping[int, Metric]
    events: list[tuple[int, int, Occurrence]]
    exposures: list[Showing]
    totals: Mapping[tuple[int, int], int | None]
    exposed: frozenset[tuple[int, int, bool]]
    erasures: int


class JournalEnd(Struct, frozen=True):
    """The newest entry: its id and hash as they are noted, and the largest id that an entry has; 0 where none has."""

    id: int
    hash: str
    last: int


class Settled(Struct, frozen=True):
    """What people decided about every experiment, group and holdout, as it is stored.

    `facts`: by app, kind and key; None where it can't be read.
    """

    end: JournalEnd
    facts: Mapping[tuple[str, str, str], Facts | None]


class AuditStore(Protocol):
    """Reads what is needed to check every promise."""

    async def ledger(self) -> Ledger:
        """What the assignments must agree with."""
        ...

    async def chunk(self, after: int, upto: int) -> Chunk:
        """Some devices with their assignments. These never change, so chunks need no common snapshot."""
        ...

    async def event_ledger(self) -> EventLedger:
        """What the events must agree with."""
        ...

    async def event_chunk(self, after: int, upto: int) -> EventChunk:
        """The events of some devices."""
        ...

    async def experiment_records(self) -> tuple[ExperimentRecord, ...]:
        """The experiments, groups and holdouts of the ledger, without reading any device."""
        ...

    async def device(self, token: str, app: str = DEFAULT_APP) -> DeviceRecord:
        """The device of an app with this token. Raises UnknownApp or UnknownDevice."""
        ...

    async def test_device(self, token: str, app: str = DEFAULT_APP) -> TestDevice | None:
        """The test device of an app with this token, if there is one. Raises UnknownApp."""
        ...

    async def settled(self) -> Settled:
        """What people decided, and where the journal ends, from one snapshot."""
        ...

    async def journal_chunk(self, after: int, most: int) -> Sequence[Entry]:
        """The next entries after this id, ascending. They never change, so chunks need no common snapshot."""
        ...
