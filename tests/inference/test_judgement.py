"""What is known from figures of every kind, sane and odd."""

from math import isfinite, sqrt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from abtest.inference.answers import Results
from abtest.inference.judgement import judge, looks
from abtest.inference.pair import Lack, Pair, pairs
from abtest.inference.question import Kind, Question
from abtest.inference.statistics import sequence
from abtest.inference.statistics.buckets import bucket
from abtest.inference.statistics.moments import Moments, Stratum
from abtest.language import verdicts

VALUES = ("#FF0000", "#00FF00")


def rate(n: int, converters: int, exposed: int | None = None) -> Moments:
    return Moments(n, n if exposed is None else exposed, converters, converters, converters)


def amount(totals: list[int]) -> Moments:
    """Of so many devices; those with a total of 0 had no event."""
    counts: dict[int, list[int]] = {}
    for total in filter(None, totals):
        held = counts.setdefault(bucket(total), [0, 0, 0])
        held[:] = held[0] + 1, held[1] + total, held[2] + total**2
    buckets = tuple((place, held[0], held[1], held[2]) for place, held in sorted(counts.items()))
    converters, whole, squares = (sum(each[column] for each in buckets) for column in (1, 2, 3))
    return Moments(len(totals), 0, converters, whole, squares, buckets)


def test_phases_are_never_pooled() -> None:
    """99:1 among people who hardly buy, then 50:50 among people who do: pooled counts reverse the truth."""
    early = (rate(99_000, 990), rate(1_000, 12))
    late = (rate(50_000, 10_000), rate(50_000, 12_000))
    pooled = [moments.converters / moments.n for moments in (rate(149_000, 10_990), rate(51_000, 12_012))]
    found = judge(Question("conversion", VALUES, days=30.0), [early, late])
    (comparison,) = found.comparisons
    assert comparison.lift is not None
    assert pooled[1] / pooled[0] - 1 > 2
    assert comparison.lift.value == pytest.approx(0.2, abs=0.01)


def test_pooling_would_reverse_what_every_phase_says() -> None:
    strata = [(rate(1_000, 200), rate(99_000, 18_810)), (rate(50_000, 500), rate(50_000, 450))]
    found = judge(Question("conversion", VALUES, days=30.0), strata)
    (comparison,) = found.comparisons
    counts = [each.converters / each.devices for each in found.variants]
    means = [each.mean for each in found.variants if each.mean is not None]
    assert counts[1] > 5 * counts[0]
    assert comparison.lift is not None
    assert comparison.lift.value == pytest.approx(means[1] / means[0] - 1)
    assert -0.11 < comparison.lift.value < -0.05


def test_a_phase_without_one_of_the_variants_says_nothing_about_them() -> None:
    both = (rate(10_000, 500), rate(10_000, 600))
    alone = (rate(50_000, 9_000), rate(0, 0))
    one, two = (judge(Question("conversion", VALUES, days=30.0), strata) for strata in ([both], [both, alone]))
    assert one.comparisons == two.comparisons


