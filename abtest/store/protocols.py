"""What the services need of a store. Each service declares the narrowest of these; one store fulfils them all."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from abtest.allocation.blocks import Weights
from abtest.domain.experiments import Change, Event, Experiment, Metric, NewExperiment
from abtest.domain.tally import Cell, Occurrence, Sums
from abtest.errors import StorageError

NO_METRICS: Mapping[str, tuple[Metric, ...]] = {}


class Enrolment(Struct, frozen=True):
    """The stored answers of some devices.

    `variants`: token -> ids of the variants that the device has, of experiments that are delivered.
    `values`: variant id -> (experiment key, value), for every id in it; the same object while `config_version`
    stays the same. `new`: the tokens that became devices in this request.
    """

    config_version: int
    values: Mapping[int, tuple[str, str]]
    variants: Mapping[str, tuple[int, ...]]
    new: frozenset[str] = frozenset()


class EnrolmentStore(Protocol):
    """Where answers are decided and kept."""

    async def enrol(self, tokens: Sequence[str], now: int) -> Enrolment:
        """The answers of these distinct tokens: what they have, or what they get in this, their first request.

        One transaction under the enrolment lock; returns after it is durable. Unknown tokens become devices in the
        order given. Raises Unavailable (nothing stored) or StorageError.
        """
        ...

    async def find(self, tokens: Sequence[str]) -> Enrolment:
        """The answers of those of these tokens that are known. Writes nothing."""
        ...

    async def config_version(self) -> int:
        """A number that grows with every change of an experiment."""
        ...


class ExperimentStore(Protocol):
    """Where experiments are kept."""

    async def experiments(self) -> list[Experiment]:
        """Every experiment, in the order of creation."""
        ...

    async def add(
        self,
        experiments: Sequence[NewExperiment],
        now: int,
        metrics: Mapping[str, tuple[Metric, ...]] = NO_METRICS,
    ) -> list[Experiment]:
        """Create all of these, and judge those that are there, by key, by these metrics; all of it or nothing.

        Those that were created or changed. Raises Conflict when a key is taken, UnknownExperiment when one is not
        there.
        """
        ...

    async def change(self, key: str, rule: Callable[[Experiment], Change], now: int) -> Experiment:
        """Apply what the rule decides about the experiment as it stands, in one transaction.

        Raises UnknownExperiment, and whatever the rule raises; then nothing is changed.
        """
        ...


class Summary(Struct, frozen=True):
    """What the stats worker wrote last, with the experiments as they stand.

    `as_of`: when, in milliseconds; None before its first tick. `devices`: how many devices are in the figures.
    `restored_at`: when the database was restored from a backup, and `restored_to`: until when that knew devices.
    `counts`: (experiment id, phase number) -> devices per variant, in the order of the experiment's values.
    `winners`: experiment id -> devices in the figures that got its winner; missing where none was named.
    """

    as_of: int | None
    devices: int
    experiments: tuple[Experiment, ...]
    counts: Mapping[tuple[int, int], tuple[int, ...]]
    winners: Mapping[int, int]
    restored_at: int | None = None
    restored_to: int | None = None


class SummaryStore(Protocol):
    """Where the materialised summary is read."""

    async def summary(self) -> Summary:
        """All figures, from one snapshot. No row of a device is read."""
        ...

    async def enrolled_per_hour(self, experiment_id: int) -> list[tuple[int, int]]:
        """Hours since 1970-01-01 UTC with the devices enrolled in them, ascending; empty hours are left out."""
        ...


class Condition(Struct, frozen=True):
    """How the place where everything is kept is doing, in bytes."""

    database_bytes: int
    log_bytes: int
    free_bytes: int


class ConditionStore(Protocol):
    """Where the condition is asked."""

    @property
    def failure(self) -> StorageError | None:
        """The first StorageError; from then on every call raises it, and this process must end."""
        ...

    def condition(self) -> Condition:
        """Sizes now. Raises StorageError."""
        ...


class EventStore(Protocol):
    """Where events are kept."""

    async def track(self, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
        """Store the events of each (token, events); how many of them were new, None for an unknown device.

        One transaction; returns after it is durable. An event whose id the device had used is left out. Raises
        Unavailable (nothing stored) or StorageError.
        """
        ...


class DayFigures(Struct, frozen=True):
    """What one day added to a variant in a phase: devices, and those that reported exposure."""

    phase: int
    place: int
    day: int
    devices: int
    exposed: int


class MetricFigures(Struct, frozen=True):
    """What the events received on one day added to a metric of a variant in a phase."""

    phase: int
    place: int
    day: int
    sums: Sums


class Measured(Struct, frozen=True):
    """All that the worker counted of an experiment, days since 1970-01-01 UTC ascending.

    `metrics`: the figures of each of its metrics; `happened`: of each, the days on which devices had their first
    event, as they say, and how many. `duplicate_events`, `unknown_device_events`: of all experiments.
    """

    experiment: Experiment
    days: tuple[DayFigures, ...]
    metrics: tuple[tuple[MetricFigures, ...], ...]
    happened: tuple[tuple[tuple[int, int], ...], ...]
    duplicate_events: int
    unknown_device_events: int


class MeasureStore(Protocol):
    """Where the figures of metrics are read, and what was concluded from them is kept."""

    async def measured(self) -> list[Measured]:
        """The figures of every experiment, in the order of creation, from one snapshot; no event is read."""
        ...

    async def conclude(self, documents: Sequence[tuple[int, str]]) -> None:
        """Keep a JSON document for each (experiment id, document), in place of an earlier one."""
        ...


class ResultStore(SummaryStore, Protocol):
    """Where what was concluded is read."""

    async def result(self, key: str) -> str | None:
        """The document of an experiment; None before the worker concluded anything. Raises UnknownExperiment."""
        ...

    async def results(self) -> dict[int, str]:
        """Every document, by the experiment's id."""
        ...


class Folded(Struct, frozen=True):
    """How many devices and events were folded in, how many of both are left, and the version of the experiments."""

    devices: int
    events: int
    left: int
    config_version: int


class FoldingStore(MeasureStore, ResultStore, Protocol):
    """Where the stats worker folds what is new into the summary."""

    def try_lease(self) -> bool:
        """Whether this store holds the worker's lease now. It ends with `close` or with the process."""
        ...

    async def fold(self, most: int, now: int) -> Folded:
        """Fold at most so many devices after the watermark, and move it, in one transaction.

        In the one that leaves no device, as many events after theirs: no event of a device that is not counted.
        """
        ...


class ErasureStore(Protocol):
    """Where a person's token is erased."""

    async def forget(self, tokens: Sequence[str]) -> int:
        """Replace these tokens by random ones that nobody knows; how many were there.

        The device rows and their assignments stay, so that counts and blocks do; a forgotten device that asks again
        is a new device.
        """
        ...

    async def empty_log(self) -> bool:
        """Take what was erased out of the log, too; False where somebody reads the database all the time."""
        ...


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


class Store(
    EnrolmentStore,
    ExperimentStore,
    EventStore,
    ConditionStore,
    FoldingStore,
    ErasureStore,
    AuditStore,
    Protocol,
):
    """All of them, and what only commands ask."""

    async def check(self) -> list[str]:
        """What the store itself finds wrong with what it keeps; nothing when it is sound."""
        ...

    async def copy(self, target: Path, progress: Callable[[int, int], None]) -> None:
        """Copy everything, as of one moment, into a new file; `progress` is told parts done and in all."""
        ...
