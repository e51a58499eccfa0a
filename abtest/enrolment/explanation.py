"""Explains why a device has what it has, from the database alone."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from abtest import clock
from abtest.domain import DEFAULT_APP, HELD, Kind, Status, TestDevice, failed
from abtest.enrolment.taking import Taking, in_force, taking
from abtest.errors import UnknownDevice
from abtest.language import counted, left_out, number
from abtest.store import AssignmentRecord, AuditStore, DeviceRecord, ExperimentRecord

WORDS: dict[str, str] = {
    Status.DRAFT: Status.DRAFT.said,
    Status.FINISHED: "finished without a winner",
}


class Reason(Struct, frozen=True):
    """Why a device has a value of an experiment, or none.

    `phase` and `position`: only if something was drawn; positions count from 0 in each phase. For a holdout, `value`
    is held or free; for a group, it is the experiment that the device was given.
    """

    key: str
    value: str | None
    reason: str
    phase: int | None = None
    position: int | None = None


class ChosenByHand(Struct, frozen=True):
    """What a test device gets, by key, and who chose it."""

    values: Mapping[str, str]
    note: str
    made_by: str
    made_at: str


class Explanation(Struct, frozen=True):
    """What a device has, and why. `test_device`: what it gets instead, if it is one.

    `number`: its place in the order of the first requests of all apps; None for a test device that is not a device,
    which has nothing else. `attributes`: those of its first request that are kept. `holdouts` and `groups` were drawn
    before experiments.
    """

    test_device: ChosenByHand | None
    number: int | None
    first_seen: str | None
    attributes: dict[str, str]
    holdouts: tuple[Reason, ...]
    groups: tuple[Reason, ...]
    experiments: tuple[Reason, ...]


class ExplanationService:
    """Explains the devices of an app."""

    def __init__(self, store: AuditStore, app: str = DEFAULT_APP) -> None:
        self._store = store
        self._app = app

    async def why(self, token: str) -> Explanation:
        """Everything about one device. Raises UnknownApp or UnknownDevice."""
        chosen = _chosen(await self._store.test_device(token, self._app))
        try:
            device = await self._store.device(token, self._app)
        except UnknownDevice:
            if chosen is None:
                raise
            return Explanation(chosen, None, None, {}, (), (), ())
        records = [each for each in await self._store.experiment_records() if each.app == device.app]
        history = _History(device, records)
        return Explanation(
            test_device=chosen,
            number=device.id,
            first_seen=clock.iso(device.first_seen),
            attributes=dict(device.attributes.pairs),
            holdouts=history.reasons(Kind.HOLDOUT),
            groups=history.reasons(Kind.GROUP),
            experiments=history.reasons(Kind.EXPERIMENT),
        )


class _History:
    """What was taking devices when a device came, and what the device was assigned."""

    def __init__(self, device: DeviceRecord, records: Sequence[ExperimentRecord]) -> None:
        self._device = device
        self._records = {each.id: each for each in records}
        self._assigned = {assignment.experiment_id: assignment for assignment in device.assignments}
        self._taking = {each.record.id: each for each in taking(records, device.app, device.id)}

    def reasons(self, kind: Kind) -> tuple[Reason, ...]:
        """The reasons for everything of this kind, except holdouts and groups that did not take the device."""
        found = [each for each in self._records.values() if each.kind == kind]
        if kind is not Kind.EXPERIMENT:
            found = [each for each in found if each.id in self._taking or each.id in self._assigned]
        return tuple(self._reason(each) for each in found)

    def _reason(self, experiment: ExperimentRecord) -> Reason:
        assignment = self._assigned.get(experiment.id)
        if assignment is not None:
            return self._of_assignment(experiment, assignment)
        taking = self._taking.get(experiment.id)
        return Reason(experiment.key, None, self._not_taken(experiment) if taking is None else self._left(taking))

    def _of_assignment(self, experiment: ExperimentRecord, assignment: AssignmentRecord) -> Reason:
        value = _names(experiment).get(assignment.variant_id)
        archived = experiment.status == Status.ARCHIVED
        suffix = "; the key is no longer delivered: the experiment is archived" if archived else ""
        if assignment.position is None:
            return Reason(
                experiment.key,
                value,
                f"the winner: the experiment was finished when the device was first seen{suffix}",
            )
        phase = next((phase.number for phase in experiment.phases if phase.id == assignment.phase_id), None)
        before = ""
        if assignment.variant_id == experiment.outside:
            before = "in none of its experiments: " if experiment.kind == Kind.GROUP else "outside the coverage: "
        reason = f"{before}drawn as number {number(assignment.position + 1)} of phase {phase}{suffix}"
        return Reason(experiment.key, value, reason, phase, assignment.position)

    def _not_taken(self, experiment: ExperimentRecord) -> str:
        status, _ = in_force(experiment, self._device.id)
        if self._device.id <= experiment.created_after_device or status is None:
            return "first seen before the experiment was created"
        return f"the experiment was {WORDS.get(status.status, status.status)} when the device was first seen"

    def _left(self, taking: Taking) -> str:
        """Why something that was taking devices did not take this one."""
        for holdout in self._taking.values():
            if holdout.record.kind == Kind.HOLDOUT and self._outcome(holdout.record.id) == HELD:
                return f"held by the holdout {holdout.record.key}"
        if taking.group is not None:
            given = self._outcome(taking.group)
            if given != taking.record.key:
                group = self._records[taking.group].key
                return f"the group {group} gave the device to {given or 'none of its experiments'}"
        said, audience = dict(self._device.attributes.pairs), taking.record.audience or ()
        for place in failed(audience, self._device.attributes):
            return f"outside: {left_out(audience[place], said.get(audience[place].attribute))}"
        if taking.phase.stop_at is not None:
            limit = counted(taking.phase.stop_at, "device")
            return f"the experiment already had its {limit} when the device was first seen"
        return "it should have a value: run abtest verify"

    def _outcome(self, experiment: int) -> str | None:
        """What the device got in a holdout or a group."""
        assignment = self._assigned.get(experiment)
        return None if assignment is None else _names(self._records[experiment]).get(assignment.variant_id)


def _chosen(found: TestDevice | None) -> ChosenByHand | None:
    if found is None:
        return None
    return ChosenByHand(found.values, found.note, found.made_by, clock.iso(found.made_at))


def _names(experiment: ExperimentRecord) -> Mapping[int, str]:
    """The values by the ids of their variants."""
    return dict(zip(experiment.variants, experiment.values, strict=False))
