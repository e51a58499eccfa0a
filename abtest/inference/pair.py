"""Two variants over the phases that have both, and whether there is enough to compare them."""

from collections.abc import Sequence
from math import ceil

from msgspec import Struct

from abtest.inference import rule, sequence, testing
from abtest.inference.moments import Estimate, Stratum, comparable, estimate, summed
from abtest.inference.question import Question


class Pair(Struct, frozen=True):
    """The estimates of a variant and of the baseline."""

    place: int
    mine: Estimate
    base: Estimate

    def quantile(self, level: float) -> float:
        """Welch's for one look, two-sided."""
        return testing.t_quantile(testing.freedom(self.mine, self.base), 1 - level / 2)

    def safe_quantile(self, question: Question, devices: int) -> float:
        """The confidence sequence's for any number of looks, when all variants have so many devices."""
        n = self.mine.n + self.base.n
        planned = None if question.planned is None else ceil(question.planned * n / devices)
        return sequence.quantile(n, rule.sequence_level(len(question.others), planned is not None), planned)


class Lack(Struct, frozen=True):
    """What two variants lack: a `reason` in words, or else that `growth` times the devices are needed."""

    reason: str | None = None
    growth: float = 0.0


def pairs(question: Question, strata: Sequence[Stratum]) -> list[Pair]:
    """The comparisons for which there is enough."""
    found = (_pair(question, strata, place) for place in question.others if lack(question, strata, place) is None)
    return [each for each in found if each]


def lack(question: Question, strata: Sequence[Stratum], place: int) -> Lack | None:
    """What is missing to compare a variant with the baseline; None when nothing is."""
    both = (place, question.baseline)
    common = comparable(strata, both)
    for each in both:
        if not summed(strata, each).converters:
            return Lack(f"no event of a device in {question.values[each]} yet")
    if not common:
        return Lack(f"no phase has devices of both {question.values[place]} and {question.values[question.baseline]}")
    rarest = min(_rarest(question, common, each) for each in both)
    if not rarest or not _pair(question, strata, place):
        return Lack("the devices of a variant do not differ from one another")
    return Lack(growth=rule.FEWEST / rarest) if rarest < rule.FEWEST else None


def _rarest(question: Question, strata: Sequence[Stratum], place: int) -> int:
    """How many devices have an event, or for a conversion have none, whichever is less."""
    sums = summed(strata, place)
    return min(sums.converters, sums.n - sums.converters) if question.kind == "conversion" else sums.converters


def _pair(question: Question, strata: Sequence[Stratum], place: int) -> Pair | None:
    """A variant and the baseline, None where nothing varies."""
    both = (place, question.baseline)
    common = comparable(strata, both)
    mine, base = (estimate(common, each, both, question.scale) for each in both)
    return Pair(place, mine, base) if mine and base and mine.variance and base.variance else None
