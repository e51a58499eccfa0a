"""The figures people see, from the summary that the worker wrote."""

from collections import Counter
from fractions import Fraction

from msgspec import Struct

from abtest import allocation, clock
from abtest.domain import DEFAULT_APP, FULL_COVERAGE, Condition, Experiment, Kind, Phase, Status
from abtest.errors import UnknownExperiment
from abtest.store import AudienceCounts, NewDevices, Summary, SummaryStore, Tested

ALWAYS_SHOWN = (Status.RUNNING, Status.PAUSED, Status.FINISHED)
SHOWN = (*ALWAYS_SHOWN, Status.DRAFT, Status.ARCHIVED)


class VariantFigures(Struct, frozen=True):
    """One variant's line. `expected`: sum of n x share over the phases; `percent`: of the experiment's devices."""

    value: str
    share: str
    expected: float
    devices: int
    percent: float


class ExperimentFigures(Struct, frozen=True):
    """One experiment of `GET /api/v1/stats`."""

    key: str
    status: str
    created_at: str
    devices: int
    variants: tuple[VariantFigures, ...]


class Figures(Struct, frozen=True):
    """`GET /api/v1/stats`. `as_of` and `age_seconds` are None while no worker has written a summary."""

    as_of: str | None
    age_seconds: float | None
    devices: int
    experiments: tuple[ExperimentFigures, ...]


class PhaseReport(Struct, frozen=True):
    """A phase with its counts: how far a count may be from its share, and how far the farthest is.

    `uncovered`: devices outside its coverage. They have positions too, so they count in the deviation and its bound.
    """

    phase: Phase
    counts: tuple[int, ...]
    uncovered: int = 0

    @property
    def devices(self) -> int:
        """How many were enrolled in it."""
        return sum(self.counts)

    @property
    def bound(self) -> Fraction:
        """The farthest any count may be from n times its share."""
        return self.phase.bound

    @property
    def deviation(self) -> Fraction:
        """The farthest any count is from n times its share."""
        return self.phase.deviation(self.counts, self.uncovered)

    def expected(self, variant: int) -> Fraction:
        """n times the variant's share."""
        return self.devices * allocation.share(self.phase.integers, variant)


class Part(Struct, frozen=True):
    """A variant's part of a bar: where it begins and how wide it is, in percent of the bar."""

    value: str
    devices: int
    start: float
    width: float


class ExperimentReport(Struct, frozen=True):
    """All of an experiment that a page shows.

    `excluded`: devices in the figures that have no value of it, not even its winner: they were first seen before it
    was created, while it was a draft or paused, or after its end, or are outside its audience or its coverage.
    `won`: devices that got its winner. `audience`: None for an experiment that has none. `new_devices`: None for a
    group, a holdout and a simulation.
    """

    experiment: Experiment
    phases: tuple[PhaseReport, ...]
    excluded: int = 0
    won: int = 0
    audience: AudienceCounts | None = None
    new_devices: NewDevices | None = None

    @property
    def devices(self) -> int:
        """How many were enrolled in it."""
        return sum(phase.devices for phase in self.phases)

    @property
    def figures(self) -> ExperimentFigures:
        """The same as the figures of the API."""
        return ExperimentFigures(
            key=self.experiment.key,
            status=self.experiment.status,
            created_at=clock.iso(self.experiment.created_at),
            devices=self.devices,
            variants=tuple(self._variant(place, value) for place, value in enumerate(self.experiment.values)),
        )

    @property
    def parts(self) -> "tuple[Part, ...]":
        """The variants that have devices, side by side in one bar."""
        parts, start = [], 0.0
        for variant in self.figures.variants:
            width = 100 * variant.devices / max(self.devices, 1)
            if width:
                parts.append(Part(variant.value, variant.devices, start, width))
            start += width
        return tuple(parts)

    @property
    def reweighted(self) -> bool:
        """Whether its weights were changed, and it enrols, or will again."""
        return len(self.phases) > 1 and self.experiment.status in {Status.RUNNING, Status.PAUSED}

    @property
    def widest(self) -> float:
        """The largest number of devices that a variant has or should have, and at least 1."""
        return max(1, *(max(each.devices, each.expected) for each in self.figures.variants))

    def share(self, place: int) -> Fraction:
        """The part of new devices that gets a variant."""
        return allocation.share(self.experiment.phase.integers, place)

    @property
    def uncovered(self) -> int:
        """How many were in its audience, but outside its coverage."""
        return sum(phase.uncovered for phase in self.phases)

    @property
    def early(self) -> int:
        """How many of the excluded devices came while it was not running."""
        return self.excluded - self.new_devices.devices + self.devices if self.new_devices else 0

    @property
    def elsewhere(self) -> int:
        """How many in its audience were held, not given to it by its group, or came when it had all its devices."""
        if self.new_devices is None:
            return 0
        return self.new_devices.devices - self.new_devices.outside - self.uncovered - self.devices

    @property
    def partial(self) -> bool:
        """Whether some phase does not cover all of its audience."""
        return any(phase.phase.coverage < FULL_COVERAGE for phase in self.phases)

    @property
    def strictest(self) -> Condition | None:
        """The condition of the audience that keeps most devices out, if any does."""
        failed = self.audience.failed if self.audience else ()
        return self.experiment.audience[failed.index(max(failed))] if any(failed) else None

    @property
    def exact(self) -> bool:
        """Whether every count of every phase is where it must be."""
        return all(phase.deviation <= phase.bound for phase in self.phases)

    def _variant(self, place: int, value: str) -> VariantFigures:
        devices = sum(phase.counts[place] for phase in self.phases)
        return VariantFigures(
            value=value,
            share=str(allocation.share(self.experiment.phase.integers, place)),
            expected=round(float(sum(phase.expected(place) for phase in self.phases)), 4),
            devices=devices,
            percent=round(100 * devices / self.devices, 2) if self.devices else 0.0,
        )


