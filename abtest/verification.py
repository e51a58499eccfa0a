"""Proves the promises from the database alone, and tells why a device has what it has."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from msgspec import Struct

from abtest import allocation, clock
from abtest.models import Status
from abtest.store.base import (
    AssignmentRecord,
    AuditStore,
    DeviceRecord,
    ExperimentRecord,
    Ledger,
    PhaseRecord,
    StatusRecord,
)

CHUNK = 5_000
MOST_FINDINGS = 100


class Verified(Struct, frozen=True):
    """What a verification read and found. `findings` are the first ones; `broken` counts them all."""

    devices: int
    assignments: int
    experiments: int
    broken: int
    findings: tuple[str, ...]


class Reason(Struct, frozen=True):
    """Why a device has a value of an experiment, or none. `position` and `phase` only where it was drawn."""

    key: str
    value: str | None
    reason: str
    phase: int | None = None
    position: int | None = None


class Explanation(Struct, frozen=True):
    """What a device has, and why. `number`: its place in the order of all first requests."""

    number: int
    first_seen: str
    experiments: tuple[Reason, ...]


class VerificationService:
    """Recomputes every decision from raw rows."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def verify(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Verified:
        """Check everything, a chunk of devices at a time; `progress` is told devices done and in all."""
        ledger = await self._store.ledger()
        audit = Audit(ledger)
        for after in range(0, ledger.last_device, CHUNK):
            upto = min(after + CHUNK, ledger.last_device)
            for device in await self._store.devices(after, upto):
                audit.device(device)
            progress(upto, ledger.last_device)
        return audit.close()

    async def why(self, token: str) -> Explanation:
        """Everything about one device. Raises UnknownDevice."""
        device = await self._store.device(token)
        ledger = await self._store.ledger()
        assigned = {assignment.experiment_id: assignment for assignment in device.assignments}
        return Explanation(
            number=device.id,
            first_seen=clock.iso(device.first_seen),
            experiments=tuple(
                _reason(experiment, device.id, assigned.get(experiment.id)) for experiment in ledger.experiments
            ),
        )


