"""Columns that contain JSON texts. Equal contents give equal texts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from abtest.domain import Audience, parse_condition


def dump_weights(weights: Sequence[Decimal]) -> str:
    """["50", "33.3", ...]: decimal texts, as they were given."""
    return json.dumps([str(weight) for weight in weights])


def load_weights(text: str) -> tuple[Decimal, ...]:
    """Raises ValueError, TypeError or ArithmeticError when the text is damaged."""
    return tuple(Decimal(weight) for weight in json.loads(text))


def dump_audience(audience: Audience) -> str:
    """["platform=ios,android", ...]: the conditions as they are written."""
    return json.dumps([str(condition) for condition in audience], ensure_ascii=False)


def load_audience(text: str) -> Audience:
    """Raises ValueError, TypeError or InvalidExperiment when the text is damaged."""
    return tuple(parse_condition(condition) for condition in json.loads(text))


def dump_buckets(buckets: Mapping[int, tuple[int, int, int]]) -> str:
    """[[bucket, devices, total, squares], ...], without empty buckets."""
    return json.dumps([[place, *held] for place, held in sorted(buckets.items()) if any(held)], separators=(",", ":"))


def load_buckets(text: str) -> dict[int, tuple[int, int, int]]:
    """Raises ValueError or TypeError when the text is damaged."""
    return {place: (devices, total, squares) for place, (devices, total, squares) in _rows(text)}


def dump_delays(delays: Mapping[int, int]) -> str:
    """[[days, devices], ...], without days that have no devices."""
    return json.dumps([[days, devices] for days, devices in sorted(delays.items()) if devices], separators=(",", ":"))


def load_delays(text: str) -> dict[int, int]:
    """Raises ValueError or TypeError when the text is damaged."""
    return {days: devices for days, (devices,) in _rows(text)}


def _rows(text: str) -> Iterator[tuple[int, list[int]]]:
    """The first number of each row, and its other numbers. The first numbers ascend."""
    last = None
    for row in json.loads(text):
        if not all(type(number) is int for number in row) or (last is not None and row[0] <= last):
            raise ValueError("rows must be whole numbers, and the first of each must ascend")
        last, *others = row
        yield last, others
