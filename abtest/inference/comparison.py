"""Compares variants with the baseline."""

from collections.abc import Mapping, Sequence

from abtest.inference import rule
from abtest.inference.answers import Comparison, Decision, Lift
from abtest.inference.pair import Lack, Pair, enough, paired, pairs
from abtest.inference.question import Question
from abtest.inference.statistics import testing
from abtest.inference.statistics.capping import capped, find_cap
from abtest.inference.statistics.lift import chance_to_beat, difference_interval, expected_loss, has_ratio, lift
from abtest.inference.statistics.moments import Stratum
from abtest.inference.statistics.split import largest_ratio

AtPlan = Mapping[int, Sequence[Stratum]]
"""By the place of each variant that was tested, the strata as they were then."""


def compare(
    question: Question,
    strata: Sequence[Stratum],
    known: Mapping[int, Pair | Lack],
    at_plan: AtPlan,
) -> list[Comparison]:
    """A comparison for every variant but the baseline, without figures if there is not enough data. `strata`: with
    totals up to the cap. `known`: their pairs."""
    found = {each.place: each for each in enough(known)}
    p_values = {place: _p_value(each) for place, each in found.items()}
    adjusted = testing.holm([p_values.get(place, 1.0) for place in question.others])
    safe = sequence_lifts(question, list(found.values()))
    planned = plan_lifts(question, at_plan)
    compared = []
    for place, adjusted_p in zip(question.others, adjusted, strict=True):
        loss, at_plan_lift = exact_loss(question, strata, place), planned.get(place)
        decision = decide(question, safe.get(place), at_plan_lift, loss)
        if place in found:
            parts = found[place], p_values[place], adjusted_p, safe[place]
            compared.append(_comparison(question, *parts, at_plan_lift, loss, decision))
        else:
            compared.append(Comparison(question.values[place], at_plan=at_plan_lift, loss=loss, decided_by=decision))
    return compared


def decide(question: Question, safe: Lift | None, at_plan: Lift | None, loss: float | None) -> Decision | None:
    """Which interval shows a difference, if one does. A gain that the sequence shows counts after a week, a loss at
    once; the test is not made before a week has passed."""
    early = question.days < rule.FEWEST_DAYS
    if safe and safe.shown and not (early and question.better(safe.value)):
        return "safe"
    if at_plan and at_plan.shown:
        return "at_plan"
    return None if loss is None else "exact"


def safe_lifts(question: Question, strata: Sequence[Stratum]) -> dict[int, Lift]:
    """The confidence sequence's interval of every variant that can be compared, all relative or all absolute."""
    counted = capped(strata, find_cap(strata))
    return sequence_lifts(question, enough(pairs(question, counted)))


def plan_lifts(question: Question, at_plan: AtPlan) -> dict[int, Lift]:
    """The interval of each variant's test, at its part of the level, if there was enough data for it."""
    found = enough(
        {place: paired(question, capped(strata, find_cap(strata)), place) for place, strata in at_plan.items()}
    )
    level = rule.plan_level(len(question.others))
    return _lifts(found, [each.quantile(level) for each in found])


def exact_loss(question: Question, strata: Sequence[Stratum], place: int) -> float | None:
    """The smallest loss that the exact test does not exclude; None if it shows no loss, or there is no such test."""
    if not question.exact:
        return None
    level = rule.exact_level(len(question.others))
    if question.less:
        ratio = largest_ratio(strata, question.baseline, place, level)
        return None if ratio is None else 1 / ratio - 1
    ratio = largest_ratio(strata, place, question.baseline, level)
    return None if ratio is None else ratio - 1


def sequence_lifts(question: Question, found: Sequence[Pair]) -> dict[int, Lift]:
    """The confidence sequence's interval of these pairs, all relative or all absolute."""
    quantiles = [each.safe_quantile(question) for each in found]
    return _lifts(found, quantiles, [each.quantile(rule.LEVEL) for each in found])


def _lifts(
    found: Sequence[Pair], quantiles: Sequence[float], beside: Sequence[float] | None = None
) -> dict[int, Lift]:
    """The lifts of these pairs: relative if all baselines allow it, otherwise all absolute. `beside`: further
    quantiles with which the baselines must allow it."""
    relative = all(
        has_ratio(each.base, max(both)) for each, *both in zip(found, quantiles, beside or quantiles, strict=True)
    )
    return {
        each.place: lift(each.mine, each.base, quantile, relative, each.floor)
        for each, quantile in zip(found, quantiles, strict=True)
    }


def _p_value(pair: Pair) -> float:
    """Welch's p-value; 1 if nothing varies."""
    found = testing.welch(pair.mine, pair.base)
    return 1.0 if found is None else found


def _comparison(
    question: Question,
    pair: Pair,
    p: float,
    adjusted_p: float,
    safe: Lift,
    at_plan: Lift | None,
    loss: float | None,
    decision: Decision | None,
) -> Comparison:
    mine, base = pair.mine, pair.base
    quantile = pair.quantile(rule.LEVEL)
    if question.kind == "conversion":
        low, high = testing.newcombe(
            float(mine.mean),
            testing.score(pair.own_mine, rule.LEVEL),
            float(base.mean),
            testing.score(pair.own_base, rule.LEVEL),
        )
    else:
        low, high = difference_interval(mine, base, quantile)
    return Comparison(
        value=question.values[pair.place],
        lift=lift(mine, base, quantile, safe.relative, pair.floor),
        safe=safe,
        at_plan=at_plan,
        loss=loss,
        decided_by=decision,
        difference=float(mine.mean - base.mean),
        difference_low=low,
        difference_high=high,
        p=p,
        adjusted_p=adjusted_p,
        chance_to_beat=chance_to_beat(mine, base, question.less),
        expected_loss=expected_loss(mine, base, question.less),
    )
