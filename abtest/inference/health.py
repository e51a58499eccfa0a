"""Whether the figures can be trusted: something between assignment and exposure may lose devices of one variant.

Assigned counts are not tested: they are exact by construction, and checked against their bound.
"""

from collections.abc import Sequence

from msgspec import Struct

from abtest.inference.moments import Stratum, summed
from abtest.inference.testing import chi_square

SUSPICIOUS = 0.001


class Exposure(Struct, frozen=True):
    """Per variant the devices that never reported exposure; `p` of one ratio in all variants, None without reports.

    `worst`: the variant with the most of them, when the ratios differ more than chance explains.
    """

    missing: tuple[int, ...]
    p: float | None
    worst: int | None


def exposure(strata: Sequence[Stratum]) -> Exposure:
    """Pearson's test of exposed against assigned, at a level that a sound experiment hardly ever meets."""
    counts = [summed(strata, variant) for variant in range(len(strata[0]))]
    missing = tuple(each.n - each.exposed for each in counts)
    if not any(each.exposed for each in counts):
        return Exposure(missing, None, None)
    p = chi_square([(each.exposed, each.n - each.exposed) for each in counts])
    if p is None or p >= SUSPICIOUS:
        return Exposure(missing, p, None)
    return Exposure(missing, p, max(range(len(counts)), key=lambda each: missing[each] / max(counts[each].n, 1)))
