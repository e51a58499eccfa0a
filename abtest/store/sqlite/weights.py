"""Weights as they stand in a row: decimal texts in a JSON list."""

import json
from collections.abc import Sequence
from decimal import Decimal


def dump(weights: Sequence[Decimal]) -> str:
    """The column's text."""
    return json.dumps([str(weight) for weight in weights])


def load(text: str) -> tuple[Decimal, ...]:
    """The weights of a column's text."""
    return tuple(Decimal(weight) for weight in json.loads(text))
