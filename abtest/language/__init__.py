"""How numbers, times and verdicts are said to people: the one place that another language needs."""

from abtest.language import times, warnings
from abtest.language.audiences import (
    audience_said,
    condition_said,
    coverage_said,
    elsewhere_said,
    group_said,
    left_out,
    test_device_said,
    tested_said,
    who_takes_part,
)
from abtest.language.counts import counted, names
from abtest.language.decisions import decided_said, decision_said
from abtest.language.journal import Changed, by_said, changes_said, entry_said
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
    size,
    tenths,
)
from abtest.language.schedules import full_said, late_end, late_start, next_said, schedule_said, times_said
from abtest.language.spreadsheets import harmless
from abtest.language.times import age, ago, duration, exact_day, exact_time
from abtest.language.verdicts import Said, said

__all__ = [
    "Changed",
    "Said",
    "age",
    "ago",
    "amount",
    "audience_said",
    "by_said",
    "chance",
    "changes_said",
    "condition_said",
    "counted",
    "coverage_said",
    "decided_said",
    "decision_said",
    "difference",
    "duration",
    "elsewhere_said",
    "entry_said",
    "exact_day",
    "exact_time",
    "exposure_told",
    "figure",
    "figure_percent",
    "full_said",
    "group_said",
    "harmless",
    "late_end",
    "late_start",
    "left_out",
    "mean",
    "metric_name",
    "names",
    "next_said",
    "number",
    "p_is",
    "p_value",
    "percent",
    "places",
    "rate",
    "said",
    "schedule_said",
    "signed",
    "signed_percent",
    "size",
    "tenths",
    "test_device_said",
    "tested_said",
    "times",
    "times_said",
    "warnings",
    "who_takes_part",
]
