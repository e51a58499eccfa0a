"""What is said about figures of every kind, sane and odd."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.inference.moments import Moments, Stratum
from abtest.inference.results import Question, judge, looks

VALUES = ("#FF0000", "#00FF00")


def rate(n: int, converters: int, exposed: int | None = None) -> Moments:
    return Moments(n, n if exposed is None else exposed, converters, converters, converters)


def asked(*rates: tuple[int, int], **more: Any) -> str:
    """The sentence for one phase of conversions."""
    question = Question("conversion", VALUES[: len(rates)], **({"days": 14.0} | more))
    return judge(question, [tuple(rate(n, converters) for n, converters in rates)]).verdict.sentence


def test_too_few_conversions_say_how_many_devices_are_missing() -> None:
    assert asked((500, 5), (500, 8)) == "Not enough data: about 4,000 more devices"
    assert asked((500, 5), (500, 8), planned=20_000) == "Not enough data: about 19,000 more devices"
    assert asked((500, 0), (500, 8)) == "Not enough data: no event of a device in #FF0000 yet"


def test_too_few_days_say_so() -> None:
    assert asked((9_000, 500), (9_000, 700), days=2.0) == "Not enough data: 5 more days"
    assert asked((9_000, 500), (9_000, 700), days=6.5) == "Not enough data: 1 more day"


def test_a_difference_is_told_with_its_size_and_interval() -> None:
    sentence = asked((100_000, 5_000), (100_000, 6_000))
    assert sentence.startswith("#00FF00 beats #FF0000 by 20 % (")
    assert asked((100_000, 6_000), (100_000, 5_000)).startswith("#00FF00 loses to #FF0000 by 17 % (")


def test_no_difference_says_what_is_not_excluded() -> None:
    assert asked((100_000, 5_000), (100_000, 5_020)) == "No difference shown; smaller than ±6.9 % is not excluded"


def test_a_variant_that_loses_its_exposures_is_not_trusted() -> None:
    stratum = (rate(10_000, 500, 9_990), rate(10_000, 700, 9_100))
    found = judge(Question("conversion", VALUES, days=30.0), [stratum])
    assert found.verdict.code == "not_trusted"
    assert found.verdict.sentence == "Don't trust this yet: 9 % of the devices in #00FF00 never report exposure"


def test_counts_that_are_not_where_they_must_be_are_not_trusted() -> None:
    found = judge(Question("conversion", VALUES, days=30.0), [(rate(100, 50), rate(100, 50))], exact=False)
    assert found.verdict.code == "not_trusted"


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
    turned = [(rate(1_000, 200), rate(99_000, 18_810)), (rate(50_000, 500), rate(50_000, 450))]
    (comparison,) = judge(Question("conversion", VALUES, days=30.0), turned).comparisons
    assert comparison.lift is not None
    assert comparison.lift.value < 0


def test_a_phase_without_one_of_the_variants_says_nothing_about_them() -> None:
    both = (rate(10_000, 500), rate(10_000, 600))
    alone = (rate(50_000, 9_000), rate(0, 0))
    one, two = (judge(Question("conversion", VALUES, days=30.0), strata) for strata in ([both], [both, alone]))
    assert one.comparisons == two.comparisons


def test_at_the_planned_number_one_test_may_find_what_the_sequence_does_not() -> None:
    figures: list[Stratum] = [(rate(6_000, 300), rate(6_000, 360))]
    question = Question("conversion", VALUES, days=14.0, planned=12_000)
    assert judge(question, figures).verdict.code == "no_difference"
    found = judge(question, figures, at_plan=figures)
    assert found.verdict.code == "difference"
    assert found.verdict.sentence.startswith("#00FF00 beats #FF0000 by 20 % (")


@pytest.mark.parametrize(
    "stratum",
    [
        (Moments(), Moments()),
        (rate(1, 1), rate(1, 0)),
        (rate(100, 100), rate(100, 100)),
        (rate(10**12, 10**11), rate(10**12, 10**11)),
        (Moments(100, 100, 100, -(10**6), 10**10), Moments(100, 100, 100, -(10**6), 10**10 + 1)),
        (Moments(10**6, 10**6, 30, 10**18, 10**36), Moments(10**6, 10**6, 30, 1, 31)),
        (Moments(40, 0, 30, 0, 0), Moments(40, 0, 30, 0, 0)),
    ],
)
@pytest.mark.parametrize("kind", ["conversion", "amount"])
def test_odd_figures_get_sane_answers(kind: Any, stratum: Stratum) -> None:
    found = judge(Question(kind, VALUES, days=30.0), [stratum])
    assert b"NaN" not in msgspec.json.encode(found)
    assert "nan" not in found.verdict.sentence
    if found.verdict.code == "not_enough_data":
        assert all(each.lift is None and each.p is None for each in found.comparisons)


def test_refunds_make_the_comparison_absolute() -> None:
    stratum = (Moments(1_000, 0, 30, -300_000, 10**10), Moments(1_000, 0, 30, 600_000, 10**10))
    (comparison,) = judge(Question("amount", VALUES, days=30.0), [stratum]).comparisons
    assert comparison.lift is not None
    assert (comparison.lift.relative, comparison.lift.value) == (False, pytest.approx(0.09))


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
