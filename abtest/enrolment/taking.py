"""What took a device: holdouts, groups and experiments of its app, in the order in which they are drawn."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from abtest.domain import Kind, Status
from abtest.store import ExperimentRecord, PhaseRecord, StatusRecord

ORDER = [Kind.HOLDOUT, Kind.GROUP, Kind.EXPERIMENT]


class Taking(Struct, frozen=True):
    """Something that takes devices. `winner`: if it is finished, the variant that all of them get.

    `group`, `chosen`: the group that an experiment is in, and the group's variant that a device must have.
    """

    record: ExperimentRecord
    phase: PhaseRecord
    winner: int | None = None
    group: int | None = None
    chosen: int | None = None


def in_force(experiment: ExperimentRecord, device: int) -> tuple[StatusRecord | None, PhaseRecord | None]:
    """The status and the phase that applied to a device: the last ones before its first request."""
    status = next((status for status in reversed(experiment.statuses) if status.after_device < device), None)
    phase = next((phase for phase in reversed(experiment.phases) if phase.created_after_device < device), None)
    return status, phase


def taking(records: Sequence[ExperimentRecord], app: int, device: int) -> list[Taking]:
    """What took this device of an app: holdouts, then groups, then experiments; each kind in the order of ids."""
    found: list[Taking] = []
    chosen: dict[str, tuple[int, int]] = {}
    there = [each for each in records if each.app == app and each.kind in ORDER]
    for record in sorted(there, key=lambda each: (ORDER.index(Kind(each.kind)), each.id)):
        status, phase = in_force(record, device)
        if status is None or phase is None or device <= record.created_after_device:
            continue
        if record.kind == Kind.GROUP:
            members = zip(record.values, record.variants, phase.weights[: phase.outside], strict=False)
            there_now = {key: (record.id, variant) for key, variant, weight in members if weight}
            chosen |= there_now
            if there_now:
                found.append(Taking(record, phase))
        elif status.status == Status.RUNNING:
            found.append(Taking(record, phase, None, *_chosen(chosen, record)))
        elif status.status == Status.FINISHED and status.winner in record.values:
            winner = record.variants[record.values.index(status.winner)]
            found.append(Taking(record, phase, winner, *_chosen(chosen, record)))
    return found


def _chosen(chosen: Mapping[str, tuple[int, int]], record: ExperimentRecord) -> tuple[int | None, int | None]:
    return chosen.get(record.key, (None, None)) if record.kind == Kind.EXPERIMENT else (None, None)
