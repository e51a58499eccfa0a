"""Decides again, for a chunk of devices, what each must have."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, repeat

from msgspec import Struct

from abtest.domain import HELD_PLACE, Kind
from abtest.enrolment import Taking, taking
from abtest.store import AssignmentRow, Chunk, Ledger
from abtest.trust.audiences import AudienceAudit, profile_app
from abtest.trust.redrawing import PhaseAudit, Step


class Decision(Struct, frozen=True):
    """What these devices, in ascending order, must have of an experiment, a group or a holdout."""

    taking: Taking
    devices: Sequence[int]
    step: Step

    @property
    def rows(self) -> list[AssignmentRow]:
        """The assignments that must be stored."""
        experiment, phase, variants = repeat(self.taking.record.id), repeat(self.taking.phase.id), self.step.variants
        positions = repeat(None) if self.step.first is None else count(self.step.first)
        return list(zip(self.devices, experiment, phase, variants, positions, strict=False))

    @property
    def paired(self) -> Iterator[tuple[int, int]]:
        """Each device that was taken, with its variant; not the last devices, if it was full before they came."""
        return zip(self.devices, self.step.variants, strict=False)


class Deciding:
    """Decides chunk by chunk; each continues from the draws that were found in the chunks before it."""

    def __init__(
        self, ledger: Ledger, phases: Mapping[int, PhaseAudit], audiences: Mapping[int, AudienceAudit]
    ) -> None:
        self._ledger = ledger
        self._phases = phases
        self._audiences = audiences

    def taking(self, chunk: Chunk) -> dict[int, list[Taking]]:
        """What takes the devices of this chunk, by the number of their app. No experiment changed among them."""
        apps = {profile_app(profile, self._ledger.apps) for _, _, profile in chunk.devices}
        return {app: taking(self._ledger.experiments, app, chunk.after + 1) for app in sorted(apps)}

    def room(self, each: Taking) -> int | None:
        """How many devices it still takes; None without a limit."""
        if each.phase.stop_at is None:
            return None
        had = sum(self._phases[phase.id].covered for phase in each.record.phases)
        return max(each.phase.stop_at - had, 0)

    def decisions(self, chunk: Chunk, of_apps: Mapping[int, Sequence[Taking]]) -> list[Decision] | None:
        """What the devices of a chunk must have; None if the weights of a phase can't be read."""
        found: list[Decision] = []
        for app, each in of_apps.items():
            if len(of_apps) == 1:
                devices = chunk.devices
            else:
                devices = [row for row in chunk.devices if profile_app(row[2], self._ledger.apps) == app]
            decided = self._of_app(devices, each)
            if decided is None:
                return None
            found += decided
        return found

    def _of_app(
        self, devices: Sequence[tuple[int, int, int | None]], of_app: Sequence[Taking]
    ) -> list[Decision] | None:
        found: list[Decision] = []
        free: Sequence[int] = [id for id, _, _ in devices]
        profiles = {id: profile for id, _, profile in devices}
        chosen: dict[int, list[int]] = defaultdict(list)
        for each in of_app:
            audience = self._audiences[each.record.id]
            there = free if each.chosen is None else chosen[each.chosen]
            inside = [id for id in there if not audience.failed(profiles[id])] if audience else there
            decided = self._decided(each, inside)
            if decided is None:
                return None
            found.append(decided)
            if each.record.kind == Kind.HOLDOUT:
                free = [id for id, variant in decided.paired if variant != each.record.variants[HELD_PLACE]]
            elif each.record.kind == Kind.GROUP:
                for id, variant in decided.paired:
                    chosen[variant].append(id)
        return found

    def _decided(self, each: Taking, devices: Sequence[int]) -> Decision | None:
        if each.winner is not None:
            return Decision(each, devices, Step([each.winner] * len(devices)))
        step = self._phases[each.phase.id].ahead(len(devices), self.room(each))
        return None if step is None else Decision(each, devices, step)
