"""Sufficient statistics -> estimates, intervals, verdicts. Pure: no clock, no I/O, no random state."""
