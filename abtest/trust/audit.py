"""Compares what is stored with what must be stored. Pure: works on rows that were read before."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set

from msgspec import Struct

from abtest import clock
from abtest.domain import HELD_PLACE, Kind
from abtest.enrolment import Taking
from abtest.store import ALL_DEVICES, OUTSIDE_AUDIENCE, AssignmentRow, Chunk, Ledger
from abtest.trust.audiences import AudienceAudit, counted_profiles, outside, per_app, profile_app
from abtest.trust.deciding import Deciding
from abtest.trust.recounting import differences, named_day
from abtest.trust.redrawing import PhaseAudit
from abtest.trust.structure import structure

MOST_FINDINGS = 100


class Verified(Struct, frozen=True):
    """What a verification read and found. `broken`: the number of all findings. `findings`: the first of them."""

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
        self._deciding = Deciding(ledger, self._phases, self._audiences)
        self._assignments = 0
        self._counted: Counter[tuple[int, int]] = Counter()
        self._hourly: Counter[tuple[int, int]] = Counter()
        self._daily: Counter[tuple[int, int, int]] = Counter()
        self._outside: Counter[tuple[int, int]] = Counter()
        self._winners: Counter[int] = Counter()
        self._of_apps: Counter[int] = Counter()
        self._findings: list[str] = []
        self._broken = 0
        for finding in structure(ledger):
            self._report(finding)

    def chunk(self, chunk: Chunk) -> None:
        """Check the next devices, among which no experiment changed."""
        self._assignments += len(chunk.assignments)
        profiles = counted_profiles(chunk, self._ledger)
        self._of_apps += per_app(profiles, self._ledger)
        self._outside += outside(profiles, chunk.after + 1, self._ledger, self._audiences)
        of_apps = self._deciding.taking(chunk)
        self._compare_apps(chunk, of_apps.keys())
        if not self._as_it_must_be(chunk, of_apps):
            self._explain(chunk, of_apps)

    def close(self, others: Sequence[str] = ()) -> Verified:
        """After the last device: compare the rest, and return the result. `others`: findings of other checks."""
        for phase in self._phases.values():
            for finding in phase.end():
                self._report(finding)
        self._compare_summary()
        for finding in others:
            self._report(finding)
        return Verified(
            devices=self._ledger.devices,
            assignments=self._assignments,
            experiments=sum(each.kind == Kind.EXPERIMENT for each in self._ledger.experiments),
            broken=self._broken,
            findings=tuple(self._findings),
        )

    def _compare_apps(self, chunk: Chunk, apps: Set[int]) -> None:
        """Check that each device's profile and token are of the same app. `apps`: those of these profiles."""
        if len({*apps, *self._ledger.token_apps[chunk.after : chunk.upto]}) == 1:
            return
        for id, _, profile in chunk.devices:
            if self._ledger.token_apps[id - 1] not in {0, profile_app(profile, self._ledger.apps)}:
                self._report(f"device {id}: its token and its attributes belong to different apps")

    def _as_it_must_be(self, chunk: Chunk, of_apps: Mapping[int, Sequence[Taking]]) -> bool:
        """Whether every row is what the ledger gives; if so, count them."""
        if [id for id, _, _ in chunk.devices] != list(range(chunk.after + 1, chunk.upto + 1)):
            return False
        decisions = self._deciding.decisions(chunk, of_apps)
        if decisions is None:
            return False
        stored: dict[int, list[AssignmentRow]] = {each.taking.record.id: [] for each in decisions}
        for row in chunk.assignments:
            if row[1] not in stored:
                return False
            stored[row[1]].append(row)
        if any(stored[each.taking.record.id] != each.rows for each in decisions):
            return False
        first_seen = {id: first_seen for id, first_seen, _ in chunk.devices if id <= self._watermark}
        for each in decisions:
            if each.taking.winner is not None:
                self._winners[each.taking.record.id] += sum(id in first_seen for id in each.devices)
                continue
            phase = self._phases[each.taking.phase.id]
            phase.go(each.step)
            hours = ((v, first_seen[id] // clock.HOUR) for id, v in each.paired if id in first_seen)
            for (variant, hour), count in Counter(hours).items():
                self._count(phase, variant, hour, count)
        return True

    def _count(self, phase: PhaseAudit, variant: int, hour: int | None, devices: int) -> None:
        """Count as the worker does: devices outside the coverage are in no hour and on no day."""
        self._counted[phase.record.id, variant] += devices
        if hour is not None and variant != phase.experiment.outside:
            self._hourly[phase.experiment.id, hour] += devices
            self._daily[phase.record.id, variant, hour * clock.HOUR // clock.DAY] += devices

    def _explain(self, chunk: Chunk, of_apps: Mapping[int, Sequence[Taking]]) -> None:
        first_seen = {id: first_seen for id, first_seen, _ in chunk.devices}
        profiles = {id: profile for id, _, profile in chunk.devices}
        rows: dict[int, dict[int, AssignmentRow]] = defaultdict(dict)
        for row in chunk.assignments:
            rows[row[0]][row[1]] = row
        for id in range(chunk.after + 1, chunk.upto + 1):
            if id not in first_seen:
                self._report(f"device {id}: its row is missing, although there were later devices")
            taking = of_apps.get(profile_app(profiles.get(id), self._ledger.apps), ())
            reasons = {each.record.id: self._reason(each, profiles.get(id), taking, rows[id]) for each in taking}
            expected = {each.record.id: each for each in taking}
            for row in rows[id].values():
                self._assignment(row, expected.get(row[1]), first_seen.get(id))
            for experiment, reason in reasons.items():
                if reason and experiment in rows[id]:
                    self._report(f"device {id} in {self._key(experiment)}: was enrolled, but {reason}")
                elif not reason and experiment not in rows[id]:
                    key = self._key(experiment)
                    self._report(f"device {id}: has no value of {key}, which was taking devices then")

    def _reason(
        self, each: Taking, profile: int | None, taking: Sequence[Taking], rows: Mapping[int, AssignmentRow]
    ) -> str:
        """Why a device with these rows can't have a row of this experiment, group or holdout; empty if it must."""
        for holdout in taking:
            if holdout.record.id == each.record.id or holdout.record.kind != Kind.HOLDOUT:
                break
            if holdout.record.id in rows and rows[holdout.record.id][3] == holdout.record.variants[HELD_PLACE]:
                return f"is held by {holdout.record.name}"
        if each.group is not None and (each.group not in rows or rows[each.group][3] != each.chosen):
            return f"the group {self._key(each.group)} did not give it this experiment"
        audience = self._audiences[each.record.id]
        if failed := audience.failed(profile):
            return f"does not fulfil {audience.missed(failed)}"
        if each.winner is None and self._deciding.room(each) == 0:
            return f"the experiment already had its {each.phase.stop_at} devices"
        return ""

    def _assignment(self, row: AssignmentRow, expected: Taking | None, first_seen: int | None) -> None:
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
            self._winners[experiment_id] += device <= self._watermark
            return
        for finding in phase.enrolled(position, variant):
            self._report(f"{where}: {finding}")
        if device <= self._watermark:
            self._count(phase, variant, None if first_seen is None else first_seen // clock.HOUR, 1)

    def _decision(self, where: str, row: AssignmentRow, expected: Taking) -> None:
        _, _, phase_id, variant, position = row
        if phase_id != expected.phase.id:
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
            status.id: f"{each.name} {status.status}" for each in self._ledger.experiments for status in each.statuses
        }
        for (status_id, place), counted, stored in differences(self._outside, self._ledger.outside):
            which = {OUTSIDE_AUDIENCE: "outside its audience", ALL_DEVICES: "all devices"}.get(
                place, f"outside its condition {place + 1}"
            )
            where = f"{statuses.get(status_id, 'an unknown status')}, {which}"
            self._report(f"summary: {where}: {stored} devices, but the rows say {counted}")
        for id, counted, stored in differences(self._winners, self._ledger.winners):
            self._report(f"summary: {self._key(id)}: {stored} got the winner, but the rows say {counted}")
        for app, counted, stored in differences(self._of_apps, self._ledger.of_apps):
            key, _ = self._ledger.app_rows.get(app, (str(app), 0))
            self._report(f"summary: app {key}: {stored} devices, but the rows say {counted}")

    def _phase(self, phase_id: int) -> str:
        phase = self._phases.get(phase_id)
        return f"phase {phase.record.number} of {phase.experiment.name}" if phase else "an unknown phase"

    def _key(self, experiment_id: int) -> str:
        experiment = self._experiments.get(experiment_id)
        return experiment.name if experiment else "an unknown experiment"

    def _report(self, finding: str) -> None:
        self._broken += 1
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding)


def _hour(hour: int) -> str:
    try:
        return f"hour of {clock.iso(hour * clock.HOUR)}"
    except OverflowError:
        return f"hour {hour} since 1970"
