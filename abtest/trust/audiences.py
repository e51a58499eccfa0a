"""Decides again from stored attributes who was in an audience, and counts who was outside."""

from collections import Counter
from collections.abc import Mapping, Sequence

from abtest.domain import NO_ATTRIBUTES, Attributes, failed, is_open
from abtest.enrolment import in_force
from abtest.store import Chunk, ExperimentRecord

ALL = -1


class AudienceAudit:
    """The audience of an experiment. `profiles`: the attributes that are kept, by id."""

    def __init__(self, experiment: ExperimentRecord, profiles: Mapping[int, Attributes]) -> None:
        self._audience = experiment.audience or ()
        self._profiles = profiles
        self._failed: dict[int | None, tuple[int, ...]] = {}

    def __bool__(self) -> bool:
        """Whether there are conditions."""
        return bool(self._audience)

    def failed(self, profile: int | None) -> tuple[int, ...]:
        """The places of the conditions that a device with this profile does not fulfil."""
        found = self._failed.get(profile)
        if found is None:
            attributes = NO_ATTRIBUTES if profile is None else self._profiles.get(profile, NO_ATTRIBUTES)
            found = self._failed[profile] = failed(self._audience, attributes)
        return found

    def inside(self, chunk: Chunk) -> Sequence[int]:
        """The devices of a chunk that are in the audience, in the order of their ids."""
        if not self._audience:
            return range(chunk.after + 1, chunk.upto + 1)
        return [id for id, _, profile in chunk.devices if not self.failed(profile)]

    def missed(self, places: Sequence[int]) -> str:
        """These conditions, as they are written."""
        return ", ".join(str(self._audience[place]) for place in places)


def outside(
    chunk: Chunk, watermark: int, experiments: Sequence[ExperimentRecord], audiences: Mapping[int, AudienceAudit]
) -> Counter[tuple[int, int]]:
    """The devices up to the watermark that were outside an audience: see Ledger.outside."""
    found: Counter[tuple[int, int]] = Counter()
    conditional = [each for each in experiments if audiences[each.id]]
    if not conditional:
        return found
    profiles = Counter(profile for id, _, profile in chunk.devices if id <= watermark)
    for experiment in conditional:
        status, _ = in_force(experiment, chunk.after + 1)
        if status is None or not is_open(status.status, status.winner):
            continue
        for profile, devices in profiles.items():
            if places := audiences[experiment.id].failed(profile):
                for place in (ALL, *places):
                    found[status.id, place] += devices
    return found
