"""What is kept as a JSON text in one column; equal contents are equal texts."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal


def dump_weights(weights: Sequence[Decimal]) -> str:
    """["50", "33.3", ...]: decimal texts, as they were given."""
    return json.dumps([str(weight) for weight in weights])


def load_weights(text: str) -> tuple[Decimal, ...]:
    """Raises ValueError, TypeError or ArithmeticError when the text is damaged."""
    return tuple(Decimal(weight) for weight in json.loads(text))


def dump_buckets(buckets: Mapping[int, tuple[int, int, int]]) -> str:
    """[[bucket, devices, total, squares], ...], without those that hold nothing."""
    return json.dumps([[place, *held] for place, held in sorted(buckets.items()) if any(held)], separators=(",", ":"))


def load_buckets(text: str) -> dict[int, tuple[int, int, int]]:
    """Raises ValueError or TypeError when the text is damaged."""
    return {
        int(place): (int(devices), int(total), int(squares)) for place, devices, total, squares in json.loads(text)
    }


def dump_delays(delays: Mapping[int, int]) -> str:
    """[[days, devices], ...], without those that hold nothing."""
    return json.dumps([[days, devices] for days, devices in sorted(delays.items()) if devices], separators=(",", ":"))


def load_delays(text: str) -> dict[int, int]:
    """Raises ValueError or TypeError when the text is damaged."""
    return {int(days): int(devices) for days, devices in json.loads(text)}
