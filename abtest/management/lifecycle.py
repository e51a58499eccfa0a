"""Which change of an experiment is allowed when."""

from collections.abc import Iterable, Mapping, Set

from abtest import clock
from abtest.domain import WORKER, Change, Experiment, Kind, NewExperiment, Status, revision
from abtest.errors import ChangedMeanwhile, InvalidExperiment, UnknownExperiment
from abtest.language import counted

BEFORE = {
    Status.DRAFT: frozenset[Status](),
    Status.RUNNING: frozenset({Status.DRAFT, Status.PAUSED}),
    Status.PAUSED: frozenset({Status.RUNNING}),
    Status.FINISHED: frozenset({Status.RUNNING, Status.PAUSED}),
    Status.ARCHIVED: frozenset(Status) - {Status.ARCHIVED},
}
"""The statuses from which each status can be reached."""
WEIGHED = frozenset(each for each in Status if not each.over)
"""The statuses in which an experiment can get new weights, another coverage or another end."""
POSSIBLE: Mapping[str, Set[Status]] = {
    "start": {Status.DRAFT},
    "pause": BEFORE[Status.PAUSED],
    "resume": {Status.PAUSED},
    "weights": {Status.RUNNING, Status.PAUSED},
    "finish": BEFORE[Status.FINISHED],
    "archive": BEFORE[Status.ARCHIVED],
}
"""What people do to an experiment, and in which statuses. The weights of a draft are edited with the rest of it."""


def possible(experiment: Experiment) -> list[str]:
    """What can be done to an experiment now. `finish` can also give a finished one a winner or a reason."""
    can_be_completed = finishing(experiment, experiment.winner or experiment.values[0], "because") is not None
    return [
        name
        for name, statuses in POSSIBLE.items()
        if experiment.status in statuses or (name == "finish" and can_be_completed)
    ]


def finishing(experiment: Experiment, winner: str | None, because: str | None) -> Change | None:
    """What changes when an experiment is finished with this winner and reason; None if that can't be done.

    A finished experiment can still be given a winner and a reason if it has none. A person who only gives the reason
    did not take the decision, except where no person had: when the schedule ended the experiment.
    """
    change = Change(status=Status.FINISHED, winner=winner, because=because)
    if experiment.status in BEFORE[Status.FINISHED]:
        return change
    if experiment.status is not Status.FINISHED:
        return None
    if winner is not None and experiment.winner is None:
        return change
    if because and not experiment.because and winner in {None, experiment.winner}:
        return change if experiment.decided_by == WORKER else Change(because=because)
    return None


def of_key(key: str, present: Iterable[Experiment], kind: Kind = Kind.EXPERIMENT) -> Experiment:
    """The experiment, group or holdout with this key. Raises UnknownExperiment."""
    found = next((each for each in present if each.key == key), None)
    if found is None:
        raise UnknownExperiment(key, kind)
    return found


def require_revision(experiment: Experiment, seen: str | None) -> None:
    """Raises ChangedMeanwhile unless the experiment still has the revision that was seen; None allows any."""
    if seen is not None and seen != revision(experiment):
        raise ChangedMeanwhile(
            f"somebody changed the {experiment.kind} {experiment.key} meanwhile; look at it and try again"
        )


def require_future(field: str, time: int | None, said: str | None = None) -> None:
    """Raises InvalidExperiment when this time has passed."""
    if time is not None and time <= clock.now():
        raise InvalidExperiment(f"{clock.iso(time)} has passed", field, said)


def require_addable(new: NewExperiment) -> None:
    """Raises InvalidExperiment for what only an existing experiment may have: a baseline of weight 0, a past end."""
    weights = {variant.value: variant.weight for variant in new.variants}
    baseline = new.variants[0].value if new.baseline is None else new.baseline
    if not weights[baseline]:
        raise InvalidExperiment(
            f"{baseline!r} has weight 0, so no device could be compared with it; "
            "give it a weight, or name another value as the baseline",
            field="baseline",
            said=f"{new.key}: baseline",
        )
    require_future("end_at", new.end_at, f"{new.key}: end_at")


def stop_too_low(experiment: Experiment, stop_at: int) -> str:
    """Why the experiment can't stop at so many devices; empty if it can."""
    if stop_at > experiment.enrolled:
        return ""
    return f"{counted(experiment.enrolled, 'device')} already; choose a number above that"


def planned_too_late(experiment: Experiment) -> str:
    """Why no number of devices can be planned any more; empty while it can."""
    if not experiment.enrolled:
        return ""
    return f"{counted(experiment.enrolled, 'device')} already; a number can be planned only before the first one"
