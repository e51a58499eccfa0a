"""A variant and the baseline over the phases that have both, and whether there is enough data to compare them."""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from abtest.inference import gate, rule
from abtest.inference.question import Question
from abtest.inference.statistics import sequence, testing
from abtest.inference.statistics.moments import Estimate, Stratum, comparable, estimate


class Pair(Struct, frozen=True):
    """The estimates of a variant and of the baseline, with the larger of two errors of their difference.

    Welch's error uses each variant's own variance; the other uses the variance of both together. If the variants do
    not differ, both errors are right, but a small variant that has hardly any event, or none of the devices that
    spend most, underestimates its own variance. If they do differ, Welch's error is the right one. `own_mine` and
    `own_base` always have their own variance. `floor`: the smallest possible lift.
    """

    place: int
    mine: Estimate
    base: Estimate
    own_mine: Estimate
    own_base: Estimate
    floor: float | None

    def quantile(self, level: float) -> float:
        """Student's quantile for one look, two-sided, with Welch's degrees of freedom."""
        return testing.t_quantile(testing.freedom(self.mine, self.base), 1 - level / 2)

    def safe_quantile(self, question: Question) -> float:
        """The confidence sequence's quantile for any number of looks. It is tuned to the number of devices that the
        plan and the first phase give these two. That never changes: with a tuning that moves, it would not be one
        sequence."""
        planned = question.planned_for(self.place)
        level = rule.sequence_level(len(question.others), planned is not None, question.exact)
        return sequence.quantile(self.mine.n + self.base.n, level, planned)


class Lack(Struct, frozen=True):
    """Why two variants can't be compared: no event in either, no phase with both, nothing that varies, or too few
    devices, of which `growth` times as many are needed."""

    what: Literal["event", "phase", "variance", "devices"]
    growth: float = 0.0


def pairs(question: Question, strata: Sequence[Stratum]) -> dict[int, Pair | Lack]:
    """Each variant beside the baseline, or what is missing to compare them."""
    return {place: paired(question, strata, place) for place in question.others}


def enough(found: Mapping[int, Pair | Lack]) -> list[Pair]:
    """Those that can be compared."""
    return [each for each in found.values() if isinstance(each, Pair)]


def paired(question: Question, strata: Sequence[Stratum], place: int) -> Pair | Lack:
    """A variant beside the baseline, or what is missing to compare the two."""
    both = (place, question.baseline)
    common = comparable(strata, both)
    if not any(stratum[each].converters for stratum in common or strata for each in both):
        return Lack("event")
    if not common:
        return Lack("phase")
    events = gate.rarest(
        question.kind, [[(stratum[each].n, stratum[each].converters) for each in both] for stratum in common]
    )
    found = _pair(question, common, place) if events else None
    if found is None:
        return Lack("variance")
    return Lack("devices", rule.FEWEST / events) if events < rule.FEWEST else found


def _pair(question: Question, strata: Sequence[Stratum], place: int) -> Pair | None:
    """The pair, however few events it has; None where nothing varies."""
    both = (place, question.baseline)
    own = [estimate(strata, each, both, question.scale) for each in both]
    together = [estimate(strata, each, both, question.scale, pooled=True) for each in both]
    if own[0] is None or own[1] is None or together[0] is None or together[1] is None:
        return None
    spread, pooled = own[0].variance + own[1].variance, together[0].variance + together[1].variance
    if not pooled:
        return None
    mine, base = (together[0], together[1]) if pooled > spread else (own[0], own[1])
    return Pair(place, mine, base, own[0], own[1], _floor(question, strata, both))


def _floor(question: Question, strata: Sequence[Stratum], both: tuple[int, int]) -> float | None:
    """-1 if no total is negative: nothing can fall by more than 100%."""
    below = (bucket[0] < 0 for stratum in strata for place in both for bucket in stratum[place].buckets)
    return -1.0 if question.kind == "conversion" or not any(below) else None
