"""How numbers, times and verdicts are said to people: the one place that another language needs."""

from abtest.language import times
from abtest.language.audiences import (
    audience_said,
    condition_said,
    coverage_said,
    group_said,
    left_out,
    test_device_said,
    tested_said,
)
from abtest.language.counts import counted, names
from abtest.language.metrics import exposure_told, metric_name
from abtest.language.numbers import (
    amount,
    chance,
    difference,
    figure,
    figure_percent,
    mean,
    number,
    p_is,
    p_value,
    percent,
    places,
    rate,
    signed,
    signed_percent,
    tenths,
)
from abtest.language.times import age, ago, duration, exact_day, exact_time
from abtest.language.verdicts import Said, said

__all__ = [
    "Said",
    "age",
    "ago",
    "amount",
    "audience_said",
    "chance",
    "condition_said",
    "counted",
    "coverage_said",
    "difference",
    "duration",
    "exact_day",
    "exact_time",
    "exposure_told",
    "figure",
    "figure_percent",
    "group_said",
    "left_out",
    "mean",
    "metric_name",
    "names",
    "number",
    "p_is",
    "p_value",
    "percent",
    "places",
    "rate",
    "said",
    "signed",
    "signed_percent",
    "tenths",
    "test_device_said",
    "tested_said",
    "times",
]
