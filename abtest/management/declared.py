"""Reads and writes the TOML file that describes experiments."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from abtest import clock
from abtest.domain import (
    FULL_COVERAGE,
    KEY,
    TYPE_RULE,
    Experiment,
    Metric,
    Moment,
    NewExperiment,
    Status,
    Type,
    Variant,
    check_because,
    finding,
    parse_coverage,
    parse_metrics,
    parse_time,
    parse_variant_weight,
)
from abtest.errors import Conflict, InvalidExperiment, InvalidField
from abtest.language import coverage_said

EXPERIMENT = re.compile(r"experiments\[(\d+)\]\.?(.*)", re.DOTALL)
PART = re.compile(r"(variants|metrics|audience)\[(\d+)\](?:\.(.*))?", re.DOTALL)
MOST_DIGITS = 30
LIFE = {"status", "draft", "winner", "because"}
"""Fields that say where an experiment is in its life."""
STATUS_RULE = "draft, running, paused, finished or archived"


class DeclaredVariant(Struct, forbid_unknown_fields=True):
    """A value with its weight, as it was written."""

    value: str
    weight: Decimal


class _Experiment(Struct, forbid_unknown_fields=True):
    key: str
    variants: list[DeclaredVariant]
    description: str = ""
    metrics: list[str] = []
    draft: bool = False
    baseline: str | None = None
    planned: int | None = None
    type: Type = Type.STRING
    audience: list[str] = []
    coverage: str = "100%"
    group: str | None = None
    group_share: str | None = None
    start_at: Moment | None = None
    end_at: Moment | None = None
    stop_at: int | None = None
    status: Status | None = None
    winner: str | None = None
    because: str | None = None


class _File(Struct, forbid_unknown_fields=True):
    experiments: list[_Experiment] = []
    metrics: dict[str, list[str]] = {}


class Declared(Struct, frozen=True):
    """An experiment as it should be. `status`, `because`: None leaves it as it is.

    Without a status, a new experiment runs, or is a draft if it has a start.
    """

    new: NewExperiment
    status: Status | None = None
    winner: str | None = None
    because: str | None = None


class Described(Struct, frozen=True):
    """What a TOML file describes: experiments to add, and metrics for existing experiments, by key."""

    experiments: tuple[NewExperiment, ...]
    metrics: dict[str, tuple[Metric, ...]]


def parse_toml(text: str) -> Described:
    """What a TOML file adds. Raises InvalidExperiment, which says what is wrong and where."""
    wanted = _read(text)
    if not wanted.experiments and not wanted.metrics:
        raise InvalidExperiment("experiments: the file has none; each begins with [[experiments]]")
    for number, each in enumerate(wanted.experiments, start=1):
        if each.status not in {None, Status.DRAFT, Status.RUNNING}:
            raise InvalidExperiment(
                f"{_named(each.key, number)}: status: only drafts and running experiments can be loaded; "
                "`abtest experiments apply` takes every status"
            )
    added = tuple(each.new for each in _declared(wanted.experiments))
    return Described(added, {key: _metrics(key, texts) for key, texts in wanted.metrics.items()})


def parse_declared(text: str) -> tuple[Declared, ...]:
    """The experiments that a TOML file declares. Raises InvalidExperiment, which says what is wrong and where."""
    wanted = _read(text)
    if wanted.metrics:
        raise InvalidExperiment("metrics: write the metrics of each experiment below its [[experiments]]")
    return _declared(wanted.experiments)


def as_declared(experiment: Experiment) -> Declared:
    """What declares such an experiment in another database: without a status if it runs or will start by itself."""
    phase, (start_at, end_at) = experiment.phase, experiment.coming
    new = NewExperiment(
        key=experiment.key,
        variants=tuple(map(Variant, experiment.values, phase.weights)),
        description=experiment.description,
        metrics=tuple(map(str, experiment.metrics)),
        draft=experiment.status is Status.DRAFT,
        baseline=experiment.baseline if experiment.baseline_place else None,
        planned=experiment.planned,
        type=experiment.type,
        audience=tuple(map(str, experiment.audience)),
        coverage=phase.coverage,
        group=experiment.group,
        group_share=experiment.group_share,
        start_at=start_at,
        end_at=end_at,
        stop_at=phase.stop_at,
    )
    status = None if experiment.status is Status.RUNNING or start_at is not None else experiment.status
    return Declared(new, status, experiment.winner, experiment.because or None)


def write_toml(declared: Sequence[Declared]) -> str:
    """The TOML file that declares these experiments; fields that have their default are left out."""
    return "\n".join(map(_table, declared))


def read_declared(fields: Mapping[str, Any]) -> Declared:
    """The experiment that the fields of a TOML file's [[experiments]] declare, as they come in JSON.

    A field that is null has its default. Raises InvalidField, which names the field, or InvalidExperiment.
    """
    given = {
        name: value
        for name, value in fields.items()
        if value is not None or name not in _Experiment.__struct_fields__
    }
    try:
        return _one(msgspec.convert(given, _Experiment))
    except msgspec.ValidationError as error:
        place, what = finding(error, {"type": TYPE_RULE, "status": STATUS_RULE})
        raise InvalidField(what, field=place or "body") from None


def read_variants(variants: Sequence[DeclaredVariant]) -> tuple[Variant, ...]:
    """The variants with exact weights. Raises InvalidExperiment."""
    return tuple(
        Variant(variant.value, parse_variant_weight(_plain(variant.weight), place))
        for place, variant in enumerate(variants, start=1)
    )


def edited(experiment: Experiment, fields: Mapping[str, Any]) -> Declared:
    """The experiment with these fields instead of its own. Raises what read_declared raises, or Conflict.

    A field that can't be changed here may be given as it is.
    """
    shown = _shown(experiment)
    changed = {
        name: value
        for name, value in fields.items()
        if name not in shown or (value != shown[name] and (value is not None or shown[name]))
    }
    if "key" in changed:
        raise InvalidField("can't be changed, because apps ask for it", field="key")
    if living := LIFE & changed.keys():
        why = "can't be edited; start, pause, resume, finish or archive the experiment instead"
        raise InvalidField(why, field=min(living))
    if settled := _settled(experiment.status) & changed.keys():
        why = f"{experiment.key}: {min(settled)} can't be changed: the experiment is {experiment.status.said}"
        raise Conflict(why, code="impossible_transition")
    if changed.get("group", "") is None:
        changed.setdefault("group_share", None)
    declared = as_declared(experiment)
    variants = [{"value": each.value, "weight": each.weight} for each in declared.new.variants]
    own = {name: value for name, value in _fields(declared).items() if value}
    return read_declared({**own, "variants": variants, **changed})


def _shown(experiment: Experiment) -> dict[str, Any]:
    """The fields that can't always be changed, as `described` gives them."""
    share, start, end = experiment.group_share, experiment.start_at, experiment.end_at
    return {
        "key": experiment.key,
        "status": experiment.status,
        "draft": experiment.status is Status.DRAFT,
        "winner": experiment.winner,
        "because": experiment.because,
        "group": experiment.group,
        "group_share": None if share is None else coverage_said(share),
        "start_at": clock.iso_or_none(start),
        "end_at": clock.iso_or_none(end),
    }


