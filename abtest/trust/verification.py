"""Proves the promises from the database alone."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, repeat

from msgspec import Struct

from abtest import clock
from abtest.allocation import blocks as allocation
from abtest.domain.experiments import Status
from abtest.enrolment.explanation import in_force
from abtest.store.protocols import AssignmentRow, AuditStore, Chunk, ExperimentRecord, Ledger, PhaseRecord
from abtest.trust.recounting import differences, named_day, recount

CHUNK = 20_000
MOST_FINDINGS = 100


class Verified(Struct, frozen=True):
    """What a verification read and found. `findings` are the first ones; `broken` counts them all."""

    devices: int
    assignments: int
    experiments: int
    broken: int
    findings: tuple[str, ...]


class VerificationService:
    """Recomputes every decision from raw rows."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def verify(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Verified:
        """Check everything, a chunk of devices at a time; `progress` is told devices done and in all."""
        ledger = await self._store.ledger()
        audit = Audit(ledger)
        for after, upto in _ranges(ledger):
            audit.chunk(await self._store.chunk(after, upto))
            progress(upto, ledger.last_device)
        return audit.close(await recount(self._store))


class Audit:
    """Holds chunks of devices, in the order of their ids, against the ledger.

    A chunk is first compared as a whole with what it must be, which is fast; only one that differs is looked at row
    by row, to say what is wrong and where.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._watermark = ledger.watermark or 0
        self._phases = {
            phase.id: _PhaseAudit(experiment, phase, ledger.last_device)
            for experiment in ledger.experiments
            for phase in experiment.phases
        }
        self._experiments = {experiment.id: experiment for experiment in ledger.experiments}
        self._assignments = 0
        self._counted: Counter[tuple[int, int]] = Counter()
        self._hourly: Counter[tuple[int, int]] = Counter()
        self._daily: Counter[tuple[int, int, int]] = Counter()
        self._findings: list[str] = []
        self._broken = 0
        for finding in _structure(ledger):
            self._report(finding)

    def chunk(self, chunk: Chunk) -> None:
        """The next devices; no experiment changed among them."""
        self._assignments += len(chunk.assignments)
        taking = _taking(self._ledger.experiments, chunk.after + 1)
        if not self._as_it_must_be(chunk, taking):
            self._explain(chunk, taking)

    def close(self, others: Sequence[str] = ()) -> Verified:
        """After the last device: what is left to compare, and the result, with what others found."""
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

    def _as_it_must_be(self, chunk: Chunk, taking: "Sequence[_Taking]") -> bool:
        """Whether every row is the one that the ledger gives; if so, they are counted."""
        ids = range(chunk.after + 1, chunk.upto + 1)
        if [id for id, _ in chunk.devices] != list(ids) or len(chunk.assignments) != len(ids) * len(taking):
            return False
        drawn = []
        for place, each in enumerate(taking):
            phase = self._phases[each.phase_id]
            step = _Step([each.winner] * len(ids)) if each.winner is not None else phase.ahead(len(ids))
            if step is None or chunk.assignments[place :: len(taking)] != _rows(ids, each, step):
                return False
            drawn.append((each, phase, step))
        counted = [first_seen for id, first_seen in chunk.devices if id <= self._watermark]
        hours = Counter(first_seen // clock.HOUR for first_seen in counted)
        days = [first_seen // clock.DAY for first_seen in counted]
        for each, phase, step in drawn:
            if each.winner is not None:
                continue
            phase.go(step)
            for (variant, day), count in Counter(zip(step.variants, days, strict=False)).items():
                self._counted[each.phase_id, variant] += count
                self._daily[each.phase_id, variant, day] += count
            for hour, count in hours.items():
                self._hourly[each.experiment_id, hour] += count
        return True

    def _explain(self, chunk: Chunk, taking: "Sequence[_Taking]") -> None:
        expected = {each.experiment_id: each for each in taking}
        first_seen = dict(chunk.devices)
        rows = defaultdict(list)
        for row in chunk.assignments:
            rows[row[0]].append(row)
        for id in range(chunk.after + 1, chunk.upto + 1):
            if id not in first_seen:
                self._report(f"device {id}: its row is missing, though later devices are there or were")
            for row in rows[id]:
                self._assignment(row, expected.get(row[1]), first_seen.get(id))
            for missing in expected.keys() - {row[1] for row in rows[id]}:
                self._report(f"device {id}: has no value of {self._key(missing)}, which took devices then")

    def _assignment(self, row: AssignmentRow, expected: "_Taking | None", first_seen: int | None) -> None:
        device, experiment_id, phase_id, variant, position = row
        where = f"device {device} in {self._key(experiment_id)}"
        phase = self._phases.get(phase_id)
        if phase is None or phase.experiment.id != experiment_id:
            self._report(f"{where}: its phase belongs to another experiment")
            return
        if device <= phase.experiment.created_after_device:
            self._report(f"{where}: was seen before the experiment was created")
        elif expected is None:
            self._report(f"{where}: the experiment took no devices then")
        else:
            self._decision(where, row, expected)
        if position is None:
            return
        for finding in phase.enrolled(position, variant):
            self._report(f"{where}: {finding}")
        if device <= self._watermark:
            self._counted[phase_id, variant] += 1
            if first_seen is not None:
                self._hourly[experiment_id, first_seen // clock.HOUR] += 1
                self._daily[phase_id, variant, first_seen // clock.DAY] += 1

    def _decision(self, where: str, row: AssignmentRow, expected: "_Taking") -> None:
        _, _, phase_id, variant, position = row
        if phase_id != expected.phase_id:
            self._report(f"{where}: stored in another phase than the one that took devices then")
        if (position is None) != (expected.winner is not None):
            self._report(f"{where}: {'has no position' if position is None else 'drawn after the end'}")
        elif expected.winner is not None and variant != expected.winner:
            self._report(f"{where}: the experiment had a winner then, and this is not it")

    def _compare_summary(self) -> None:
        if self._ledger.watermark is None:
            self._report("summary: its row is missing")
        elif self._watermark > self._ledger.last_device:
            self._report(f"summary: counts {self._watermark} devices, there were {self._ledger.last_device}")
        for (phase_id, variant_id), counted, stored in differences(self._counted, self._ledger.counted):
            where = f"{self._phase(phase_id)}, variant {variant_id}"
            self._report(f"summary: {where}: {stored} devices, the rows say {counted}")
        for (phase_id, variant_id, day), counted, stored in differences(self._daily, self._ledger.daily):
            where = f"{self._phase(phase_id)}, variant {variant_id}, {named_day(day)}"
            self._report(f"summary: {where}: {stored} devices, the rows say {counted}")
        for (experiment_id, hour), counted, stored in differences(self._hourly, self._ledger.hourly):
            where = f"{self._key(experiment_id)}, {_hour(hour)}"
            self._report(f"summary: {where}: {stored} devices, the rows say {counted}")

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


class _Taking(Struct, frozen=True):
    """An experiment that takes devices; `winner` is the variant that all get once it is finished."""

    experiment_id: int
    phase_id: int
    winner: int | None


class _Step(Struct, frozen=True):
    """The variants of the next devices; where they are drawn, from which position, and the counts after them."""

    variants: list[int]
    first: int | None = None
    before_block: allocation.Counts = ()


def _rows(ids: range, taking: _Taking, step: _Step) -> list[AssignmentRow]:
    """The assignments that these devices must have."""
    positions = repeat(None) if step.first is None else range(step.first, step.first + len(ids))
    return list(
        zip(ids, repeat(taking.experiment_id), repeat(taking.phase_id), step.variants, positions, strict=False)
    )


class _PhaseAudit:
    """Draws a phase again, position by position."""

    def __init__(self, experiment: ExperimentRecord, record: PhaseRecord, most: int) -> None:
        self.experiment = experiment
        self.record = record
        self._most = most
        self._readable = len(record.weights) == len(experiment.variants)
        self._places = {variant: place for place, variant in enumerate(experiment.variants)}
        self._next = 0
        self._counts: Counter[int] = Counter()
        self._before_block = allocation.no_counts(record.weights)

    def ahead(self, number: int) -> _Step | None:
        """The next enrolments, as they must be; None when nobody can tell."""
        if not self._readable:
            return None
        places, before_block = self._draw(number)
        return _Step([self.experiment.variants[place] for place in places], self._next, before_block)

    def go(self, step: _Step) -> None:
        """These enrolments are there."""
        self._next += len(step.variants)
        self._before_block = step.before_block
        self._counts.update(step.variants)

    def enrolled(self, position: int, variant: int) -> Iterator[str]:
        """What is wrong with this enrolment; they come in the order of positions."""
        number = self.record.number
        if not self._readable:
            return
        if variant not in self._places:
            yield "its variant belongs to another experiment"
        elif position < 0:
            yield f"position {position} of phase {number}: positions begin with 0"
        elif position < self._next:
            yield f"position {position} of phase {number} is given twice"
        elif position - self._next > self._most:
            yield f"position {position} of phase {number} is beyond the number of devices"
        else:
            if position > self._next:
                yield f"position {self._next} of phase {number} is missing before {position}"
            yield from self._drawn(position, variant)

    def end(self) -> Iterator[str]:
        """What is wrong with the counters after the last enrolment."""
        where = f"phase {self.record.number} of {self.experiment.key}"
        if self.record.next_position != self._next:
            yield f"{where}: the next position is {self.record.next_position}, {self._next} were given"
        if self.record.counts != self._before_block:
            yield f"{where}: the counts before the block are {self.record.counts}, must be {self._before_block}"

    def _drawn(self, position: int, variant: int) -> Iterator[str]:
        places, self._before_block = self._draw(position - self._next + 1)
        self._next = position + 1
        self._counts[variant] += 1
        drawn, number = self.experiment.variants[places[-1]], self.record.number
        if drawn != variant:
            gives, stored = self._value(drawn), self._value(variant)
            yield f"position {position} of phase {number} gives {gives}, stored is {stored}"
        total = self._counts.total()
        bound = allocation.bound(self.record.weights)
        for place, each in enumerate(self.experiment.variants):
            if abs(self._counts[each] - total * allocation.share(self.record.weights, place)) > bound:
                yield (
                    f"after {total} devices of phase {number}, {self._value(each)} has {self._counts[each]}: "
                    f"farther from its share than {float(bound):.2f}"
                )

    def _draw(self, number: int) -> tuple[list[int], allocation.Counts]:
        return allocation.draw(
            self.experiment.seed, self.record.number, self.record.weights, self._next, number, self._before_block
        )

    def _value(self, variant: int) -> str:
        return repr(self.experiment.values[self._places[variant]])


def _ranges(ledger: Ledger) -> Iterator[tuple[int, int]]:
    """Pieces of all devices as (after, up to), so that no experiment changes inside of one."""
    turns = {after for each in ledger.experiments for after in _turns(each) if 0 < after < ledger.last_device}
    for begin, end in pairwise(sorted({0, *turns, ledger.last_device})):
        for after in range(begin, end, CHUNK):
            yield after, min(after + CHUNK, end)


def _turns(experiment: ExperimentRecord) -> list[int]:
    """The devices after which something about an experiment changed."""
    phases = [phase.created_after_device for phase in experiment.phases]
    return [experiment.created_after_device, *phases, *(status.after_device for status in experiment.statuses)]


def _structure(ledger: Ledger) -> Iterator[str]:
    """What is wrong before any assignment is looked at."""
    if ledger.strangers:
        yield f"{ledger.strangers} rows of devices, tokens or assignments have a device id that was never given"
    for wrong in re.finditer(rb"[^\x01]", ledger.tokens):
        yield f"device {wrong.start() + 1}: has {wrong.group()[0] or 'no'} tokens"
    for experiment in ledger.experiments:
        for finding in _experiment_structure(experiment):
            yield f"{experiment.key}: {finding}"
        if experiment.created_after_device > ledger.last_device:
            yield f"{experiment.key}: created after device {experiment.created_after_device}, which never was"


def _experiment_structure(experiment: ExperimentRecord) -> Iterator[str]:
    phases, statuses, created = experiment.phases, experiment.statuses, experiment.created_after_device
    if experiment.algorithm != allocation.VERSION:
        yield f"its allocation is version {experiment.algorithm}, this program knows {allocation.VERSION}"
    if experiment.places != tuple(range(len(experiment.places))):
        yield f"the places of its variants are {experiment.places}"
    if [phase.number for phase in phases] != list(range(1, len(phases) + 1)) or not phases:
        yield f"its phases are numbered {[phase.number for phase in phases]}"
    for phase in phases:
        if len(phase.weights) != len(experiment.variants):
            yield f"the weights of phase {phase.number} can't be read"
    for name, afters in (
        ("phases", [phase.created_after_device for phase in phases]),
        ("statuses", [status.after_device for status in statuses]),
    ):
        if afters != sorted(afters) or afters[:1] != [created]:
            yield f"created after device {created}, but its {name} begin after {afters}"
    for status in statuses:
        if status.status not in set(Status):
            yield f"had the unknown status {status.status!r}"
        if status.winner is not None and status.winner not in experiment.values:
            yield f"had the winner {status.winner!r}, which is not a value of it"
    last = (statuses[-1].status, statuses[-1].winner) if statuses else (None, None)
    if last != (experiment.status, experiment.winner):
        yield f"its status is {experiment.status!r} with winner {experiment.winner!r}, the last change says {last}"


def _taking(experiments: Sequence[ExperimentRecord], device: int) -> list[_Taking]:
    """The experiments that took this device, in the order of their ids."""
    taking = []
    for experiment in experiments:
        status, phase = in_force(experiment, device)
        if status is None or phase is None or device <= experiment.created_after_device:
            continue
        if status.status == Status.RUNNING:
            taking.append(_Taking(experiment.id, phase.id, None))
        elif status.status == Status.FINISHED and status.winner in experiment.values:
            winner = experiment.variants[experiment.values.index(status.winner)]
            taking.append(_Taking(experiment.id, phase.id, winner))
    return taking


def _hour(hour: int) -> str:
    try:
        return f"hour of {clock.iso(hour * clock.HOUR)}"
    except OverflowError:
        return f"hour {hour} since 1970"
