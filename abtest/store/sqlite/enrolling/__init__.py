"""First requests: which devices are known, and what new ones get."""

from abtest.store.sqlite.enrolling.requests import enrol, find

__all__ = ["enrol", "find"]
