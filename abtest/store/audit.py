"""Reading back every decision, to check it."""

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
"""Used like the place of a condition: for devices outside the audience, and for all devices, inside or outside."""


class PhaseRecord(Struct, frozen=True):
    """A phase as it is stored.

    `weights`: what positions are drawn from. `outside`: the place among them, the last one, of devices outside the
    coverage; None if the phase leaves none out. `counts`: how often each was drawn before the block with
    `next_position`. `weights` and `counts` are empty when the stored text can't be read. `stop_at`: how many devices
    the experiment may have.
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

    `app`: the number of its app. `name`: its key, after the key of its app if there are several apps. `variants`:
    ids, in the order of `values` and `places`. `outside`: the id of the variant for devices outside the coverage;
    None if it never left devices out. `audience`: None when the stored text can't be read.
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
    """A variant that was chosen for a test device. `app`: the number of its token's app."""

    test_device: int
    app: int
    experiment_id: int
    variant_id: int


class Ledger(Struct, frozen=True):
    """What the assignments must agree with, from one snapshot.

    `devices`: the number of device rows. `last_device`: the highest id that was ever given out. `strangers`: the
    number of rows of devices, tokens and assignments whose device id was never given out. `tokens`: how many tokens
    each device has, in the order of ids, one byte each, at most 255. `token_apps`: in the same order, the number of
    the app of the device's token; 0 without a token. `without_profile`: the number of devices whose profile is
    missing. `profiles`: by profile id, the attributes that are kept; None where they can't be read. `apps`: by
    profile id, the number of the app. `app_rows`: by number, the key of each app and the number of its profiles with
    attributes. `strange_test_devices`: how many test devices have a token of another app. `missing`: the names of
    counters that every database has, and this one lacks.

    The summary: `watermark` (None when its row is missing), `counted` by (phase id, variant id), `hourly` by
    (experiment id, hour), `daily` by (phase id, variant id, day), `outside` by (id of the status, place of the
    condition, OUTSIDE_AUDIENCE or ALL_DEVICES), `winners` by experiment id, `of_apps` by the number of the app.
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
    """The devices with after < id <= upto, with their assignments.

    `devices`: (id, first seen in milliseconds, profile), ascending. The assignments ascend by device and experiment,
    and include those of a device whose row is missing.
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

    `first_seen` in milliseconds. `attributes`: those that are kept.
    """

    id: int
    app: int
    first_seen: int
    attributes: Attributes
    assignments: tuple[AssignmentRecord, ...]


class MetricRecord(Struct, frozen=True):
    """A metric as it is stored. `name`: of its experiment. `watermark`: the last event that was folded in."""

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
    """The folded events of some devices, in the order of storage, and what the worker keeps about each device.

    `events`: (metric id, event id, what happened). `totals`: by (metric id, device id); None when what is stored is
    not a number. `exposed`: (experiment id, device id, whether it showed its own value). `metrics`: as in this
    snapshot. `erasures`: as in the ledger.
    """

    metrics: Mapping[int, Metric]
    events: list[tuple[int, int, Occurrence]]
    exposures: list[Showing]
    totals: Mapping[tuple[int, int], int | None]
    exposed: frozenset[tuple[int, int, bool]]
    erasures: int


class JournalEnd(Struct, frozen=True):
    """The id and hash of the newest entry, as they are noted, and the largest id in the journal; 0 if it is empty."""

    id: int
    hash: str
    last: int


class Settled(Struct, frozen=True):
    """What people decided about every experiment, group and holdout, as it is stored.

    `facts`: by app, kind and key; None where they can't be read.
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
