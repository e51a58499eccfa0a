"""How numbers, times and verdicts are said to people: the one place that another language needs."""

from abtest.language import times
from abtest.language.counts import counted, names
from abtest.language.numbers import (
    amount,
    figure,
    figure_percent,
    number,
    p_value,
    percent,
    rate,
    signed,
    signed_percent,
)
from abtest.language.times import age, ago, duration
from abtest.language.verdicts import Said, said

__all__ = [
    "Said",
    "age",
    "ago",
    "amount",
    "counted",
    "duration",
    "figure",
    "figure_percent",
    "names",
    "number",
    "p_value",
    "percent",
    "rate",
    "said",
    "signed",
    "signed_percent",
    "times",
]
