"""The life of an experiment: which change is allowed when."""

import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct, structs

from abtest import clock
from abtest.domain import (
    KEY,
    TYPE_RULE,
    Change,
    Experiment,
    Metric,
    NewExperiment,
    Status,
    Type,
    Variant,
    check_baseline,
    check_planned,
    finding,
    in_order,
    parse_coverage,
    parse_metrics,
    parse_weight,
)
from abtest.errors import Conflict, InvalidExperiment, UnknownExperiment
from abtest.language import counted, names
from abtest.store import ExperimentStore

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
    """Creates experiments and changes them.

    Every method returns once the change is durable. Raises UnknownExperiment, InvalidExperiment, or Conflict when the
    status does not allow the change.
    """

    def __init__(self, store: ExperimentStore) -> None:
        self._store = store

    async def all(self) -> list[Experiment]:
        """Every experiment, in the order of creation."""
        return await self._store.experiments()

    async def one(self, key: str) -> Experiment:
        """The experiment with this key."""
        for experiment in await self._store.experiments():
            if experiment.key == key:
                return experiment
        raise UnknownExperiment(key)

    async def add(
        self, new: Sequence[NewExperiment], metrics: Mapping[str, tuple[Metric, ...]] | None = None
    ) -> list[Experiment]:
        """Create these experiments, and set the metrics of existing ones, by key: all of it or nothing."""
        return await self._store.add([experiment.checked() for experiment in new], clock.now(), metrics or {})

    async def start(self, key: str) -> Experiment:
        """Let a draft take devices."""
        return await self._move(key, "started", {Status.DRAFT}, Status.RUNNING)

    async def pause(self, key: str) -> Experiment:
        """Take no more devices for now."""
        return await self._move(key, "paused", {Status.RUNNING}, Status.PAUSED)

    async def resume(self, key: str) -> Experiment:
        """Take devices again."""
        return await self._move(key, "resumed", {Status.PAUSED}, Status.RUNNING)

    async def finish(self, key: str, winner: str | None = None) -> Experiment:
        """Take no more devices, for good; with a winner, new devices get that value."""

        def rule(experiment: Experiment) -> Change:
            _require(experiment, "finished", {Status.RUNNING, Status.PAUSED})
            if winner is not None and winner not in experiment.values:
                raise InvalidExperiment(f"winner: {winner!r} is not a value of {key}")
            return Change(status=Status.FINISHED, winner=winner)

        return await self._change(key, rule)

    async def archive(self, key: str) -> Experiment:
        """Stop delivering the key, to any device."""
        return await self._move(key, "archived", set(Status) - {Status.ARCHIVED}, Status.ARCHIVED)

    async def reweight(
        self, key: str, variants: Sequence[Variant] = (), coverage: Decimal | None = None
    ) -> Experiment:
        """Begin a new phase: new devices are drawn with these weights, and this part of them is covered.

        What is not given stays as it is. Devices that came before keep their value, or stay outside.
        """
        weights = {variant.value: variant.weight for variant in variants}
        if len(weights) < len(variants):
            raise InvalidExperiment("variants: a value is given twice")

        def rule(experiment: Experiment) -> Change:
            _require(experiment, "given new weights", {Status.DRAFT, Status.RUNNING, Status.PAUSED})
            return Change(weights=in_order(experiment.values, weights) if weights else None, coverage=coverage)

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
            if planned is not None and experiment.enrolled:
                devices = counted(experiment.enrolled, "device")
                raise Conflict(
                    f"{key} has {devices} already; a number can be planned only before the first one",
                    code="impossible_transition",
                )
            return Change(metrics=wanted, baseline=baseline, planned=planned)

        return await self._change(key, rule)

    async def _move(self, key: str, verb: str, allowed: set[Status], to: Status) -> Experiment:
        def rule(experiment: Experiment) -> Change:
            _require(experiment, verb, allowed)
            return Change(status=to)

        return await self._change(key, rule)

    async def _change(self, key: str, rule: Callable[[Experiment], Change]) -> Experiment:
        return await self._store.change(key, rule, clock.now())


class Question(Struct, frozen=True):
    """Whether less of some events is better, and the command that says so."""

    events: str
    command: str

    def __str__(self) -> str:
        return f"is less of {self.events} better? if so, run: {self.command}"


def ask_direction(key: str, metrics: Sequence[Metric]) -> Question | None:
    """The question to ask if a metric's event sounds like harm but `less` was not given."""
    doubtful = [metric.event for metric in metrics if metric.in_doubt]
    if not doubtful:
        return None
    said = [structs.replace(metric, less=metric.less or metric.in_doubt) for metric in metrics]
    options = " ".join(f"--metric {shlex.quote(str(metric))}" for metric in said)
    events = names(sorted(set(doubtful)), "event")
    return Question(events, f"abtest experiments metrics {key} {options}")