def _settled(status: Status) -> Set[str]:
    """The fields that nobody can change any more."""
    if status.over:
        return {"start_at", "end_at", "group", "group_share"}
    return set() if status is Status.DRAFT else {"start_at"}


def _fields(declared: Declared) -> dict[str, Any]:
    """All fields but the variants, as in a TOML file; those that it leaves out are empty."""
    new = declared.new
    return {
        "key": new.key,
        "status": declared.status,
        "winner": declared.winner,
        "because": declared.because,
        "description": new.description,
        "type": None if new.type is Type.STRING else new.type,
        "metrics": new.metrics,
        "baseline": new.baseline,
        "planned": new.planned,
        "audience": new.audience,
        "coverage": None if new.coverage == FULL_COVERAGE else coverage_said(new.coverage),
        "group": new.group,
        "group_share": None if new.group_share is None else coverage_said(new.group_share),
        "start_at": None if new.start_at is None else _time(new.start_at),
        "end_at": None if new.end_at is None else _time(new.end_at),
        "stop_at": new.stop_at,
    }


def _table(declared: Declared) -> str:
    new = declared.new
    variants = [
        f"  {{ value = {_literal(variant.value)}, weight = {variant.weight:f} }}," for variant in new.variants
    ]
    lines = [f"{name} = {_literal(value)}" for name, value in _fields(declared).items() if value]
    return "\n".join(["[[experiments]]", *lines, "variants = [", *variants, "]", ""])


