"""Answers to apps: batches, limits, and why a device has what it has."""

from abtest.enrolment.answers import Answer, EnrolmentService, Limits
from abtest.enrolment.batching import Batches
from abtest.enrolment.explanation import Explanation, ExplanationService, in_force
from abtest.enrolment.limiting import Proxies, Rate

__all__ = [
    "Answer",
    "Batches",
    "EnrolmentService",
    "Explanation",
    "ExplanationService",
    "Limits",
    "Proxies",
    "Rate",
    "in_force",
]
