"""Whether the figures can be trusted: something between assignment and exposure may lose devices of one variant.

Assigned counts are not tested: they are exact by construction, and checked against their bound.
"""

from collections.abc import Sequence

from msgspec import Struct

from abtest.inference.answers import Exposure, Lift
from abtest.inference.pair import enough, pairs
from abtest.inference.question import Question
from abtest.inference.statistics import sequence
from abtest.inference.statistics.lift import has_ratio, lift
from abtest.inference.statistics.moments import Moments, Stratum, added, summed

LEVEL = 0.001
"""The probability of distrusting a sound experiment, over all variants and all looks."""
MATTERS = 0.02
"""A smaller relative difference between the exposed parts does not matter: it changes no verdict."""


def exposure(strata: Sequence[Stratum]) -> Exposure:
    """Compare the exposed part of each variant's devices with that of all others: by a confidence sequence, since
    people look all the time.

    Phases are strata: an app may have learnt to report in the middle of an experiment, when shares changed as well.
    """
    counts = [summed(strata, variant) for variant in range(len(strata[0]))] if strata else []
    missing = tuple(each.n - each.exposed for each in counts)
    present = [place for place, each in enumerate(counts) if each.n]
    found = {place: each for place in present if (each := _beside_others(strata, place, len(present)))}
    differing = [place for place, each in found.items() if each.lift.shown and each.lift.nearest > MATTERS]
    if not differing:
        alike = 1 < len(found) == len(present) and all(
            max(-each.lift.low, each.lift.high) <= MATTERS for each in found.values()
        )
        return Exposure(missing, alike=alike)
    farthest = max(differing, key=lambda place: found[place].lift.nearest)
    beside = found[farthest]
    if len(present) == 2 and beside.lift.value > 0:
        # Two differ from each other: the one that loses devices is named.
        (loser,) = set(present) - {farthest}
        return Exposure(missing, loser, beside.others_part, beside.part)
    return Exposure(missing, farthest, beside.part, beside.others_part)


class _Beside(Struct, frozen=True):
    """The exposed part of a variant's devices, the exposed part of all others, and the lift between them, with phases
    as strata."""

    lift: Lift
    part: float
    others_part: float


def _beside_others(strata: Sequence[Stratum], place: int, tests: int) -> _Beside | None:
    """A variant compared with all others; None if there are too few devices."""
    question = Question("conversion", values=("others", "variant"))
    both = [
        (_exposed(stratum[:place] + stratum[place + 1 :]), _exposed(stratum[place : place + 1])) for stratum in strata
    ]
    found = enough(pairs(question, both))
    if not found:
        return None
    (pair,) = found
    quantile = sequence.quantile(pair.mine.n + pair.base.n, LEVEL / tests, None)
    if not has_ratio(pair.base, quantile):
        return None
    over = lift(pair.mine, pair.base, quantile, True, pair.floor)
    return _Beside(over, float(pair.mine.mean), float(pair.base.mean))


def _exposed(parts: Sequence[Moments]) -> Moments:
    """Exposure as a conversion, of all these variants together."""
    counts = added(parts)
    return Moments(counts.n, counts.exposed, counts.exposed, counts.exposed, counts.exposed)
