"""Where the worker's figures are written and read."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from abtest.domain import Experiment, Sums


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
    event, as they say, and how many. `ended_at`: when it was finished or archived, in milliseconds.
    `duplicate_events`, `unknown_device_events`, `unknown_experiment_events`: of all experiments.
    """

    experiment: Experiment
    days: tuple[DayFigures, ...]
    metrics: tuple[tuple[MetricFigures, ...], ...]
    happened: tuple[tuple[tuple[int, int], ...], ...]
    ended_at: int | None
    duplicate_events: int
    unknown_device_events: int
    unknown_experiment_events: int


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