def numbers(found: object) -> list[float]:
    """Every float in it, however deep."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list | tuple):
        return [number for each in found for number in numbers(each)]
    return [found] if isinstance(found, float) else []


def assert_sane(found: Results) -> None:
    assert all(isfinite(number) for number in numbers(msgspec.to_builtins(found)))
    assert "nan" not in verdicts.said(found.verdict).sentence
    assert "inf" not in verdicts.said(found.verdict).sentence
    if verdicts.said(found.verdict).code == "not_enough_data":
        assert found.omnibus_p is None
        assert all(each.decided_by is None for each in found.comparisons)
    if verdicts.said(found.verdict).code == "difference":
        assert any(each.decided_by for each in found.comparisons)


@pytest.mark.parametrize(
    "stratum",
    [
        (Moments(), Moments()),
        (rate(1, 1), Moments()),
        (rate(1, 1), rate(1, 0)),
        (rate(100, 100), rate(100, 100)),
        (rate(1_000, 0), rate(1_000, 400)),
        (rate(10**12, 10**11), rate(10**12, 10**11)),
        (rate(10**12, 10**11), rate(10**12, 10**11 + 10**7)),
        (Moments(100, 100, 100, -(10**6), 10**10), Moments(100, 100, 100, -(10**6), 10**10 + 1)),
        (Moments(10**6, 10**6, 30, 10**18, 10**36), Moments(10**6, 10**6, 30, 1, 31)),
        (Moments(40, 0, 30, 0, 0), Moments(40, 0, 30, 0, 0)),
        (Moments(40, 0, 30, 1, 1), Moments(40, 0, 30, 10**16, 10**32)),
    ],
)
@pytest.mark.parametrize("kind", ["conversion", "amount"])
@pytest.mark.parametrize("planned", [None, 1, 10**13])
def test_odd_figures_get_sane_answers(kind: Kind, stratum: Stratum, planned: int | None) -> None:
    assert_sane(judge(Question(kind, VALUES, days=30.0, planned=planned), [stratum], {1: [stratum]}))


TOTALS = st.lists(st.integers(-(10**16), 10**16) | st.integers(-2, 2), max_size=60)


@given(st.lists(st.tuples(TOTALS, TOTALS, TOTALS), max_size=3))
def test_any_amounts_get_sane_answers(phases: list[tuple[list[int], ...]]) -> None:
    strata = [tuple(amount(totals) for totals in arms) for arms in phases]
    assert_sane(judge(Question("amount", (*VALUES, "#0000FF"), days=30.0), strata, {1: strata, 2: strata}))


def test_identical_arms_differ_by_nothing() -> None:
    found = judge(Question("conversion", VALUES, days=30.0), [(rate(10_000, 500), rate(10_000, 500))])
    (comparison,) = found.comparisons
    assert verdicts.said(found.verdict).code == "no_difference"
    assert (comparison.difference, comparison.p, comparison.chance_to_beat) == (0.0, 1.0, 0.5)


def test_a_whale_is_no_difference() -> None:
    """One device that spent as much as all others together."""
    whale = Moments(10_000, 0, 500, 10_000_000, 10**14 // 2)
    others = Moments(10_000, 0, 500, 5_000_000, 5 * 10**10)
    found = judge(Question("amount", VALUES, days=30.0), [(others, whale)])
    (comparison,) = found.comparisons
    assert verdicts.said(found.verdict).code == "no_difference"
    assert comparison.p is not None
    assert comparison.p > 0.2


def test_amounts_that_never_came_are_no_certain_zero() -> None:
    found = judge(Question("amount", VALUES, days=30.0), [(Moments(1_000), Moments(1_000))])
    assert [(each.mean, each.low, each.high) for each in found.variants] == [(0.0, None, None)] * 2


def test_a_variant_has_its_rate_before_the_others_have_devices() -> None:
    found = judge(Question("conversion", VALUES, days=30.0), [(rate(1_000, 50), Moments())]).variants
    assert found[0].mean == 0.05
    assert found[1].mean is None


def test_devices_that_are_all_alike_say_nothing() -> None:
    alike = amount([70_000] * 30)
    found = judge(Question("amount", VALUES, days=30.0), [(alike, alike)])
    assert verdicts.said(found.verdict).sentence == "Not enough data: all devices in #FF0000 and #00FF00 did the same"
    many = amount([70_000] * 300), amount([80_000] * 300)
    dearer = judge(Question("amount", VALUES, days=30.0), [many])
    assert verdicts.said(dearer.verdict).sentence.startswith("#00FF00 beats #FF0000")


def test_variants_that_were_never_drawn_together_are_not_compared() -> None:
    strata = [(rate(1_000, 50), Moments()), (Moments(), rate(1_000, 80))]
    found = judge(Question("conversion", VALUES, days=30.0), strata)
    assert (
        verdicts.said(found.verdict).sentence == "Not enough data: no phase has devices of both #FF0000 and #00FF00"
    )
    assert [each.mean for each in found.variants] == [None, None]


def test_a_pairs_sequence_is_tuned_to_its_part_of_the_plan() -> None:
    question = Question("conversion", (*VALUES, "#0000FF"), days=30.0, planned=30_000)
    comparison, _ = judge(question, [(rate(4_000, 200), rate(4_000, 200), rate(4_000, 200))]).comparisons
    assert comparison.safe is not None
    quantile = sequence.quantile(8_000, 0.0025, 20_000)
    doubt = quantile**2 * 0.95 / 0.05 / 3_999
    assert comparison.safe.high - comparison.safe.low == pytest.approx(2 * sqrt(doubt * (2 - doubt)) / (1 - doubt))


def test_later_weights_do_not_change_how_a_sequence_is_tuned() -> None:
    question = Question("conversion", VALUES, days=30.0, planned=30_000, shares=(0.9, 0.1))
    pair = pairs(question, [(rate(4_000, 200), rate(4_000, 200))])[1]
    assert isinstance(pair, Pair)
    assert pair.safe_quantile(question) == sequence.quantile(8_000, 0.005, 30_000)
    three = structs.replace(question, values=(*VALUES, "#0000FF"), shares=(0.5, 0.1, 0.4))
    assert pair.safe_quantile(three) == sequence.quantile(8_000, 0.0025, 18_000)


def test_events_of_devices_that_cannot_be_compared_are_no_event() -> None:
    strata = [(rate(1_000, 50), rate(1, 1)), (rate(1_000, 0), rate(1_000, 0))]
    found = pairs(Question("conversion", VALUES, days=30.0), strata)
    assert found == {1: Lack("event")}


def test_all_lifts_have_one_unit() -> None:
    """The third variant shares with the baseline only a phase that does not tell it from zero."""
    wide, narrow = Moments(1_000, 0, 30, 500_000, 10**11), Moments(100_000, 0, 3_000, 5 * 10**7, 10**13)
    question = Question("amount", (*VALUES, "#0000FF"), days=30.0, dropped=(2,))
    found = judge(question, [(wide, wide, wide), (narrow, narrow, Moments())]).comparisons
    lifts = [each for comparison in found for each in (comparison.lift, comparison.safe)]
    assert [each is not None and each.relative for each in lifts] == [False] * 4


def test_whether_variants_differ_at_all_is_asked_of_those_that_are_drawn() -> None:
    values = (*VALUES, "#0000FF", "#FFFFFF")
    stratum = (rate(1_000, 50), rate(1_000, 60), rate(500, 40), rate(500, 200))
    found = judge(Question("conversion", values, days=30.0, dropped=(3,)), [stratum]).omnibus_p
    table = [[50, 950], [60, 940], [40, 460]]
    assert found == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)
    several = judge(Question("conversion", values, days=30.0, dropped=(3,)), [stratum, stratum]).omnibus_p
    assert found is not None
    assert several is not None
    assert several < found


def test_whether_amounts_differ_at_all_is_welchs_analysis() -> None:
    totals = [[10_000 * (each % size) for each in range(100)] for size in (7, 8, 9)]
    found = judge(Question("amount", (*VALUES, "#0000FF"), days=30.0), [tuple(map(amount, totals))]).omnibus_p
    expected = anova_oneway([np.array(each, dtype=float) for each in totals], use_var="unequal").pvalue
    assert found == pytest.approx(expected, rel=1e-9)


def test_refunds_make_the_comparison_absolute() -> None:
    stratum = (Moments(1_000, 0, 30, -300_000, 10**10), Moments(1_000, 0, 30, 600_000, 10**10))
    (comparison,) = judge(Question("amount", VALUES, days=30.0), [stratum]).comparisons
    assert comparison.lift is not None
    assert not comparison.lift.relative
    assert comparison.lift.value == pytest.approx(0.09)


@given(
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)), min_size=1, max_size=3).map(
        lambda phases: [tuple(rate(n, converters % (n + 1)) for n, converters in ((a, b), (b, a))) for a, b in phases]
    )
)
def test_intervals_hold_their_estimate_and_swapping_turns_the_sign(strata: list[Stratum]) -> None:
    found = judge(Question("conversion", VALUES, days=30.0), strata)
    for each in found.variants:
        if each.mean is not None and each.low is not None and each.high is not None:
            assert each.low - 1e-12 <= each.mean <= each.high + 1e-12
    turned = judge(Question("conversion", VALUES[::-1], days=30.0), [stratum[::-1] for stratum in strata])
    for one, other in zip(found.comparisons, turned.comparisons, strict=True):
        if one.difference is not None and other.difference is not None:
            assert one.difference == pytest.approx(-other.difference)
            assert one.p == pytest.approx(other.p)


def test_the_safe_interval_is_wider_and_narrows_over_the_days() -> None:
    days: list[list[Stratum]] = [[(rate(1_000 * day, 50 * day), rate(1_000 * day, 60 * day))] for day in range(1, 30)]
    question = Question("conversion", VALUES, days=30.0)
    widths = [line[0].high - line[0].low for line in looks(question, days) if line[0] is not None]
    assert widths == sorted(widths, reverse=True)
    (comparison,) = judge(question, days[-1]).comparisons
    assert comparison.lift is not None
    assert comparison.lift.high - comparison.lift.low < widths[-1]


def test_looks_say_nothing_while_there_is_not_enough() -> None:
    days: list[list[Stratum]] = [[], [(rate(100, 20), rate(100, 28))], [(rate(200, 40), rate(200, 56))]]
    first, second, third = looks(Question("conversion", VALUES, days=30.0), days)
    assert first == second == [None]
    assert third[0] is not None
