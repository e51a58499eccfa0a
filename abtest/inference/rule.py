"""The levels and thresholds of the rule by which a difference is claimed.

The level of 0.05 is spent in parts. Without a planned number of devices the confidence sequence has all of it; with
one, 0.01 of it, and the test at that number 0.04. For a conversion, the exact test of a loss takes 0.005 of the
sequence's part. Several comparisons share each part equally (C. E. Bonferroni; O. J. Dunn, JASA 56, 1961), so that
the probability of any false claim is at most 0.05 (J. W. Tukey's familywise error).
"""

LEVEL = 0.05
BEFORE_PLAN, AT_PLAN = 0.01, 0.04
EXACT = 0.005

FEWEST = 25
"""A variant is compared once it and the baseline can each be expected to have so many devices with an event, and for
a conversion as many without one, if both convert alike. With fewer the normal approximation does not hold. How many
they really have does not matter: a variant with a broken button has none."""
FEWEST_DAYS = 7
"""A gain needs events on so many days: people behave differently on a Sunday."""


def sequence_level(comparisons: int, planned: bool, exact: bool) -> float:
    """The level of one comparison's confidence sequence. `exact`: whether there is an exact test beside it."""
    whole = BEFORE_PLAN if planned else LEVEL
    return (whole - EXACT if exact else whole) / comparisons


def plan_level(comparisons: int) -> float:
    """The level of one comparison's test at the planned number of devices."""
    return AT_PLAN / comparisons


def exact_level(comparisons: int) -> float:
    """The level of one comparison's exact test of a loss."""
    return EXACT / comparisons
