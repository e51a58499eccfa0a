"""How many of what, and who."""

from collections.abc import Sequence

from abtest.language.numbers import number

MOST_NAMED = 4


def counted(count: int, noun: str) -> str:
    """1 device, 2 devices."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def names(values: Sequence[str], noun: str = "variant") -> str:
    """a, b and c; only how many when they are more than four."""
    if len(values) > MOST_NAMED:
        return counted(len(values), noun)
    *most, last = values
    return f"{', '.join(most)} and {last}" if most else last
