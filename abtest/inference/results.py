"""From sufficient statistics to what is known: estimates, comparisons and a verdict that can't be misread."""

from collections.abc import Sequence

from abtest.inference import rule, testing
from abtest.inference.answers import Comparison, Lift, Results, VariantResult
from abtest.inference.comparison import compare, safe_lifts
from abtest.inference.health import exposure
from abtest.inference.moments import Estimate, Stratum, comparable, estimate, summed
from abtest.inference.question import Question
from abtest.inference.verdict import decide, distrust, not_enough


def judge(
    question: Question, strata: Sequence[Stratum], at_plan: Sequence[Stratum] | None = None, exact: bool = True
) -> Results:
    """What the figures say. `at_plan`: the figures when the one test first `is_due`, which alone it looks at.
    `exact`: whether every count of devices is where it must be."""
    found = exposure(strata)
    variants = tuple(_variant(question, strata, place) for place in range(len(question.values)))
    comparisons = [Comparison(question.values[place]) for place in question.others]
    omnibus_p = None
    missing = not_enough(question, strata)
    if missing is None:
        comparisons = compare(question, strata, at_plan)
        omnibus_p = _omnibus(question, strata)
    devices = sum(each.devices for each in variants)
    verdict = distrust(question, found, exact) or missing or decide(question, comparisons, devices)
    return Results(verdict, question.values[question.baseline], variants, tuple(comparisons), omnibus_p, found)


def is_due(question: Question, devices: int) -> bool:
    """Whether the one test is to be made: the planned number of devices is there, and the days are. It asks for
    nothing that depends on what the devices did."""
    return question.planned is not None and devices >= question.planned and question.days >= rule.FEWEST_DAYS


def looks(question: Question, days: Sequence[Sequence[Stratum]]) -> list[list[Lift | None]]:
    """The safe interval of every comparison after each day, from the strata as they were at its end; None where there
    was not enough.

    Each is that of its own day: the intersection over the days would be narrower, but an asymptotic sequence that
    wanders may leave it empty.
    """
    found = [safe_lifts(question, strata) for strata in days]
    return [[each.get(place) for place in question.others] for each in found]


def _variant(question: Question, strata: Sequence[Stratum], place: int) -> VariantResult:
    sums = summed(strata, place)
    found = _estimate(question, [stratum for stratum in strata if any(each.n for each in stratum)], place)
    mean = low = high = None
    if found is not None:
        mean = float(found.mean)
        if question.kind == "conversion":
            low, high = testing.score(found, rule.LEVEL)
        elif found.variance:
            low, high = testing.mean_interval(found, rule.LEVEL)
    return VariantResult(question.values[place], sums.n, sums.exposed, sums.converters, mean, low, high)


def _estimate(question: Question, strata: Sequence[Stratum], place: int) -> Estimate | None:
    """A variant by itself in one phase, over several beside those that are still drawn."""
    drawn = {each for each in range(len(question.values)) if each not in question.dropped}
    beside = [place] if len(strata) == 1 else sorted(drawn | {place})
    return estimate(comparable(strata, beside), place, beside, question.scale)


def _omnibus(question: Question, strata: Sequence[Stratum]) -> float | None:
    """Whether the variants differ at all: Pearson's and Welch's tests in one phase, Wald's over several."""
    places = [place for place in range(len(question.values)) if place not in question.dropped]
    common = comparable(strata, places)
    if len(common) == 1:
        groups = [common[0][place] for place in places]
        if question.kind == "conversion":
            return testing.chi_square([(each.converters, each.n - each.converters) for each in groups])
        return testing.welch_anova(groups)
    found = [estimate(common, place, places, question.scale) for place in places]
    return testing.wald([each for each in found if each is not None])
