"""Answers to apps: batches, limits, and why a device has what it has."""

from abtest.enrolment.answers import Answer, EnrolmentService, Limits
from abtest.enrolment.batching import Batches
from abtest.enrolment.explanation import ChosenByHand, Explanation, ExplanationService, Reason
from abtest.enrolment.limiting import Limiter, Proxies, Rate
from abtest.enrolment.taking import Taking, in_force, taking

__all__ = [
    "Answer",
    "Batches",
    "ChosenByHand",
    "EnrolmentService",
    "Explanation",
    "ExplanationService",
    "Limiter",
    "Limits",
    "Proxies",
    "Rate",
    "Reason",
    "Taking",
    "in_force",
    "taking",
]