def _time(milliseconds: int) -> str:
    return clock.moment(milliseconds).isoformat().replace("+00:00", "Z")


def _literal(value: object) -> str:
    """A text, a whole number or a list of texts: TOML writes them as JSON does, except DEL, which no field has."""
    return json.dumps(value, ensure_ascii=False)


def _read(text: str) -> _File:
    try:
        # Parse decimals from their text: a float would already have lost digits.
        table: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
        wanted = msgspec.convert(table, _File)
    except tomllib.TOMLDecodeError as error:
        raise InvalidExperiment(str(error)) from None
    except RecursionError:
        raise InvalidExperiment("lists and tables are nested too deeply") from None
    except msgspec.ValidationError as error:
        place, what = finding(error, {"type": TYPE_RULE, "status": STATUS_RULE})
        raise InvalidExperiment(f"{_placed(table, place)}: {what}") from None
    keys = Counter(experiment.key for experiment in wanted.experiments)
    repeated = [key for key, count in keys.items() if count > 1]
    if repeated:
        raise InvalidExperiment(f"key: {repeated[0]!r} is given to {keys[repeated[0]]} experiments")
    return wanted


def _declared(experiments: Sequence[_Experiment]) -> tuple[Declared, ...]:
    found = []
    for number, experiment in enumerate(experiments, start=1):
        try:
            found.append(_one(experiment))
        except InvalidExperiment as error:
            raise InvalidExperiment(f"{_named(experiment.key, number)}: {error}") from None
    return tuple(found)


def _one(experiment: _Experiment) -> Declared:
    if experiment.draft and experiment.status not in {None, Status.DRAFT}:
        raise InvalidExperiment(f"can't be {experiment.status} with draft = true", field="status")
    status = Status.DRAFT if experiment.draft else experiment.status
    new = NewExperiment(
        key=experiment.key,
        description=experiment.description,
        variants=read_variants(experiment.variants),
        metrics=tuple(experiment.metrics),
        draft=status is Status.DRAFT,
        baseline=experiment.baseline,
        planned=experiment.planned,
        type=experiment.type,
        audience=tuple(experiment.audience),
        coverage=parse_coverage(experiment.coverage),
        group=experiment.group,
        group_share=None if experiment.group_share is None else parse_coverage(experiment.group_share, "group_share"),
        start_at=None if experiment.start_at is None else parse_time(experiment.start_at, "start_at"),
        end_at=None if experiment.end_at is None else parse_time(experiment.end_at, "end_at"),
        stop_at=experiment.stop_at,
    ).checked()
    if new.start_at is not None and status not in {None, Status.DRAFT}:
        why = f"an experiment that is {status} does not start by itself; leave out the status"
        raise InvalidExperiment(why, field="start_at")
    if experiment.winner is not None:
        if status is None or not status.over:
            raise InvalidExperiment('needs status = "finished" or "archived"', field="winner")
        if experiment.winner not in {variant.value for variant in new.variants}:
            raise InvalidExperiment(f"{experiment.winner!r} is not a value of this experiment", field="winner")
    if experiment.because is not None:
        if status is None or not status.over:
            raise InvalidExperiment('needs status = "finished" or "archived"', field="because")
        check_because(experiment.because)
    return Declared(new, status, experiment.winner, experiment.because)


def _plain(number: Decimal) -> str:
    """The number in digits, unless its exponent is so large that they would fill the memory."""
    return f"{number:f}" if abs(number.adjusted()) <= MOST_DIGITS else str(number)


def _placed(table: Mapping[str, Any], place: str) -> str:
    """The place in words, such as "checkout: weight of variant 2" for experiments[1].variants[1].weight."""
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
