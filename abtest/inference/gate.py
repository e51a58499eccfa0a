"""How much the devices of two variants tell about their difference, and whether that is enough to compare them.

A test at an amount of information that is fixed beforehand holds its level however the shares were changed on the way
(K. K. G. Lan and D. M. Zucker, Statistics in Medicine 12, 1993). A test at a fixed number of devices doesn't: whoever
drops a variant when it looks bad would test it at its worst.
"""

from collections.abc import Collection, Iterable, Sequence

from abtest.inference.question import Kind, Question

NEARLY = 0.95
"""The part of the planned information that is enough to test a variant: a block of an allocation may be half full."""

Both = Sequence[Sequence[int]]
"""(devices, devices with an event) of a variant and of the baseline, in one phase."""


def information(both: Iterable[Sequence[float]]) -> float:
    """n1 * n2 / (n1 + n2), added over the phases. `both`: the devices of the two in each."""
    return sum(one * other / (one + other) for one, other in both if one and other)


def is_informed(question: Question, phases: Iterable[Both], place: int) -> bool:
    """Whether a variant and the baseline have the information that the planned devices give them in the shares of the
    first phase."""
    planned = [(question.planned or 0) * question.share(each) for each in (place, question.baseline)]
    known = information([(mine[0], base[0]) for mine, base in phases])
    return 0 < NEARLY * information([planned]) <= known


def rarest(kind: Kind, phases: Collection[Both]) -> float:
    """How many devices with an event, and for a conversion without one, each of the two can be expected to have if
    both convert alike: the smallest of these numbers."""
    found = []
    for place in (0, 1):
        with_event = without = 0.0
        for both in phases:
            devices, converters = (sum(each[column] for each in both) for column in (0, 1))
            if devices:
                with_event += both[place][0] * converters / devices
                without += both[place][0] * (devices - converters) / devices
        found += [with_event, without] if kind == "conversion" else [with_event]
    return min(found)
