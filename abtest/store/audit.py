"""Where every decision can be read back."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from abtest.allocation import Weights
from abtest.domain import Cell, Metric, Occurrence, Sums


class PhaseRecord(Struct, frozen=True):
    """A phase as it is stored. `counts`: per variant before the block in which `next_position` lies.

    `weights` and `counts` are empty when what is stored can't be read.
    """

    id: int
    number: int
    weights: Weights
    created_after_device: int
    next_position: int
    counts: tuple[int, ...]


class StatusRecord(Struct, frozen=True):
    """A status that holds for the devices after `after_device`, until the next one. It is stored as a word."""

    status: str
    winner: str | None
    after_device: int


class ExperimentRecord(Struct, frozen=True):
    """All that decided an experiment's assignments. `variants`: ids in the order of the values and places."""

    id: int
    key: str
    status: str
    winner: str | None
    seed: bytes
    algorithm: int
    created_after_device: int
    values: tuple[str, ...]
    variants: tuple[int, ...]
    places: tuple[int, ...]
    phases: tuple[PhaseRecord, ...]
    statuses: tuple[StatusRecord, ...]


class Ledger(Struct, frozen=True):
    """What the assignments must agree with, from one snapshot.

    `devices`: how many device rows there are; `last_device`: the highest id that was ever given; `strangers`: rows of
    devices, tokens and assignments with an id that never was; `tokens`: how many tokens each device has, in the order
    of ids, a byte for each, 255 for more. `watermark` (None when its row is missing), `counted`,
    `hourly`, `daily`: the summary, by (phase id, variant id), by (experiment id, hour), and by phase id, variant id
    and day.
    """

    devices: int
    last_device: int
    strangers: int
    tokens: bytes
    experiments: tuple[ExperimentRecord, ...]
    watermark: int | None
    counted: Mapping[tuple[int, int], int]
    hourly: Mapping[tuple[int, int], int]
    daily: Mapping[tuple[int, int, int], int]


AssignmentRow = tuple[int, int, int, int, int | None]
"""Ids of device, experiment, phase and variant, and the position: a tuple, since verify compares millions of them."""


class Chunk(Struct, frozen=True):
    """The devices with after < id <= upto as (id, first seen in milliseconds), ascending, and their assignments.

    The assignments ascend by device and experiment; they are there even where a device's row is not.
    """

    after: int
    upto: int
    devices: list[tuple[int, int]]
    assignments: list[AssignmentRow]


class AssignmentRecord(Struct, frozen=True):
    """An assignment as it is stored."""

    experiment_id: int
    phase_id: int
    variant_id: int
    position: int | None


class DeviceRecord(Struct, frozen=True):
    """A device and all its assignments. `first_seen` in milliseconds."""

    id: int
    first_seen: int
    assignments: tuple[AssignmentRecord, ...]


class MetricRecord(Struct, frozen=True):
    """A metric as it is stored, with the key of its experiment; `watermark`: the last event that is folded in."""

    key: str
    metric: Metric
    watermark: int


class EventLedger(Struct, frozen=True):
    """What the events must agree with, from one snapshot.

    `cells`, `happened`, `exposed`: the summary, by metric, phase, variant and day; by (metric, day); by phase,
    variant and day. `erasures`: how often events were erased.
    """

    last_event: int
    last_device: int
    metrics: Mapping[int, MetricRecord]
    exposure_watermark: int
    cells: Mapping[Cell, Sums]
    happened: Mapping[tuple[int, int], int]
    exposed: Mapping[tuple[int, int, int], int]
    erasures: int


class EventChunk(Struct, frozen=True):
    """The folded events of some devices, in the order in which they were stored, and what is kept of the devices.

    `events`: (metric id, event id, what happened). `exposures`: the first of each device in each experiment, as
    (event id, experiment id, device id, phase id, variant id, received at). `totals`: by (metric id, device id); None
    is no number. `exposed`: (experiment id, device id). `metrics`: as they are in this snapshot. `erasures` as in the
    ledger.
    """

    metrics: Mapping[int, Metric]
    events: list[tuple[int, int, Occurrence]]
    exposures: list[tuple[int, int, int, int, int, int]]
    totals: Mapping[tuple[int, int], int | None]
    exposed: frozenset[tuple[int, int]]
    erasures: int


class AuditStore(Protocol):
    """Where every promise can be checked."""

    async def ledger(self) -> Ledger:
        """What the assignments must agree with."""
        ...

    async def chunk(self, after: int, upto: int) -> Chunk:
        """Some devices. What is stored of them never changes, so chunks need no common snapshot."""
        ...

    async def event_ledger(self) -> EventLedger:
        """What the events must agree with."""
        ...

    async def event_chunk(self, after: int, upto: int) -> EventChunk:
        """What some devices did."""
        ...

    async def experiment_records(self) -> tuple[ExperimentRecord, ...]:
        """Those of the ledger, without a look at any device."""
        ...

    async def device(self, token: str) -> DeviceRecord:
        """The device with this token. Raises UnknownDevice."""
        ...