class Report(Struct, frozen=True):
    """Everything on the dashboard. `as_of` in milliseconds, `age_seconds` in seconds; None before the first tick.

    `devices_of_all`, `restored_at` and `restored_to` as in Summary.
    """

    as_of: int | None
    age_seconds: float | None
    devices: int
    devices_of_all: int
    experiments: tuple[ExperimentReport, ...]
    restored_at: int | None = None
    restored_to: int | None = None

    def matching(self, text: str = "", status: str = "") -> "list[ExperimentReport]":
        """The experiments with this status, that have the text in their key, description or values, in any case."""
        wanted = text.strip().casefold()
        return [
            each
            for each in self.experiments
            if status in {"", each.experiment.status}
            and any(
                wanted in own.casefold()
                for own in (each.experiment.key, each.experiment.description, *each.experiment.values)
            )
        ]

    @property
    def statuses(self) -> dict[str, int]:
        """How many experiments have each status; the usual ones are always named."""
        counts = Counter(each.experiment.status for each in self.experiments)
        return {status.value: counts[status] for status in SHOWN if counts[status] or status in ALWAYS_SHOWN}

    @property
    def figures(self) -> Figures:
        """The same as the figures of the API."""
        return Figures(
            as_of=clock.iso_or_none(self.as_of),
            age_seconds=self.age_seconds,
            devices=self.devices,
            experiments=tuple(report.figures for report in self.experiments),
        )


class ReportService:
    """Reads the summaries of an app; never a device."""

    def __init__(self, store: SummaryStore, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> None:
        self._store = store
        self._app = app
        self._kind = kind

    async def report(self) -> Report:
        """All experiments, in the order of creation. Raises UnknownApp."""
        summary = await self._store.summary(self._app, self._kind)
        return Report(
            as_of=summary.as_of,
            age_seconds=clock.age(summary.as_of),
            devices=summary.devices,
            devices_of_all=summary.devices_of_all,
            experiments=tuple(_report(summary, experiment) for experiment in summary.experiments),
            restored_at=summary.restored_at,
            restored_to=summary.restored_to,
        )

    async def per_hour(self, experiment: Experiment) -> list[tuple[int, int]]:
        """Hours since 1970-01-01 UTC, and how many devices were enrolled in each."""
        return await self._store.enrolled_per_hour(experiment.id)

    async def tested(self, experiment: Experiment) -> Tested:
        """How many test devices have a value of it."""
        return await self._store.tested(experiment.id)


def find(report: Report, key: str, kind: Kind = Kind.EXPERIMENT) -> ExperimentReport:
    """The experiment, group or holdout with this key. Raises UnknownExperiment."""
    for experiment in report.experiments:
        if experiment.experiment.key == key:
            return experiment
    raise UnknownExperiment(key, kind)


def _report(summary: Summary, experiment: Experiment) -> ExperimentReport:
    phases = tuple(
        PhaseReport(
            phase,
            summary.counts[experiment.id, phase.number],
            summary.uncovered.get((experiment.id, phase.number), 0),
        )
        for phase in experiment.phases
    )
    enrolled, won = sum(phase.devices for phase in phases), summary.winners.get(experiment.id, 0)
    return ExperimentReport(
        experiment,
        phases,
        excluded=summary.devices - enrolled - won,
        won=won,
        audience=summary.audiences.get(experiment.id),
        new_devices=summary.new_devices[experiment.id] if experiment.kind is Kind.EXPERIMENT else None,
    )
