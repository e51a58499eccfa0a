"""Decides again, from stored attributes, which devices are in an audience. Counts devices outside it, and per app."""

from collections import Counter
from collections.abc import Mapping, Sequence

from abtest.domain import DEFAULT_APP_ID, NO_ATTRIBUTES, Attributes, Kind, failed, is_open
from abtest.enrolment import in_force
from abtest.store import ALL_DEVICES, OUTSIDE_AUDIENCE, Chunk, ExperimentRecord, Ledger


class AudienceAudit:
    """The audience of an experiment. `profiles`: the attributes that are kept, by the id of their profile."""

    def __init__(self, experiment: ExperimentRecord, profiles: Mapping[int, Attributes | None]) -> None:
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
            attributes = NO_ATTRIBUTES if profile is None else self._profiles.get(profile) or NO_ATTRIBUTES
            found = self._failed[profile] = failed(self._audience, attributes)
        return found

    def missed(self, places: Sequence[int]) -> str:
        """The conditions at these places, as they are written."""
        return ", ".join(str(self._audience[place]) for place in places)


def profile_app(profile: int | None, apps: Mapping[int, int]) -> int:
    """The number of the app of a device with this profile. `apps`: those of all profiles."""
    return DEFAULT_APP_ID if profile is None else apps.get(profile, DEFAULT_APP_ID)


def counted_profiles(chunk: Chunk, ledger: Ledger) -> Counter[int | None]:
    """The devices of a chunk that are in the summary, by profile."""
    return Counter(profile for id, _, profile in chunk.devices if id <= (ledger.watermark or 0))


def per_app(profiles: Mapping[int | None, int], ledger: Ledger) -> Counter[int]:
    """The devices of each app."""
    found: Counter[int] = Counter()
    for profile, devices in profiles.items():
        found[profile_app(profile, ledger.apps)] += devices
    return found


def outside(
    profiles: Mapping[int | None, int], device: int, ledger: Ledger, audiences: Mapping[int, AudienceAudit]
) -> Counter[tuple[int, int]]:
    """How many of these devices are of each open experiment's app, and how many are outside its audience.

    Which experiments are open, and in which status, is as of this device. Keys: see Ledger.outside.
    """
    found: Counter[tuple[int, int]] = Counter()
    for experiment in ledger.experiments:
        status, _ = in_force(experiment, device)
        if experiment.kind != Kind.EXPERIMENT or status is None or not is_open(status.status, status.winner):
            continue
        for profile, devices in profiles.items():
            if profile_app(profile, ledger.apps) == experiment.app:
                found[status.id, ALL_DEVICES] += devices
                if places := audiences[experiment.id].failed(profile):
                    for place in (OUTSIDE_AUDIENCE, *places):
                        found[status.id, place] += devices
    return found
