"""A variant beside the baseline."""

from collections.abc import Sequence

from abtest.inference import rule, testing
from abtest.inference.answers import Comparison, Lift
from abtest.inference.lift import chance_to_beat, difference_interval, expected_loss, has_ratio, lift
from abtest.inference.moments import Stratum
from abtest.inference.pair import Pair, pairs
from abtest.inference.question import Question


def compare(
    question: Question, strata: Sequence[Stratum], at_plan: Sequence[Stratum] | None = None
) -> list[Comparison]:
    """A comparison for every variant but the baseline, without figures where there are not enough."""
    found = {each.place: each for each in pairs(question, strata)}
    p_values = {place: _p_value(each) for place, each in found.items()}
    adjusted = testing.holm([p_values.get(place, 1.0) for place in question.others])
    safe = safe_lifts(question, strata)
    planned = plan_lifts(question, at_plan or [])
    return [
        _comparison(question, found[place], p_values[place], adjusted_p, safe[place], planned.get(place))
        if place in found
        else Comparison(question.values[place])
        for place, adjusted_p in zip(question.others, adjusted, strict=True)
    ]


def safe_lifts(question: Question, strata: Sequence[Stratum]) -> dict[int, Lift]:
    """The confidence sequence's interval of every variant that has enough, all relative or all absolute."""
    found = pairs(question, strata)
    devices = sum(each.n for stratum in strata for each in stratum)
    quantiles = [each.safe_quantile(question, devices) for each in found]
    relative = all(
        has_ratio(each.base, max(quantile, each.quantile(rule.LEVEL)))
        for each, quantile in zip(found, quantiles, strict=True)
    )
    return {
        each.place: lift(each.mine, each.base, quantile, relative)
        for each, quantile in zip(found, quantiles, strict=True)
    }


def _p_value(pair: Pair) -> float:
    """What does not vary tells nothing."""
    found = testing.welch(pair.mine, pair.base)
    return 1.0 if found is None else found


def plan_lifts(question: Question, strata: Sequence[Stratum]) -> dict[int, Lift]:
    """The interval of the one test, at its part of the level, of every variant that has enough."""
    found = pairs(question, strata)
    level = rule.plan_level(len(question.others))
    relative = all(has_ratio(each.base, each.quantile(level)) for each in found)
    return {each.place: lift(each.mine, each.base, each.quantile(level), relative) for each in found}


def _comparison(
    question: Question, pair: Pair, p: float, adjusted_p: float, safe: Lift, at_plan: Lift | None
) -> Comparison:
    mine, base = pair.mine, pair.base
    quantile = pair.quantile(rule.LEVEL)
    if question.kind == "conversion":
        low, high = testing.newcombe(
            float(mine.mean),
            testing.score(mine, rule.LEVEL),
            float(base.mean),
            testing.score(base, rule.LEVEL),
        )
    else:
        low, high = difference_interval(mine, base, quantile)
    return Comparison(
        value=question.values[pair.place],
        lift=lift(mine, base, quantile, safe.relative),
        safe=safe,
        at_plan=at_plan,
        difference=float(mine.mean - base.mean),
        difference_low=low,
        difference_high=high,
        p=p,
        adjusted_p=adjusted_p,
        chance_to_beat=chance_to_beat(mine, base),
        expected_loss=expected_loss(mine, base),
    )