class Audit:
    """Holds devices, in the order of their ids, against the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._phases = {
            phase.id: _PhaseAudit(experiment, phase)
            for experiment in ledger.experiments
            for phase in experiment.phases
        }
        self._keys = {experiment.id: experiment.key for experiment in ledger.experiments}
        self._turns = sorted(
            {status.after_device for experiment in ledger.experiments for status in experiment.statuses}
            | {phase.created_after_device for experiment in ledger.experiments for phase in experiment.phases},
            reverse=True,
        )
        self._expected: dict[int, tuple[int, int | None]] = {}
        self._created_after = {experiment.id: experiment.created_after_device for experiment in ledger.experiments}
        self._last = 0
        self._assignments = 0
        self._counted: Counter[tuple[int, int]] = Counter()
        self._hourly: Counter[tuple[int, int]] = Counter()
        self._findings: list[str] = []
        self._broken = 0

    def device(self, device: DeviceRecord) -> None:
        """One device, whose id is above that of the one before."""
        if device.id != self._last + 1:
            self._report(f"device ids: {self._last} is followed by {device.id}")
        self._last = device.id
        if self._turns and self._turns[-1] < device.id:
            while self._turns and self._turns[-1] < device.id:
                self._turns.pop()
            self._expected = _expected(self._ledger.experiments, device.id)
        found = set()
        for assignment in device.assignments:
            found.add(assignment.experiment_id)
            self._assignments += 1
            self._assignment(device, assignment)
        for missing in self._expected.keys() - found:
            self._report(f"device {device.id}: has no value of {self._keys[missing]}, which took devices then")

    def close(self) -> Verified:
        """After the last device: what is left to compare, and the result."""
        if self._last < self._ledger.last_device:
            self._report(f"device ids: the last is {self._ledger.last_device}, read up to {self._last}")
        for phase in self._phases.values():
            for finding in phase.end():
                self._report(finding)
        self._compare_summary()
        return Verified(
            devices=self._ledger.devices,
            assignments=self._assignments,
            experiments=len(self._ledger.experiments),
            broken=self._broken,
            findings=tuple(self._findings),
        )

    def _assignment(self, device: DeviceRecord, assignment: AssignmentRecord) -> None:
        where = f"device {device.id} in {self._keys.get(assignment.experiment_id, 'an unknown experiment')}"
        phase = self._phases.get(assignment.phase_id)
        if phase is None or phase.experiment.id != assignment.experiment_id:
            self._report(f"{where}: its phase belongs to another experiment")
            return
        if device.id <= self._created_after[assignment.experiment_id]:
            self._report(f"{where}: was seen before the experiment was created")
        elif assignment.experiment_id not in self._expected:
            self._report(f"{where}: the experiment took no devices then")
        else:
            self._decision(where, assignment)
        if assignment.position is None:
            return
        for finding in phase.enrolled(assignment.position, assignment.variant_id):
            self._report(f"{where}: {finding}")
        if device.id <= self._ledger.watermark:
            self._counted[assignment.phase_id, assignment.variant_id] += 1
            self._hourly[assignment.experiment_id, device.first_seen // clock.HOUR] += 1

    def _decision(self, where: str, assignment: AssignmentRecord) -> None:
        phase_id, winner = self._expected[assignment.experiment_id]
        if assignment.phase_id != phase_id:
            self._report(f"{where}: stored in another phase than the one that took devices then")
        if (assignment.position is None) != (winner is not None):
            self._report(f"{where}: {'drawn after the end' if winner is not None else 'has no position'}")
        elif winner is not None and assignment.variant_id != winner:
            self._report(f"{where}: the experiment had a winner then, and this is not it")

    def _compare_summary(self) -> None:
        for (phase_id, variant_id), counted, stored in _differences(self._counted, self._ledger.counted):
            phase = self._phases.get(phase_id)
            where = f"phase {phase.record.number} of {phase.experiment.key}" if phase else "an unknown phase"
            self._report(f"summary: {where}, variant {variant_id}: {stored} devices, the rows say {counted}")
        for (experiment_id, hour), counted, stored in _differences(self._hourly, self._ledger.hourly):
            where = (
                f"{self._keys.get(experiment_id, 'an unknown experiment')}, hour of {clock.iso(hour * clock.HOUR)}"
            )
            self._report(f"summary: {where}: {stored} devices, the rows say {counted}")

    def _report(self, finding: str) -> None:
        self._broken += 1
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding)


class _PhaseAudit:
    """Draws a phase again, position by position."""

    def __init__(self, experiment: ExperimentRecord, record: PhaseRecord) -> None:
        self.experiment = experiment
        self.record = record
        self._places = {variant: place for place, variant in enumerate(experiment.variants)}
        self._drawn = allocation.variants_in_order(experiment.seed, record.number, record.weights)
        self._next = 0
        self._counts = [0] * len(record.weights)
        self._drawn_counts = [0] * len(record.weights)
        self._block_length = allocation.block_length(record.weights)
        self._before_block = allocation.no_counts(record.weights)
        self._total = sum(record.weights)
        self._bound = allocation.bound(record.weights) * self._total

    def enrolled(self, position: int, variant_id: int) -> Iterator[str]:
        """What is wrong with this enrolment; they come in the order of positions."""
        place = self._places.get(variant_id)
        if place is None:
            yield "its variant belongs to another experiment"
            return
        if position < self._next:
            yield f"position {position} of phase {self.record.number} is given twice"
            return
        if position > self._next:
            yield f"position {self._next} of phase {self.record.number} is missing before {position}"
        while self._next <= position:
            drawn = next(self._drawn)
            self._drawn_counts[drawn] += 1
            self._next += 1
            if self._next % self._block_length == 0:
                self._before_block = tuple(self._drawn_counts)
        self._counts[place] += 1
        if drawn != place:
            values = self.experiment.values
            yield (
                f"position {position} of phase {self.record.number} gives {values[drawn]!r}, "
                f"stored is {values[place]!r}"
            )
        n = sum(self._counts)
        for other, weight in enumerate(self.record.weights):
            if abs(self._counts[other] * self._total - n * weight) > self._bound:
                yield (
                    f"after {n} devices of phase {self.record.number}, {self.experiment.values[other]!r} has "
                    f"{self._counts[other]}: farther from its share than {_decimal(self._bound / self._total)}"
                )

    def end(self) -> Iterator[str]:
        """What is wrong with the counters after the last enrolment."""
        where = f"phase {self.record.number} of {self.experiment.key}"
        if self.record.next_position != self._next:
            yield f"{where}: the next position is {self.record.next_position}, {self._next} were given"
        if self.record.counts != self._before_block:
            yield f"{where}: the counts before the block are {self.record.counts}, must be {self._before_block}"


def _in_force(experiment: ExperimentRecord, device: int) -> tuple[StatusRecord | None, PhaseRecord | None]:
    """The status and the phase that decided for a device: the last that came before its first request."""
    status = next((status for status in reversed(experiment.statuses) if status.after_device < device), None)
    phase = next((phase for phase in reversed(experiment.phases) if phase.created_after_device < device), None)
    return status, phase


def _expected(experiments: tuple[ExperimentRecord, ...], device: int) -> dict[int, tuple[int, int | None]]:
    """Experiment id -> (phase id, variant id of the winner or None) for those that took this device."""
    taking: dict[int, tuple[int, int | None]] = {}
    for experiment in experiments:
        status, phase = _in_force(experiment, device)
        if status is None or phase is None:
            continue
        if status.status == Status.RUNNING:
            taking[experiment.id] = (phase.id, None)
        elif status.status == Status.FINISHED and status.winner is not None:
            taking[experiment.id] = (phase.id, experiment.variants[experiment.values.index(status.winner)])
    return taking


def _reason(experiment: ExperimentRecord, device: int, assignment: AssignmentRecord | None) -> Reason:
    status, _ = _in_force(experiment, device)
    if assignment is not None:
        value = experiment.values[experiment.variants.index(assignment.variant_id)]
        archived = experiment.statuses[-1].status == Status.ARCHIVED
        suffix = "; the key is no longer delivered: the experiment is archived" if archived else ""
        if assignment.position is None:
            return Reason(experiment.key, value, f"the winner, since the experiment was finished then{suffix}")
        phase = next(phase.number for phase in experiment.phases if phase.id == assignment.phase_id)
        reason = f"drawn at position {assignment.position} of phase {phase}{suffix}"
        return Reason(experiment.key, value, reason, phase, assignment.position)
    if device <= experiment.created_after_device or status is None:
        return Reason(experiment.key, None, "first seen before the experiment was created")
    return Reason(experiment.key, None, f"the experiment was {_WORDS[status.status]} when the device was first seen")


_WORDS = {
    Status.DRAFT: "a draft",
    Status.RUNNING: "running",
    Status.PAUSED: "paused",
    Status.FINISHED: "finished without a winner",
    Status.ARCHIVED: "archived",
}


def _differences(
    counted: Mapping[tuple[int, int], int], stored: Mapping[tuple[int, int], int]
) -> Iterator[tuple[tuple[int, int], int, int]]:
    """What is not the same in both, as (where, counted, stored)."""
    for where in sorted(counted.keys() | stored.keys()):
        if counted.get(where, 0) != stored.get(where, 0):
            yield where, counted.get(where, 0), stored.get(where, 0)


def _decimal(number: Fraction) -> str:
    return f"{float(number):.2f}"
