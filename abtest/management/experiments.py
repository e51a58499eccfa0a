"""The life of an experiment: which change is allowed when."""

import shlex
from collections.abc import Callable, Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

from msgspec import UNSET, Struct, UnsetType, structs

from abtest import clock
from abtest.domain import (
    DEFAULT_APP,
    By,
    Change,
    Experiment,
    Kind,
    Metric,
    NewExperiment,
    Status,
    Type,
    Variant,
    check_baseline,
    check_because,
    check_order,
    check_planned,
    check_stop_at,
    in_order,
    parse_metrics,
)
from abtest.errors import Conflict, InvalidExperiment, InvalidField
from abtest.language import names
from abtest.management.applying import Proposal, propose
from abtest.management.apps import app_option
from abtest.management.declared import Declared, edited, read_declared
from abtest.management.lifecycle import (
    BEFORE,
    WEIGHED,
    finishing,
    of_key,
    planned_too_late,
    require_addable,
    require_future,
    require_revision,
    stop_too_low,
)
from abtest.store import Alteration, ExperimentStore

DEMO = (
    NewExperiment(
        key="button_color",
        description="does the colour of the buy button change conversion into purchase?",
        variants=tuple(Variant(value, Decimal("33.3")) for value in ("#FF0000", "#00FF00", "#0000FF")),
        metrics=("conversion:purchase",),
    ),
    NewExperiment(
        key="price",
        description="does another price change what a device brings in?",
        variants=(
            Variant("10", Decimal(75)),
            Variant("20", Decimal(10)),
            Variant("50", Decimal(5)),
            Variant("5", Decimal(10)),
        ),
        metrics=("amount:purchase",),
        type=Type.NUMBER,
    ),
)


