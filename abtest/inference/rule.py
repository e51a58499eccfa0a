"""The figures of the rule by which a difference is claimed.

With a planned number of devices, 0.01 of the level is spent on the confidence sequence and 0.04 on one test at that
number; without one, the sequence has all of it. Several comparisons share each part equally (C. E. Bonferroni; O. J.
Dunn, JASA 56, 1961), so that the probability of any false claim is at most 0.05 (J. W. Tukey's familywise error).
"""

LEVEL = 0.05
BEFORE_PLAN, AT_PLAN = 0.01, 0.04

FEWEST = 25
"""Devices of each variant with an event, and for a conversion without one, below which nothing is said: with fewer
the normal approximation does not hold."""
FEWEST_DAYS = 7
"""A week has all its days."""


def sequence_level(comparisons: int, planned: bool) -> float:
    """The level of one comparison's confidence sequence."""
    return (BEFORE_PLAN if planned else LEVEL) / comparisons


def plan_level(comparisons: int) -> float:
    """The level of one comparison's test at the planned number of devices."""
    return AT_PLAN / comparisons
