"""Writing and reading the worker's figures."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from abtest.domain import DEFAULT_APP, Experiment, Kind, Sums
from abtest.store.upkeep import ForgettingStore


class AudienceCounts(Struct, frozen=True):
    """New devices between the creation and the end of an experiment, and how many of them were outside its audience.

    `failed`: for each condition, how many did not fulfil it; one device may be in several of these counts.
    """

    devices: int
    outside: int
    failed: tuple[int, ...]


class NewDevices(Struct, frozen=True):
    """New devices while an experiment was running, and how many of them were outside its audience."""

    devices: int
    outside: int


class Summary(Struct, frozen=True):
    """What the stats worker wrote last about an app, with its experiments as they are now.

    `as_of`: when it wrote, in milliseconds; None before its first tick. `devices`: how many devices of the app are in
    the figures, and `devices_of_all` of all apps. `restored_at`: when the database was restored from a backup;
    `restored_to`: when the newest device in that backup was first seen.
    `counts`: (experiment id, phase number) -> devices per variant, in the order of the experiment's values.
    `uncovered`: the same key -> devices outside the coverage; only phases with such devices.
    `winners`: experiment id -> devices in the figures that got its winner; only experiments with a winner.
    `audiences`: by experiment id; only experiments with an audience. `new_devices`: by experiment id.
    """

    as_of: int | None
    devices: int
    devices_of_all: int
    experiments: tuple[Experiment, ...]
    counts: Mapping[tuple[int, int], tuple[int, ...]]
    uncovered: Mapping[tuple[int, int], int]
    winners: Mapping[int, int]
    audiences: Mapping[int, AudienceCounts]
    new_devices: Mapping[int, NewDevices]
    restored_at: int | None = None
    restored_to: int | None = None


class Tested(Struct, frozen=True):
    """How many test devices have a value of an experiment, and how many of them are devices too."""

    test_devices: int
    devices: int


class SummaryStore(Protocol):
    """Reads the summary."""

    async def summary(self, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> Summary:
        """All figures of an app's experiments, groups or holdouts, from one snapshot. Reads no device.

        Raises UnknownApp.
        """
        ...

    async def enrolled_per_hour(self, experiment_id: int) -> list[tuple[int, int]]:
        """(hours since 1970-01-01 UTC, devices enrolled in that hour), ascending; empty hours are left out."""
        ...

    async def tested(self, experiment_id: int) -> Tested:
        """How many test devices have a value of an experiment at this moment."""
        ...


class DayFigures(Struct, frozen=True):
    """What one day added to a variant in a phase: devices, and devices that reported exposure.

    `showed_other`: devices that reported that they showed another value than their own.
    """

    phase: int
    place: int
    day: int
    devices: int
    exposed: int
    showed_other: int = 0


class MetricFigures(Struct, frozen=True):
    """What the events that were received on one day added to a metric of a variant in a phase."""

    phase: int
    place: int
    day: int
    sums: Sums


class Measured(Struct, frozen=True):
    """Everything that the worker counted for an experiment, by ascending days since 1970-01-01 UTC.

    `metrics`: the figures of each metric. `uncovered`: by phase, devices outside the coverage. `happened`: for each
    metric, (day, devices whose first event happened on that day, by their own clocks). `ended_at`: when it was
    finished or archived, in milliseconds. `duplicate_events`, `unknown_device_events`, `unknown_experiment_events`,
    `shortened_devices`: of the app as a whole.
    """

    experiment: Experiment
    days: tuple[DayFigures, ...]
    uncovered: Mapping[int, int]
    metrics: tuple[tuple[MetricFigures, ...], ...]
    happened: tuple[tuple[tuple[int, int], ...], ...]
    ended_at: int | None
    duplicate_events: int
    unknown_device_events: int
    unknown_experiment_events: int
    shortened_devices: int


class MeasureStore(Protocol):
    """Reads the figures of metrics, and keeps the results that were computed from them."""

    async def measured(self) -> list[Measured]:
        """The figures of every experiment and holdout of every app, from one snapshot. Reads no event."""
        ...

    async def conclude(self, documents: Sequence[tuple[int, str]]) -> None:
        """Keep the JSON document of each (experiment id, document) in place of the earlier one."""
        ...


class ResultStore(SummaryStore, Protocol):
    """Reads the results."""

    async def result(self, key: str, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> str | None:
        """The document of an experiment or a holdout; None before the worker wrote one.

        Raises UnknownApp or UnknownExperiment.
        """
        ...

    async def results(self) -> dict[int, str]:
        """Every document, by the experiment's id."""
        ...


class Folded(Struct, frozen=True):
    """How many devices and events were folded in, how many of both are left, and the config version."""

    devices: int
    events: int
    left: int
    config_version: int


class FoldingStore(MeasureStore, ResultStore, ForgettingStore, Protocol):
    """Folds new devices and events into the summary, for the stats worker."""

    async def try_lease(self) -> bool:
        """Take the worker's lease if it is free; returns whether this store holds it.

        The lease ends with `close`, with the process, or with the connection to the database, so its holder must ask
        again and again. Raises Unavailable or StorageError.
        """
        ...

    async def fold(self, most: int, now: int) -> Folded:
        """Fold at most this many devices after the watermark, and move it, in one transaction.

        Once no device is left, the same transaction folds at most as many events. So no event counts before its
        device.
        """
        ...
