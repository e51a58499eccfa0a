"""The figures: folding new devices and events into them, and reading them."""

from abtest.store.relational.summarising.audiences import Decided
from abtest.store.relational.summarising.folding import fold
from abtest.store.relational.summarising.measuring import (
    add,
    add_exposures,
    conclude,
    folded_events,
    folded_exposures,
    measured,
    metrics,
    sums,
)
from abtest.store.relational.summarising.reading import enrolled_per_hour, result, results, summary

__all__ = [
    "Decided",
    "add",
    "add_exposures",
    "conclude",
    "enrolled_per_hour",
    "fold",
    "folded_events",
    "folded_exposures",
    "measured",
    "metrics",
    "result",
    "results",
    "summary",
    "sums",
]
