"""Results as files for an analyst's own tools."""

from collections.abc import Iterator

from abtest.inference import Comparison, Lift
from abtest.language import csv_lines, harmless
from abtest.results.conclusions import ExperimentResults

COLUMNS = (
    "experiment",
    "metric",
    "role",
    "variant",
    "baseline",
    "devices",
    "exposed",
    "converters",
    "mean",
    "mean_low",
    "mean_high",
    "cap",
    "capped_mean",
    "less_is_better",
    "difference",
    "difference_low",
    "difference_high",
    "lift",
    "lift_low",
    "lift_high",
    "lift_is_relative",
    "safe_low",
    "safe_high",
    "at_plan_lift",
    "at_plan_low",
    "at_plan_high",
    "at_plan_is_relative",
    "loss",
    "decided_by",
    "p",
    "adjusted_p",
)


def table(results: ExperimentResults) -> str:
    """The results as CSV, a row for each variant of each metric."""
    return csv_lines([COLUMNS, *_rows(results)])


def _rows(results: ExperimentResults) -> Iterator[tuple[object, ...]]:
    for metric in results.metrics:
        compared = {each.value: each for each in metric.comparisons}
        for variant in metric.variants:
            yield (
                results.key,
                metric.metric,
                metric.role,
                harmless(variant.value),
                harmless(results.baseline),
                *(variant.devices, variant.exposed, variant.converters, variant.mean, variant.low, variant.high),
                *(metric.cap, variant.capped_mean, str(metric.less).lower()),
                *_compared(compared.get(variant.value)),
            )


def _compared(found: Comparison | None) -> tuple[object, ...]:
    if found is None:
        return ("",) * 17
    decisive = found.loss, found.decided_by or ""
    if found.lift is None or found.safe is None:
        return (*("",) * 9, *_lift(found.at_plan), *decisive, "", "")
    return (
        *(found.difference, found.difference_low, found.difference_high),
        *_lift(found.lift),
        *(found.safe.low, found.safe.high),
        *_lift(found.at_plan),
        *decisive,
        *(found.p, found.adjusted_p),
    )


def _lift(found: Lift | None) -> tuple[object, ...]:
    return ("",) * 4 if found is None else (found.value, found.low, found.high, str(found.relative).lower())