def _require(experiment: Experiment, verb: str, allowed: set[Status]) -> None:
    if experiment.status not in allowed:
        raise Conflict(
            f"{experiment.key} is {experiment.status.said} and can't be {verb}", code="impossible_transition"
        )


EXPERIMENT = re.compile(r"experiments\[(\d+)\]\.?(.*)", re.DOTALL)
PART = re.compile(r"(variants|metrics|audience)\[(\d+)\](?:\.(.*))?", re.DOTALL)


class _Variant(Struct, forbid_unknown_fields=True):
    value: str
    weight: Decimal


class _Experiment(Struct, forbid_unknown_fields=True):
    key: str
    variants: list[_Variant]
    description: str = ""
    metrics: list[str] = []
    draft: bool = False
    baseline: str | None = None
    planned: int | None = None
    type: Type = Type.STRING
    audience: list[str] = []
    coverage: str = "100%"


class _File(Struct, forbid_unknown_fields=True):
    experiments: list[_Experiment] = []
    metrics: dict[str, list[str]] = {}


class Described(Struct, frozen=True):
    """What a TOML file describes: experiments to add, and metrics for existing experiments, by key."""

    experiments: tuple[NewExperiment, ...]
    metrics: dict[str, tuple[Metric, ...]]


def parse_toml(text: str) -> Described:
    """What a TOML file describes. Raises InvalidExperiment, which says what is wrong and where."""
    try:
        # Parse decimals from their text: a float would already have lost digits.
        table: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
        wanted = msgspec.convert(table, _File)
    except tomllib.TOMLDecodeError as error:
        raise InvalidExperiment(str(error)) from None
    except msgspec.ValidationError as error:
        place, what = finding(error, {"type": TYPE_RULE})
        raise InvalidExperiment(f"{_placed(table, place)}: {what}") from None
    if not wanted.experiments and not wanted.metrics:
        raise InvalidExperiment("experiments: the file has none; each begins with [[experiments]]")
    keys = Counter(experiment.key for experiment in wanted.experiments)
    repeated = [key for key, count in keys.items() if count > 1]
    if repeated:
        raise InvalidExperiment(f"key: {repeated[0]!r} is given to {keys[repeated[0]]} experiments")
    added = tuple(_added(experiment, number) for number, experiment in enumerate(wanted.experiments, start=1))
    return Described(added, {key: _metrics(key, texts) for key, texts in wanted.metrics.items()})


def _added(experiment: _Experiment, number: int) -> NewExperiment:
    try:
        return NewExperiment(
            key=experiment.key,
            description=experiment.description,
            variants=tuple(
                Variant(variant.value, parse_weight(f"{variant.weight:f}", f"weight of variant {place}"))
                for place, variant in enumerate(experiment.variants, start=1)
            ),
            metrics=tuple(experiment.metrics),
            draft=experiment.draft,
            baseline=experiment.baseline,
            planned=experiment.planned,
            type=experiment.type,
            audience=tuple(experiment.audience),
            coverage=parse_coverage(experiment.coverage),
        ).checked()
    except InvalidExperiment as error:
        raise InvalidExperiment(f"{_named(experiment.key, number)}: {error}") from None


def _placed(table: Mapping[str, Any], place: str) -> str:
    """checkout: weight of variant 2, for experiments[1].variants[1].weight."""
    match = EXPERIMENT.fullmatch(place)
    if not match:
        return place.partition("[")[0]
    number, inside = int(match[1]), match[2]
    experiment = table["experiments"][number]
    name = _named(experiment.get("key") if isinstance(experiment, dict) else None, number + 1)
    if part := PART.fullmatch(inside):
        field = f"{part[3]} of " if part[3] else ""
        inside = f"{field}{part[1].removesuffix('s')} {int(part[2]) + 1}"
    return f"{name}: {inside}" if inside else name


def _named(key: object, number: int) -> str:
    """The name of a file's experiment in messages: its key or, if that is not valid, its number in the file."""
    return key if isinstance(key, str) and KEY.fullmatch(key) else f"experiment {number}"


def _metrics(key: str, texts: Sequence[str]) -> tuple[Metric, ...]:
    try:
        return parse_metrics(texts)
    except InvalidExperiment as error:
        raise InvalidExperiment(f"metrics of {key}: {error}") from None
