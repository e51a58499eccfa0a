"""The sentence, for figures of every kind."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.inference.answers import Results
from abtest.inference.moments import Moments, Stratum
from abtest.inference.question import Question
from abtest.inference.results import judge
from abtest.inference.wording import about, figure

VALUES = ("#FF0000", "#00FF00", "#0000FF")


def rate(n: int, converters: int, exposed: int | None = None) -> Moments:
    return Moments(n, n if exposed is None else exposed, converters, converters, converters)


def judged(*rates: tuple[int, int], at_plan: list[Stratum] | None = None, **more: Any) -> Results:
    question = Question("conversion", VALUES[: len(rates)], **({"days": 14.0} | more))
    return judge(question, [tuple(rate(n, converters) for n, converters in rates)], at_plan)


def said(*rates: tuple[int, int], **more: Any) -> str:
    """The sentence for one phase of conversions."""
    return judged(*rates, **more).verdict.sentence


def test_too_few_conversions_say_how_many_devices_are_missing() -> None:
    assert said((500, 5), (500, 8)) == "Not enough data: about 4,000 more devices"
    assert said((500, 5), (500, 8), planned=20_000) == "Not enough data: about 19,000 more devices"
    assert said((300, 15), (300, 18), planned=8_143) == "Not enough data: about 7,500 more devices"
    assert judged((300, 15), (300, 18), planned=8_143).verdict.more_devices == 7_500


def test_no_event_at_all_is_said_of_the_variant() -> None:
    found = judged((500, 8), (500, 0), planned=2_000).verdict
    assert (found.sentence, found.more_devices) == ("Not enough data: no event of a device in #00FF00 yet", 1_000)


def test_too_few_without_a_conversion_are_as_few_as_too_few_with_one() -> None:
    assert said((500, 495), (500, 492)) == "Not enough data: about 4,000 more devices"
    assert said((40, 40), (40, 30)) == "Not enough data: the devices of a variant do not differ from one another"


def test_too_few_days_say_so() -> None:
    assert said((9_000, 500), (9_000, 700), days=2.0) == "Not enough data: 5 more days"
    assert said((9_000, 500), (9_000, 700), days=6.5) == "Not enough data: 1 more day"


def test_a_difference_is_told_with_its_size_and_interval() -> None:
    assert said((100_000, 5_000), (100_000, 5_600)) == "#00FF00 beats #FF0000 by 12 % (5.1 to 19 %)"
    assert said((100_000, 6_000), (100_000, 5_000)) == "#00FF00 loses to #FF0000 by 17 % (11 to 22 %)"


def test_no_difference_says_what_is_not_excluded() -> None:
    assert said((100_000, 5_000), (100_000, 5_020)) == "No difference shown; smaller than ±7.1 % is not excluded"


def test_before_the_planned_number_it_is_not_shown_yet() -> None:
    found = judged((6_000, 300), (6_000, 310), planned=20_000).verdict
    assert (found.code, found.more_devices) == ("no_difference", 8_000)
    assert found.sentence == "No difference shown yet; smaller than ±38 % is not excluded"


def test_of_several_differences_the_largest_gain_is_told_first() -> None:
    below, base, above, most = (100_000, 4_000), (100_000, 5_000), (100_000, 5_900), (100_000, 6_500)
    assert said(base, above, most).startswith("#0000FF beats #FF0000 by 30 % (")
    assert said(base, above, most).endswith(" %); so does #00FF00")
    assert said(base, below, above).startswith("#0000FF beats #FF0000 by 18 % (")
    assert said(base, below, above).endswith(" %); #00FF00 loses")
    assert said(most, base, below).startswith("#0000FF loses to #FF0000 by 38 % (")
    assert said(most, base, below).endswith(" %); so does #00FF00")


def test_the_baseline_may_be_another_than_the_first() -> None:
    assert said((100_000, 6_000), (100_000, 5_000), baseline=1).startswith("#FF0000 beats #00FF00 by 20 % (")


def test_the_one_test_at_the_planned_number_is_told_with_its_own_interval() -> None:
    figures: list[Stratum] = [(rate(6_000, 300), rate(6_000, 360))]
    found = judged((7_000, 350), (7_000, 410), planned=12_000, at_plan=figures)
    (comparison,) = found.comparisons
    assert found.verdict.sentence == "#00FF00 beats #FF0000 by 20 % (2.7 to 41 %)"
    assert comparison.safe is not None
    assert not comparison.safe.shown
    assert comparison.shown == comparison.at_plan


def test_the_one_test_may_exclude_more_than_the_sequence_does() -> None:
    figures: list[Stratum] = [(rate(6_000, 300), rate(6_000, 310))]
    assert said((6_000, 300), (6_000, 310), planned=12_000).endswith("smaller than ±38 % is not excluded")
    found = said((6_000, 300), (6_000, 310), planned=12_000, at_plan=figures)
    assert found == "No difference shown; smaller than ±22 % is not excluded"


def test_a_variant_that_loses_its_exposures_is_not_trusted() -> None:
    stratum = (rate(10_000, 500, 9_990), rate(10_000, 700, 9_990), rate(10_000, 700, 9_100))
    found = judge(Question("conversion", VALUES, days=30.0), [stratum]).verdict
    assert found.code == "not_trusted"
    assert found.sentence == "Don't trust this yet: 9 % of the devices in #0000FF never report exposure"


def test_what_the_others_miss_is_told_where_it_is_much() -> None:
    stratum = (rate(10_000, 500, 6_000), rate(10_000, 700, 5_000))
    found = judge(Question("conversion", VALUES[:2], days=30.0), [stratum]).verdict.sentence
    assert found == "Don't trust this yet: 50 % of the devices in #00FF00 never report exposure, 40 % of the others"


def test_counts_that_are_not_where_they_must_be_are_not_trusted() -> None:
    question = Question("conversion", VALUES[:2], days=30.0)
    assert judge(question, [(rate(100, 50), rate(100, 50))], exact=False).verdict.code == "not_trusted"


def test_a_variant_that_gets_no_devices_any_more_holds_nothing_up() -> None:
    strata: list[Stratum] = [
        (rate(500, 25), rate(500, 25), rate(500, 3)),
        (rate(50_000, 2_500), rate(50_000, 3_000), Moments()),
    ]
    question = Question("conversion", VALUES, days=14.0)
    assert judge(question, strata).verdict.code == "not_enough_data"
    dropped = judge(Question("conversion", VALUES, days=14.0, dropped=(2,)), strata)
    assert dropped.verdict.sentence.startswith("#00FF00 beats #FF0000 by 20 % (")
    assert dropped.comparisons[1].lift is None
    assert dropped.variants[0].devices == 50_500


def test_an_amount_that_may_be_zero_is_told_without_a_ratio() -> None:
    stratum = (Moments(1_000, 0, 30, 100_000, 10**11), Moments(1_000, 0, 30, 900_000, 10**11))
    found = judge(Question("amount", VALUES[:2], days=30.0), [stratum]).verdict.sentence
    assert found == "No difference shown; smaller than ±0.23 per device is not excluded"
    more = (Moments(1_000, 0, 30, -100_000, 10**10), Moments(1_000, 0, 30, 9_000_000, 10**11))
    found = judge(Question("amount", VALUES[:2], days=30.0), [more]).verdict.sentence
    assert found.startswith("#00FF00 beats #FF0000 by 0.91 per device (0.8")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (3.0, "3"), (3.44, "3.4"), (9.94, "9.9"), (9.96, "10"), (12.4, "12"), (1234.5, "1,234"),
        (0.0561, "0.056"), (-0.00000123, "-0.0000012"), (1.6e-12, "0.0000000000016"),
    ],
)  # fmt: skip
def test_figures_have_two_that_count(value: float, text: str) -> None:
    assert figure(value) == text


@given(st.integers(0, 10**15))
def test_about_is_never_far_away(number: int) -> None:
    assert abs(about(number) - number) <= number / 20
    assert about(7_543) == 7_500
