"""From figures to what is known. Pure. What is imported here needs only the standard library; `judgement`, a door of
its own, loads scipy."""

from abtest.inference import planning, rule
from abtest.inference.answers import (
    Comparison,
    Difference,
    Exposure,
    Lift,
    NoDifference,
    NotEnough,
    NotTrusted,
    Told,
    VariantResult,
    Verdict,
)
from abtest.inference.due import Arrivals, Came, Timing, comparable_from, reached, timing
from abtest.inference.question import Due, Question
from abtest.inference.statistics.buckets import bucket
from abtest.inference.statistics.moments import AMOUNT_UNITS, Moments, Stratum

__all__ = [
    "AMOUNT_UNITS",
    "Arrivals",
    "Came",
    "Comparison",
    "Difference",
    "Due",
    "Exposure",
    "Lift",
    "Moments",
    "NoDifference",
    "NotEnough",
    "NotTrusted",
    "Question",
    "Stratum",
    "Timing",
    "Told",
    "VariantResult",
    "Verdict",
    "bucket",
    "comparable_from",
    "planning",
    "reached",
    "rule",
    "timing",
]
