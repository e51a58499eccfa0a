"""From sufficient statistics to estimates, comparisons and a verdict."""

from collections.abc import Sequence

from msgspec import structs

from abtest.inference import rule
from abtest.inference.answers import Difference, Lift, NoDifference, Results, VariantResult
from abtest.inference.comparison import AtPlan, compare, safe_lifts
from abtest.inference.detectable import detectable, judged_at
from abtest.inference.health import exposure
from abtest.inference.pair import pairs
from abtest.inference.question import Question
from abtest.inference.statistics import testing
from abtest.inference.statistics.capping import beyond, capped, find_cap
from abtest.inference.statistics.moments import Estimate, Stratum, comparable, estimate, summed
from abtest.inference.verdict import conclude, distrust

__all__ = ["detectable", "exposure", "judge", "judged_at", "looks"]


def judge(
    question: Question, strata: Sequence[Stratum], at_plan: AtPlan | None = None, exact: bool = True
) -> Results:
    """What the figures say. `at_plan`: the figures on the day of each variant's test. `exact`: whether every count of
    devices is within its bound."""
    at_plan = at_plan or {}
    found = exposure(strata)
    cap = find_cap(strata)
    counted = capped(strata, cap)
    known = pairs(question, counted)
    comparisons = compare(question, counted, known, at_plan)
    verdict = distrust(question, found, exact) or conclude(question, counted, known, comparisons, at_plan)
    if cap is not None and isinstance(verdict, Difference | NoDifference):
        verdict = structs.replace(verdict, cap=cap / question.scale, capped_devices=beyond(strata, cap))
    return Results(
        verdict=verdict,
        baseline=question.values[question.baseline],
        variants=tuple(_variant(question, strata, counted, place) for place in range(len(question.values))),
        comparisons=tuple(comparisons),
        omnibus_p=_omnibus(question, counted) if any(each.lift for each in comparisons) else None,
        exposure=found,
        cap=None if cap is None else cap / question.scale,
        capped_devices=0 if cap is None else beyond(strata, cap),
    )


def looks(question: Question, days: Sequence[Sequence[Stratum]]) -> list[list[Lift | None]]:
    """The safe interval of every comparison after each day, from the strata as they were at its end; None if there
    was not enough data.

    Each interval belongs to its own day. The intersection over the days would be narrower, but may be empty when an
    asymptotic sequence wanders.
    """
    found = [safe_lifts(question, strata) for strata in days]
    return [[each.get(place) for place in question.others] for each in found]


def _variant(question: Question, strata: Sequence[Stratum], counted: Sequence[Stratum], place: int) -> VariantResult:
    """`counted`: the strata with totals up to the cap."""
    sums = summed(strata, place)
    found, below = (_estimate(question, each, place) for each in (strata, counted))
    mean = low = high = None
    if found is not None:
        mean = float(found.mean)
        if question.kind == "conversion":
            low, high = testing.score(found, rule.LEVEL)
        elif found.variance:
            low, high = testing.mean_interval(found, rule.LEVEL)
    capped_mean = float(below.mean) if below is not None and counted != strata else None
    return VariantResult(question.values[place], sums.n, sums.exposed, sums.converters, mean, low, high, capped_mean)


def _estimate(question: Question, strata: Sequence[Stratum], place: int) -> Estimate | None:
    """The mean of a variant. Several phases have the weights of a comparison of all variants that still get
    devices."""
    strata = [stratum for stratum in strata if any(each.n for each in stratum)]
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
