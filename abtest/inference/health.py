"""Whether the figures can be trusted: something between assignment and exposure may lose devices of one variant.

Assigned counts are not tested: they are exact by construction, and checked against their bound.
"""

from collections.abc import Sequence

from abtest.inference.answers import Exposure
from abtest.inference.moments import Stratum, summed
from abtest.inference.testing import Table, chi_square, expected

SUSPICIOUS = 0.001
FEWEST_EXPECTED = 5
"""The smallest expected count with which Pearson's statistic is near enough to a chi-square (W. G. Cochran, Annals of
Mathematical Statistics 23, 1952)."""


def exposure(strata: Sequence[Stratum]) -> Exposure:
    """Pearson's test of exposed against assigned, at a level that a sound experiment hardly ever meets.

    Phases are strata: an app may have learnt to report in the middle of an experiment, when shares changed as well.
    """
    counts = [summed(strata, variant) for variant in range(len(strata[0]))] if strata else []
    missing = tuple(each.n - each.exposed for each in counts)
    tables = [_tested([(each.exposed, each.n - each.exposed) for each in stratum]) for stratum in strata]
    p = chi_square(*tables)
    if p is None or p >= SUSPICIOUS:
        return Exposure(missing, p)
    worst = max((place for place, each in enumerate(counts) if each.n), key=lambda place: _excess(tables, place))
    others = [each for place, each in enumerate(counts) if place != worst]
    others_part = sum(each.n - each.exposed for each in others) / sum(each.n for each in others)
    return Exposure(missing, p, worst, missing[worst] / counts[worst].n, others_part)


def _tested(table: Table) -> Table:
    """The table without the variants that have too few devices for the test."""
    if not any(map(sum, table)):
        return table
    return [
        row if min(wants) >= FEWEST_EXPECTED else (0, 0) for row, wants in zip(table, expected(table), strict=True)
    ]


def _excess(tables: Sequence[Table], place: int) -> float:
    """How many more devices than in all variants are missing, as a part of the variant's."""
    told = [table for table in tables if sum(table[place])]
    devices = sum(sum(table[place]) for table in told)
    more = sum(table[place][1] - expected(table)[place][1] for table in told)
    return more / devices if devices else 0.0
