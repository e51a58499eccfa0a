"""Compares what is stored with what must be stored: arithmetic on rows that were read."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import repeat

from msgspec import Struct

from abtest import clock
from abtest.domain import Status
from abtest.enrolment import in_force
from abtest.store import AssignmentRow, Chunk, ExperimentRecord, Ledger
from abtest.trust.audiences import ALL, AudienceAudit, outside
from abtest.trust.recounting import differences, named_day
from abtest.trust.redrawing import PhaseAudit, Step
from abtest.trust.structure import structure

MOST_FINDINGS = 100


class Verified(Struct, frozen=True):
    """What a verification read and found. `findings`: the first ones. `broken`: how many there are in all."""

    devices: int
    assignments: int
    experiments: int
    broken: int
    findings: tuple[str, ...]


class Audit:
    """Compares chunks of devices, in the order of their ids, with the ledger.

    A chunk is first compared as a whole, which is fast. Only if it differs is it examined row by row, to say what is
    wrong and where.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._watermark = ledger.watermark or 0
        self._phases = {
            phase.id: PhaseAudit(experiment, phase, ledger.last_device)
            for experiment in ledger.experiments
            for phase in experiment.phases
        }
        self._experiments = {experiment.id: experiment for experiment in ledger.experiments}
        self._audiences = {each.id: AudienceAudit(each, ledger.profiles) for each in ledger.experiments}
        self._assignments = 0
        self._counted: Counter[tuple[int, int]] = Counter()
        self._hourly: Counter[tuple[int, int]] = Counter()
        self._daily: Counter[tuple[int, int, int]] = Counter()
        self._outside: Counter[tuple[int, int]] = Counter()
        self._findings: list[str] = []
        self._broken = 0
        for finding in structure(ledger):
            self._report(finding)

    def chunk(self, chunk: Chunk) -> None:
        """Check the next devices. No experiment changed among them."""
        self._assignments += len(chunk.assignments)
        self._outside += outside(chunk, self._watermark, self._ledger.experiments, self._audiences)
        taking = _taking(self._ledger.experiments, chunk.after + 1)
        if not self._as_it_must_be(chunk, taking):
            self._explain(chunk, taking)

    def close(self, others: Sequence[str] = ()) -> Verified:
        """After the last device: compare the rest, and return the result together with the findings of others."""
        for phase in self._phases.values():
            for finding in phase.end():
                self._report(finding)
        self._compare_summary()
        for finding in others:
            self._report(finding)
        return Verified(
            devices=self._ledger.devices,
            assignments=self._assignments,
            experiments=len(self._ledger.experiments),
            broken=self._broken,
            findings=tuple(self._findings),
        )

    def _as_it_must_be(self, chunk: Chunk, taking: "Sequence[Taking]") -> bool:
        """Whether every row is what the ledger gives; if so, count them."""
        ids = range(chunk.after + 1, chunk.upto + 1)
        if [id for id, _, _ in chunk.devices] != list(ids):
            return False
        stored: dict[int, list[AssignmentRow]] = {each.experiment_id: [] for each in taking}
        for row in chunk.assignments:
            if row[1] not in stored:
                return False
            stored[row[1]].append(row)
        drawn = []
        for each in taking:
            inside, phase = self._audiences[each.experiment_id].inside(chunk), self._phases[each.phase_id]
            step = Step([each.winner] * len(inside)) if each.winner is not None else phase.ahead(len(inside))
            if step is None or stored[each.experiment_id] != _rows(inside, each, step):
                return False
            drawn.append((each, phase, step, inside))
        first_seen = {id: first_seen for id, first_seen, _ in chunk.devices if id <= self._watermark}
        for each, phase, step, inside in drawn:
            if each.winner is not None:
                continue
            phase.go(step)
            hours = [first_seen[id] // clock.HOUR for id in inside if id <= self._watermark]
            for (variant, hour), count in Counter(zip(step.variants, hours, strict=False)).items():
                self._count(phase, variant, hour, count)
        return True

    def _count(self, phase: PhaseAudit, variant: int, hour: int | None, devices: int) -> None:
        """As the worker does: those outside the coverage are in no hour and on no day."""
        self._counted[phase.record.id, variant] += devices
        if hour is not None and variant != phase.experiment.outside:
            self._hourly[phase.experiment.id, hour] += devices
            self._daily[phase.record.id, variant, hour * clock.HOUR // clock.DAY] += devices

    def _explain(self, chunk: Chunk, taking: "Sequence[Taking]") -> None:
        expected = {each.experiment_id: each for each in taking}
        first_seen = {id: first_seen for id, first_seen, _ in chunk.devices}
        profiles = {id: profile for id, _, profile in chunk.devices}
        rows = defaultdict(list)
        for row in chunk.assignments:
            rows[row[0]].append(row)
        for id in range(chunk.after + 1, chunk.upto + 1):
            if id not in first_seen:
                self._report(f"device {id}: its row is missing, although there were later devices")
            for row in rows[id]:
                self._assignment(row, expected.get(row[1]), first_seen.get(id))
            assigned = {row[1] for row in rows[id]}
            for experiment in expected:
                audience = self._audiences[experiment]
                failed = audience.failed(profiles.get(id))
                if failed and experiment in assigned:
                    where = f"device {id} in {self._key(experiment)}"
                    self._report(f"{where}: was enrolled, but does not fulfil {audience.missed(failed)}")
                elif not failed and experiment not in assigned:
                    key = self._key(experiment)
                    self._report(f"device {id}: has no value of {key}, which was taking devices then")

    def _assignment(self, row: AssignmentRow, expected: "Taking | None", first_seen: int | None) -> None:
        device, experiment_id, phase_id, variant, position = row
        where = f"device {device} in {self._key(experiment_id)}"
        phase = self._phases.get(phase_id)
        if phase is None or phase.experiment.id != experiment_id:
            self._report(f"{where}: its phase belongs to another experiment")
            return
        if device <= phase.experiment.created_after_device:
            self._report(f"{where}: was first seen before the experiment was created")
        elif expected is None:
            self._report(f"{where}: the experiment was taking no devices then")
        else:
            self._decision(where, row, expected)
        if position is None:
            return
        for finding in phase.enrolled(position, variant):
            self._report(f"{where}: {finding}")
        if device <= self._watermark:
            self._count(phase, variant, None if first_seen is None else first_seen // clock.HOUR, 1)

    def _decision(self, where: str, row: AssignmentRow, expected: "Taking") -> None:
        _, _, phase_id, variant, position = row
        if phase_id != expected.phase_id:
            self._report(f"{where}: is stored in another phase than the one that was taking devices then")
        if (position is None) != (expected.winner is not None):
            self._report(f"{where}: {'has no position' if position is None else 'was drawn after the end'}")
        elif expected.winner is not None and variant != expected.winner:
            self._report(f"{where}: the experiment had a winner then, but this value is not the winner")

    def _compare_summary(self) -> None:
        if self._ledger.watermark is None:
            self._report("summary: its row is missing")
        elif self._watermark > self._ledger.last_device:
            self._report(f"summary: counts {self._watermark} devices, but there were {self._ledger.last_device}")
        for (phase_id, variant_id), counted, stored in differences(self._counted, self._ledger.counted):
            where = f"{self._phase(phase_id)}, variant {variant_id}"
            self._report(f"summary: {where}: {stored} devices, but the rows say {counted}")
        for (phase_id, variant_id, day), counted, stored in differences(self._daily, self._ledger.daily):
            where = f"{self._phase(phase_id)}, variant {variant_id}, {named_day(day)}"
            self._report(f"summary: {where}: {stored} devices, but the rows say {counted}")
        for (experiment_id, hour), counted, stored in differences(self._hourly, self._ledger.hourly):
            where = f"{self._key(experiment_id)}, {_hour(hour)}"
            self._report(f"summary: {where}: {stored} devices, but the rows say {counted}")

        statuses = {
            status.id: f"{each.key} {status.status}" for each in self._ledger.experiments for status in each.statuses
        }
        for (status_id, place), counted, stored in differences(self._outside, self._ledger.outside):
            which = "its audience" if place == ALL else f"its condition {place + 1}"
            where = f"{statuses.get(status_id, 'an unknown status')}, outside {which}"
            self._report(f"summary: {where}: {stored} devices, but the rows say {counted}")

    def _phase(self, phase_id: int) -> str:
        phase = self._phases.get(phase_id)
        return f"phase {phase.record.number} of {phase.experiment.key}" if phase else "an unknown phase"

    def _key(self, experiment_id: int) -> str:
        experiment = self._experiments.get(experiment_id)
        return experiment.key if experiment else "an unknown experiment"

    def _report(self, finding: str) -> None:
        self._broken += 1
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding)


class Taking(Struct, frozen=True):
    """An experiment that takes devices. `winner`: the variant that all of them get if it is finished."""

    experiment_id: int
    phase_id: int
    winner: int | None


def _rows(ids: Sequence[int], taking: Taking, step: Step) -> list[AssignmentRow]:
    """The assignments that these devices must have."""
    positions = repeat(None) if step.first is None else range(step.first, step.first + len(ids))
    return list(
        zip(ids, repeat(taking.experiment_id), repeat(taking.phase_id), step.variants, positions, strict=False)
    )


def _taking(experiments: Sequence[ExperimentRecord], device: int) -> list[Taking]:
    """The experiments that took this device, in the order of their ids."""
    taking = []
    for experiment in experiments:
        status, phase = in_force(experiment, device)
        if status is None or phase is None or device <= experiment.created_after_device:
            continue
        if status.status == Status.RUNNING:
            taking.append(Taking(experiment.id, phase.id, None))
        elif status.status == Status.FINISHED and status.winner in experiment.values:
            winner = experiment.variants[experiment.values.index(status.winner)]
            taking.append(Taking(experiment.id, phase.id, winner))
    return taking


def _hour(hour: int) -> str:
    try:
        return f"hour of {clock.iso(hour * clock.HOUR)}"
    except OverflowError:
        return f"hour {hour} since 1970"