class ExperimentService:
    """Creates the experiments of an app, and changes them.

    Every method returns once the change is durable. Raises UnknownApp, UnknownExperiment, InvalidExperiment, or
    Conflict when the status does not allow the change.
    """

    def __init__(
        self, store: ExperimentStore, app: str = DEFAULT_APP, revision: str | None = None, *, by: By
    ) -> None:
        """`revision`: of an experiment when it was read; if that has changed since, ChangedMeanwhile is raised."""
        self._store = store
        self._app = app
        self._revision = revision
        self._by = by

    async def all(self) -> list[Experiment]:
        """Every experiment, in the order of creation."""
        return await self._store.experiments(self._app)

    async def one(self, key: str) -> Experiment:
        """The experiment with this key."""
        return of_key(key, await self.all())

    async def add(
        self, new: Sequence[NewExperiment], metrics: Mapping[str, tuple[Metric, ...]] | None = None
    ) -> list[Experiment]:
        """Create these experiments, and set the metrics of existing ones, by key: all of it or nothing."""
        for experiment in new:
            require_addable(experiment.checked())
        return await self._store.add(new, clock.now(), metrics or {}, self._app, by=self._by)

    async def create(self, fields: Mapping[str, Any]) -> Experiment:
        """Create the experiment that these fields declare, named as in the TOML file.

        Raises InvalidExperiment or InvalidField when a field can't be read.
        """
        declared = read_declared(fields)
        if declared.status not in {None, Status.DRAFT, Status.RUNNING}:
            raise InvalidField("an experiment is created as a draft or running", field="status")
        await self._require_group(fields)
        (added,) = await self.add([declared.new])
        return added

    async def start(self, key: str) -> Experiment:
        """Let a draft take devices."""
        return await self._move(key, "started", {Status.DRAFT}, Status.RUNNING)

    async def pause(self, key: str) -> Experiment:
        """Take no more devices for now."""
        return await self._move(key, "paused", BEFORE[Status.PAUSED], Status.PAUSED)

    async def resume(self, key: str) -> Experiment:
        """Take devices again."""
        return await self._move(key, "resumed", {Status.PAUSED}, Status.RUNNING)

    async def finish(self, key: str, winner: str | None = None, because: str = "") -> Experiment:
        """Take no more devices, for good; with a winner, new devices get that value.

        `because`: the reason for this winner, or for none. A finished experiment can still be given a winner or a
        reason that it lacks.
        """
        check_because(because)

        def rule(experiment: Experiment) -> Change:
            change = finishing(experiment, winner, because)
            if change is None:
                raise _impossible(experiment, "finished")
            if winner is not None and winner not in experiment.values:
                raise InvalidExperiment(f"{winner!r} is not a value of {key}", field="winner")
            return change

        return await self._change(key, rule)

    async def archive(self, key: str) -> Experiment:
        """Stop delivering the key, to any device."""
        return await self._move(key, "archived", BEFORE[Status.ARCHIVED], Status.ARCHIVED)

    async def reweight(
        self,
        key: str,
        variants: Sequence[Variant] = (),
        coverage: Decimal | None = None,
        stop_at: int | None = None,
    ) -> Experiment:
        """Begin a new phase: new devices are drawn with these weights, and this part of them is covered.

        `stop_at`: how many devices there may be in all phases. What is not given stays as it is. Devices that came
        before keep their value, or stay outside.
        """
        check_stop_at(stop_at)
        weights = {variant.value: variant.weight for variant in variants}
        if len(weights) < len(variants):
            raise InvalidExperiment("a value is given twice", field="variants")

        def rule(experiment: Experiment) -> Change:
            _require(experiment, "given new weights", WEIGHED)
            if stop_at is not None and (too_low := stop_too_low(experiment, stop_at)):
                raise Conflict(f"the experiment {key} has {too_low}", code="impossible_transition")
            return Change(
                weights=in_order(experiment.values, weights) if weights else None, coverage=coverage, stop_at=stop_at
            )

        return await self._change(key, rule)

    async def schedule(
        self,
        key: str,
        start_at: int | UnsetType | None = UNSET,
        end_at: int | UnsetType | None = UNSET,
    ) -> Experiment:
        """Change when the worker starts and finishes it; None for never. What is not given stays as it is."""

        def rule(experiment: Experiment) -> Change:
            start, end = experiment.start_at, experiment.end_at
            if start_at is not UNSET:
                _require(experiment, "given another start", {Status.DRAFT})
                require_future("start_at", start_at)
                start = start_at
            if end_at is not UNSET:
                _require(experiment, "given another end", WEIGHED)
                require_future("end_at", end_at)
                end = end_at
            check_order(start, end)
            return Change(schedule=(start, end))

        return await self._change(key, rule)

    async def measure(
        self, key: str, metrics: Sequence[str] = (), baseline: str | None = None, planned: int | None = None
    ) -> Experiment:
        """Change what an experiment is judged by. The first metric is the primary one.

        What is not given stays as it is. A number of devices can be `planned` only before the first one is enrolled:
        a plan that is made after looking at figures protects against nothing.
        """
        wanted = parse_metrics(metrics) if metrics else None

        def rule(experiment: Experiment) -> Change:
            check_baseline(baseline, experiment.values)
            check_planned(planned, len(experiment.values))
            if planned is not None and (too_late := planned_too_late(experiment)):
                raise Conflict(f"the experiment {key} has {too_late}", code="impossible_transition")
            return Change(metrics=wanted, baseline=baseline, planned=planned)

        return await self._change(key, rule)

    async def propose(self, declared: Sequence[Declared]) -> Proposal:
        """What would change if the experiments became as they are declared."""
        return propose(declared, await self.all())

    async def apply(self, declared: Sequence[Declared], shown: Proposal) -> list[Experiment]:
        """Do what was shown, all of it or nothing, and return every experiment as it is afterwards.

        Raises Conflict if a part of it is refused, or if what was shown is no longer what would be done.
        """

        def rule(present: Sequence[Experiment]) -> Alteration:
            found = propose(declared, present)
            if found.steps != shown.steps:
                raise Conflict(
                    "nothing was done: somebody changed the experiments meanwhile; apply the file again",
                    code="changed_meanwhile",
                )
            found.require_allowed()
            return Alteration(found.added, found.changes)

        await self._store.alter(rule, clock.now(), self._app, self._by)
        return await self.all()

    async def edit(self, key: str, fields: Mapping[str, Any]) -> Experiment:
        """Change several fields at once, named as in the TOML file: all or none. Fields that are not given stay.

        Raises InvalidExperiment or InvalidField when a field can't be read, and Conflict when it can't be changed.
        """
        await self._require_group(fields)

        def rule(present: Sequence[Experiment]) -> Alteration:
            experiment = of_key(key, present)
            require_revision(experiment, self._revision)
            found = propose([edited(experiment, fields)], present)
            if found.refused:
                why = "; ".join(step.sentence for step in found.refused)
                raise Conflict(why, code="impossible_transition")
            return Alteration(changes=found.changes)

        await self._store.alter(rule, clock.now(), self._app, self._by)
        return await self.one(key)

    async def propose_edit(self, key: str, fields: Mapping[str, Any]) -> Proposal:
        """What `edit` would do, and what it would refuse."""
        await self._require_group(fields)
        present = await self.all()
        return propose([edited(of_key(key, present), fields)], present)

    async def _require_group(self, fields: Mapping[str, Any]) -> None:
        groups = await self._store.experiments(self._app, Kind.GROUP)
        if fields.get("group") not in [None, *(group.key for group in groups)]:
            raise InvalidField("there is no such group", field="group")

    async def _move(self, key: str, verb: str, allowed: Set[Status], to: Status) -> Experiment:
        def rule(experiment: Experiment) -> Change:
            _require(experiment, verb, allowed)
            end = experiment.end_at
            if to is Status.RUNNING and end is not None and end <= clock.now():
                command = f"abtest experiments schedule {key} --end-at none{app_option(self._app)}"
                raise Conflict(
                    f"the experiment {key} was to end at {clock.iso(end)}, which has passed; "
                    f"before it can be {verb}, run: {command}",
                    code="impossible_transition",
                )
            return Change(status=to)

        return await self._change(key, rule)

    async def _change(self, key: str, rule: Callable[[Experiment], Change]) -> Experiment:
        def guarded(experiment: Experiment) -> Change:
            require_revision(experiment, self._revision)
            return rule(experiment)

        return await self._store.change(key, guarded, clock.now(), self._app, by=self._by)


class Question(Struct, frozen=True):
    """Whether less of some events is better, and the command that says so."""

    events: str
    command: str

    def __str__(self) -> str:
        return f"is less of {self.events} better? if so, run: {self.command}"


def ask_direction(
    key: str, metrics: Sequence[Metric], app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT
) -> Question | None:
    """The question to ask if a metric's event sounds like harm but `less` was not given.

    `key`: of an experiment, or of a holdout.
    """
    doubtful = [metric.event for metric in metrics if metric.in_doubt]
    if not doubtful:
        return None
    said = [structs.replace(metric, less=metric.less or metric.in_doubt) for metric in metrics]
    options = " ".join(f"--metric {shlex.quote(str(metric))}" for metric in said)
    events = names(sorted(set(doubtful)), "event")
    return Question(events, f"abtest {kind}s metrics {key} {options}{app_option(app)}")


def _require(experiment: Experiment, verb: str, allowed: Set[Status]) -> None:
    if experiment.status not in allowed:
        raise _impossible(experiment, verb)


def _impossible(experiment: Experiment, verb: str) -> Conflict:
    said = f"the experiment {experiment.key} is {experiment.status.said} and can't be {verb}"
    return Conflict(said, code="impossible_transition")
