"""How many devices are where, in one column: a JSON list of lists, so that equal contents are equal texts."""

import json
from collections.abc import Mapping


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
