"""Explains why a device has what it has, from the database alone."""

from msgspec import Struct

from abtest import clock
from abtest.domain import Status, failed
from abtest.language import left_out
from abtest.store import AssignmentRecord, AuditStore, DeviceRecord, ExperimentRecord, PhaseRecord, StatusRecord

WORDS: dict[str, str] = {
    Status.DRAFT: Status.DRAFT.said,
    Status.FINISHED: "finished without a winner",
}


class Reason(Struct, frozen=True):
    """Why a device has a value of an experiment, or none. `position` and `phase`: only if the value was drawn."""

    key: str
    value: str | None
    reason: str
    phase: int | None = None
    position: int | None = None


class Explanation(Struct, frozen=True):
    """What a device has, and why. `number`: its place in the order of all first requests.

    `attributes`: what is kept of those in its first request.
    """

    number: int
    first_seen: str
    attributes: dict[str, str]
    experiments: tuple[Reason, ...]


class ExplanationService:
    """Explains devices."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def why(self, token: str) -> Explanation:
        """Everything about one device. Raises UnknownDevice."""
        device = await self._store.device(token)
        assigned = {assignment.experiment_id: assignment for assignment in device.assignments}
        return Explanation(
            number=device.id,
            first_seen=clock.iso(device.first_seen),
            attributes=dict(device.attributes.pairs),
            experiments=tuple(
                _reason(experiment, device, assigned.get(experiment.id))
                for experiment in await self._store.experiment_records()
            ),
        )


def in_force(experiment: ExperimentRecord, device: int) -> tuple[StatusRecord | None, PhaseRecord | None]:
    """The status and the phase that applied to a device: the last ones before its first request."""
    status = next((status for status in reversed(experiment.statuses) if status.after_device < device), None)
    phase = next((phase for phase in reversed(experiment.phases) if phase.created_after_device < device), None)
    return status, phase


def _reason(experiment: ExperimentRecord, device: DeviceRecord, assignment: AssignmentRecord | None) -> Reason:
    status, _ = in_force(experiment, device.id)
    if assignment is not None:
        value = dict(zip(experiment.variants, experiment.values, strict=True)).get(assignment.variant_id)
        archived = experiment.status == Status.ARCHIVED
        suffix = "; the key is no longer delivered: the experiment is archived" if archived else ""
        if assignment.position is None:
            return Reason(
                experiment.key,
                value,
                f"the winner: the experiment was finished when the device was first seen{suffix}",
            )
        phase = next((phase.number for phase in experiment.phases if phase.id == assignment.phase_id), None)
        outside = "outside the coverage: " if assignment.variant_id == experiment.outside else ""
        reason = f"{outside}drawn at position {assignment.position} (counted from 0) of phase {phase}{suffix}"
        return Reason(experiment.key, value, reason, phase, assignment.position)
    if device.id <= experiment.created_after_device or status is None:
        return Reason(experiment.key, None, "first seen before the experiment was created")
    if status.status == Status.RUNNING or status.winner is not None:
        said, audience = dict(device.attributes.pairs), experiment.audience or ()
        for place in failed(audience, device.attributes):
            told = left_out(audience[place], said.get(audience[place].attribute))
            return Reason(experiment.key, None, f"outside: {told}")
    words = WORDS.get(status.status, status.status)
    return Reason(experiment.key, None, f"the experiment was {words} when the device was first seen")
