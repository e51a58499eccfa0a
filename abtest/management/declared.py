"""The TOML file that describes experiments."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from abtest.domain import (
    KEY,
    TYPE_RULE,
    Metric,
    NewExperiment,
    Type,
    Variant,
    finding,
    parse_coverage,
    parse_metrics,
    parse_weight,
)
from abtest.errors import InvalidExperiment

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
