"""What has to change so that experiments become as a file declares them, and what can't be changed."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from abtest import allocation, clock
from abtest.domain import (
    Audience,
    Change,
    Experiment,
    NewExperiment,
    Status,
    in_order,
    parse_audience,
    parse_metrics,
    require_room,
)
from abtest.errors import Conflict
from abtest.language import audience_said, counted, coverage_said, times_said, value_said, weights_said
from abtest.management.declared import Declared
from abtest.management.lifecycle import BEFORE, finishing, planned_too_late, require_addable, stop_too_low

KEPT = "a device keeps the value it got"
LEFT_OUT = "a device that was left out stays out"
NEW_WEIGHTS = "new weights begin phase {phase}:"
NEW_STOP = "another number to stop at begins phase {phase}:"
NEW_COVERAGE = "new coverage begins phase {phase}:"


class Step(Struct, frozen=True):
    """One thing that would be done or is refused, in a sentence.

    `field`: what differs, and how it is `stored` and `declared`; None for an experiment that would be added.
    """

    key: str
    sentence: str
    field: str | None = None
    stored: str | None = None
    declared: str | None = None
    refused: bool = False


class Proposal(Struct, frozen=True):
    """What would be done. `not_in_file`: keys of experiments that the file leaves out, except archived ones."""

    steps: tuple[Step, ...]
    not_in_file: tuple[str, ...]
    added: tuple[NewExperiment, ...]
    changes: tuple[tuple[str, Change], ...]

    @property
    def refused(self) -> tuple[Step, ...]:
        """The steps that are refused."""
        return tuple(step for step in self.steps if step.refused)

    def require_allowed(self) -> None:
        """Raises Conflict when a step is refused."""
        if self.refused:
            why = "\n  ".join(step.sentence for step in self.refused)
            raise Conflict(f"nothing can be applied:\n  {why}", code="impossible_transition")


def _never(why: str) -> Callable[[Declared, Experiment], str]:
    return lambda declared, experiment: why


class Field(Struct, frozen=True):
    """Something that a file and an experiment both have, with its name in a Change.

    `declared`: what the file says, or what is stored if both mean the same. `stored`: what is stored. `said`: either
    of them in words. `refusal`: why it can't be changed; empty if it can. `lead`: the words before what it will be.
    """

    name: str
    declared: Callable[[Declared, Experiment], Any]
    stored: Callable[[Experiment], Any]
    said: Callable[[Experiment, Any], str]
    refusal: Callable[[Declared, Experiment], str] = _never("")
    lead: str = "{field} will be"

    def step(self, declared: Declared, experiment: Experiment) -> Step | None:
        """The step that makes it as declared; None if nothing has to change."""
        wanted, stored = self.declared(declared, experiment), self.stored(experiment)
        if wanted == stored:
            return None
        to, was = self.said(experiment, wanted), self.said(experiment, stored)
        if why := self.refusal(declared, experiment):
            sentence = f"{self.name} can't be changed from {was} to {to}: {why}"
        else:
            lead = self.lead.format(field=self.name, phase=experiment.phase.number + 1)
            sentence = f"{lead} {to} (was {was})"
        return Step(experiment.key, f"{experiment.key}: {sentence}", self.name, was, to, bool(why))


def propose(declared: Sequence[Declared], present: Sequence[Experiment]) -> Proposal:
    """What has to change. Raises InvalidExperiment when an experiment can't be added, or a group has no room.

    `present`: every experiment of the app, since those that are not declared have shares of groups too.
    """
    stored = {experiment.key: experiment for experiment in present}
    steps: list[Step] = []
    added: list[NewExperiment] = []
    changes: list[tuple[str, Change]] = []
    for each in declared:
        key = each.new.key
        if key in stored:
            found, change = _compared(each, stored[key])
            steps += found
            changes += [(key, change)] if change else []
        else:
            where = f", in the group {each.new.group}" if each.new.group else ""
            steps.append(Step(key, f"{key}: will be added, {_status_said(each)}{where}"))
            require_addable(each.new)
            added.append(each.new)
            changes += [(key, change) for change in _way(each)]
    named = {each.new.key for each in declared}
    others = tuple(each.key for each in present if each.key not in named and each.status is not Status.ARCHIVED)
    proposal = Proposal(tuple(steps), others, tuple(added), tuple(changes))
    if not proposal.refused:
        _require_room(proposal, present)
    return proposal


def _require_room(proposal: Proposal, present: Sequence[Experiment]) -> None:
    """Raises InvalidExperiment if a group has no room. Experiments leave a group before others join it."""
    given: dict[str, list[Decimal]] = defaultdict(list)
    leaving = {key for key, change in proposal.changes if change.leaves_group}
    for each in present:
        if each.group and each.group_share and each.key not in leaving:
            given[each.group].append(each.group_share)
    joining = [(each.group, each.group_share) for each in proposal.added]
    for group, share in [*(change.group or ("", None) for _, change in proposal.changes), *joining]:
        if group and share:
            require_room(group, given[group], share)
            given[group].append(share)


def _compared(declared: Declared, experiment: Experiment) -> tuple[list[Step], Change | None]:
    steps: list[Step] = []
    wanted: dict[str, Any] = {}
    for field in FIELDS:
        if step := field.step(declared, experiment):
            steps.append(step)
            if not step.refused:
                wanted[field.name] = field.declared(declared, experiment)
    if wanted.keys() & {"winner", "because"} and (change := _finishing(declared, experiment)):
        wanted |= {"status": change.status, "winner": change.winner, "because": change.because}
    return steps, Change(**wanted) if wanted else None


def _finishing(declared: Declared, experiment: Experiment) -> Change | None:
    if declared.status is not Status.FINISHED:
        return None
    return finishing(experiment, declared.winner, _because(declared, experiment) or None)


def _status_said(declared: Declared) -> str:
    unsaid = Status.RUNNING if declared.new.start_at is None else Status.DRAFT
    status = (declared.status or unsaid).said
    return status if declared.winner is None else f"{status}, with the winner {value_said(declared.winner)}"


def _way(declared: Declared) -> list[Change]:
    """The changes that bring a new experiment, which is added as a draft or running, to its declared status."""
    finish = Change(status=Status.FINISHED, winner=declared.winner, because=declared.because)
    match declared.status:
        case Status.PAUSED:
            return [Change(status=Status.PAUSED)]
        case Status.FINISHED:
            return [finish]
        case Status.ARCHIVED:
            return [*([finish] if declared.winner or declared.because else []), Change(status=Status.ARCHIVED)]
    return []


def _values(declared: Declared, experiment: Experiment) -> Sequence[str]:
    values = tuple(variant.value for variant in declared.new.variants)
    return experiment.values if set(values) == set(experiment.values) else values


def _audience(declared: Declared, experiment: Experiment) -> Audience:
    audience = parse_audience(declared.new.audience)
    return experiment.audience if set(audience) == set(experiment.audience) else audience


def _status(declared: Declared, experiment: Experiment) -> Status:
    """Without a status in the file, it stays as it is; but an archived experiment would run, which is refused."""
    if declared.status is None and experiment.status is Status.ARCHIVED:
        return Status.RUNNING
    return declared.status or experiment.status


def _why_not_status(declared: Declared, experiment: Experiment) -> str:
    status = _status(declared, experiment)
    if experiment.status in BEFORE[status]:
        return ""
    if experiment.status is Status.ARCHIVED:
        return "a key is never used again; declare it archived, or take it out of the file"
    if not BEFORE[status]:
        return "an experiment is a draft only until it is started"
    before = " or ".join(each.said for each in Status if each in BEFORE[status])
    return f"only an experiment that is {before} can become {status}"


def _winner(declared: Declared, experiment: Experiment) -> str | None:
    return declared.winner if declared.status is not None and declared.status.over else experiment.winner


def _why_not_winner(declared: Declared, experiment: Experiment) -> str:
    if _finishing(declared, experiment):
        return ""
    return "a winner is named when the experiment is finished, and stays"


def _because(declared: Declared, experiment: Experiment) -> str:
    return experiment.because if declared.because is None else declared.because


def _why_not_because(declared: Declared, experiment: Experiment) -> str:
    if _finishing(declared, experiment):
        return ""
    return "a reason is given when the experiment is finished, and stays"


def _weights(declared: Declared, experiment: Experiment) -> tuple[Decimal, ...]:
    """The same proportions are the same weights: another phase with them would only split the figures."""
    given = {variant.value: variant.weight for variant in declared.new.variants}
    if given.keys() != set(experiment.values):
        return experiment.phase.weights
    weights = in_order(experiment.values, given)
    same = allocation.lowest_terms(weights) == experiment.phase.integers
    return experiment.phase.weights if same else weights


def _weights_said(experiment: Experiment, weights: tuple[Decimal, ...]) -> str:
    return weights_said({value: f"{weight:f}" for value, weight in zip(experiment.values, weights, strict=True)})


def _why_not_weighed(declared: Declared, experiment: Experiment) -> str:
    return f"it is {experiment.status.said}" if experiment.status.over else ""


def _baseline(declared: Declared, experiment: Experiment) -> str:
    """The declared one, unless the experiment has no such value: then its values are refused already."""
    baseline = declared.new.baseline or declared.new.variants[0].value
    return baseline if baseline in experiment.values else _stored_baseline(experiment)


def _stored_baseline(experiment: Experiment) -> str:
    return experiment.values[experiment.baseline_place]


def _why_not_planned(declared: Declared, experiment: Experiment) -> str:
    if declared.new.planned is None:
        return "a plan can be changed before the first device, but not removed"
    too_late = planned_too_late(experiment)
    return too_late and f"it has {too_late}"


def _schedule(declared: Declared, experiment: Experiment) -> tuple[int | None, int | None]:
    """Unless it is a draft, its start stays as it is; once it is over, so does its end."""
    status = _status(declared, experiment)
    start = declared.new.start_at if status is Status.DRAFT else experiment.start_at
    return start, experiment.end_at if status.over else declared.new.end_at


def _stored_schedule(experiment: Experiment) -> tuple[int | None, int | None]:
    return experiment.start_at, experiment.end_at


def _why_not_schedule(declared: Declared, experiment: Experiment) -> str:
    for wanted, stored in zip(_schedule(declared, experiment), _stored_schedule(experiment), strict=True):
        if wanted is not None and wanted != stored and wanted <= clock.now():
            return f"{clock.iso(wanted)} has passed"
    return ""


def _why_not_stop(declared: Declared, experiment: Experiment) -> str:
    if why := _why_not_weighed(declared, experiment):
        return why
    if declared.new.stop_at is None:
        return "the number can be changed, but not removed"
    too_low = stop_too_low(experiment, declared.new.stop_at)
    return too_low and f"it has {too_low}"


def _coverage(declared: Declared, experiment: Experiment) -> Decimal:
    return declared.new.coverage


def _group(declared: Declared, experiment: Experiment) -> tuple[str, Decimal]:
    """An experiment that is over is in no group, whatever the file says."""
    if _status(declared, experiment).over:
        return _stored_group(experiment)
    return declared.new.group or "", declared.new.group_share or Decimal(0)


def _stored_group(experiment: Experiment) -> tuple[str, Decimal]:
    return experiment.group or "", experiment.group_share or Decimal(0)


def _group_said(experiment: Experiment, group: tuple[str, Decimal]) -> str:
    key, share = group
    return f"{key}, which gives it {coverage_said(share)}" if key else "none"


def _coverage_said(experiment: Experiment, coverage: Decimal) -> str:
    return coverage_said(coverage)


def _audience_said(experiment: Experiment, audience: Audience) -> str:
    return audience_said(audience) or "every device"


def _schedule_said(experiment: Experiment, times: tuple[int | None, int | None]) -> str:
    start, end = times
    return times_said(start if experiment.status is Status.DRAFT else None, end)


def _planned_said(experiment: Experiment, planned: int | None) -> str:
    return "none" if planned is None else counted(planned, "device")


def _text(experiment: Experiment, text: str | None) -> str:
    return text or "none"


def _value(experiment: Experiment, value: str | None) -> str:
    return "none" if value is None else value_said(value)


def _values_said(experiment: Experiment, values: Sequence[str]) -> str:
    return ", ".join(map(value_said, values))


def _list(experiment: Experiment, values: Sequence[object]) -> str:
    return ", ".join(map(str, values)) or "none"


FIELDS = (
    Field("type", lambda file, _: file.new.type, lambda it: it.type, _text, _never(KEPT)),
    Field("values", _values, lambda it: it.values, _values_said, _never(KEPT)),
    Field("audience", _audience, lambda it: it.audience, _audience_said, _never(LEFT_OUT)),
    Field("status", _status, lambda it: it.status, _text, _why_not_status),
    Field("winner", _winner, lambda it: it.winner, _value, _why_not_winner),
    Field("because", _because, lambda it: it.because, _text, _why_not_because),
    Field("description", lambda file, _: file.new.description, lambda it: it.description, _text),
    Field("metrics", lambda file, _: parse_metrics(file.new.metrics), lambda it: it.metrics, _list),
    Field("baseline", _baseline, _stored_baseline, _value),
    Field("planned", lambda file, _: file.new.planned, lambda it: it.planned, _planned_said, _why_not_planned),
    Field("weights", _weights, lambda it: it.phase.weights, _weights_said, _why_not_weighed, NEW_WEIGHTS),
    Field("group", _group, _stored_group, _group_said),
    Field("coverage", _coverage, lambda it: it.phase.coverage, _coverage_said, _why_not_weighed, NEW_COVERAGE),
    Field("schedule", _schedule, _stored_schedule, _schedule_said, _why_not_schedule),
    Field(
        "stop_at",
        lambda file, _: file.new.stop_at,
        lambda it: it.phase.stop_at,
        _planned_said,
        _why_not_stop,
        NEW_STOP,
    ),
)
"""In the order in which people read about them."""
