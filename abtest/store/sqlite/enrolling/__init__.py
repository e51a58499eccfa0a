"""First requests: who is known, and what new devices get."""

from abtest.store.sqlite.enrolling.requests import enrol, find

__all__ = ["enrol", "find"]
