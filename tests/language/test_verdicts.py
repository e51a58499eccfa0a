"""The sentence, for figures of every kind."""

from typing import Any

import pytest

from abtest.inference.answers import Lift, Results
from abtest.inference.judgement import judge
from abtest.inference.question import Due, Question
from abtest.inference.statistics.moments import Moments, Stratum
from abtest.language import verdicts

VALUES = ("#FF0000", "#00FF00", "#0000FF")
TEST = Due(reached="2026-05-03", made="2026-05-03")
PLANNED = 12_000


def rate(n: int, converters: int, exposed: int | None = None) -> Moments:
    return Moments(n, n if exposed is None else exposed, converters, converters, converters)


def judged(*rates: tuple[int, int], at_plan: list[Stratum] | None = None, **more: Any) -> Results:
    known: dict[str, Any] = {"days": 14.0, "event": "purchase", "key": "button"} | more
    question = Question("conversion", VALUES[: len(rates)], **known)
    tested = dict.fromkeys(question.others, at_plan) if at_plan else None
    return judge(question, [tuple(rate(n, converters) for n, converters in rates)], tested)


def said(*rates: tuple[int, int], **more: Any) -> str:
    """The sentence for one phase of conversions."""
    return verdicts.said(judged(*rates, **more).verdict).sentence


def test_too_few_conversions_say_how_many_devices_are_missing() -> None:
    assert said((500, 5), (500, 8)) == "Not enough data: about 2,800 more devices"
    assert said((500, 5), (500, 8), planned=20_000) == "Not enough data: about 19,000 more devices"
    assert said((300, 15), (300, 18), planned=8_143) == "Not enough data: about 7,500 more devices"
    assert verdicts.said(judged((300, 15), (300, 18), planned=8_143).verdict).more_devices == 7_500


def test_no_event_at_all_is_said() -> None:
    found = verdicts.said(judged((500, 0), (500, 0), planned=2_000).verdict)
    assert found.sentence == "Not enough data: no device has sent the event purchase yet"
    assert found.more_devices == 1_000


def test_where_no_device_took_part_nothing_is_waited_for() -> None:
    assert said((0, 0), (0, 0), running=False, over=True) == "Not enough data: no device took part"
    assert said((0, 0), (0, 0)) == "Not enough data: no device has sent the event purchase yet"


def test_a_value_with_spaces_is_quoted_wherever_it_is_said() -> None:
    values = ("Add to basket", "Buy now", "Buy")
    question = Question("conversion", values, days=14.0, event="purchase", key="text")
    found = verdicts.said(judge(question, [(rate(9_000, 500), rate(9_000, 700), rate(9_000, 505))]).verdict)
    assert found.sentence.startswith("text “Buy now” beats “Add to basket”: conversion of purchase up by ")
    assert found.sentence.endswith("; no difference shown for Buy")
    assert found.better == ("Buy now",)
    alike = judge(Question("conversion", values[:2], days=14.0), [(rate(1_000, 1_000), rate(1_000, 1_000))])
    assert verdicts.said(alike.verdict).sentence.endswith("devices in “Add to basket” and “Buy now” did the same")


def test_a_window_is_said_with_its_event() -> None:
    assert said((500, 0), (500, 0), window_days=14) == (
        "Not enough data: no device has sent the event purchase within 14 days of its first request yet"
    )
    assert said((9_000, 700), (9_000, 500), window_days=1).startswith(
        "button #00FF00 is worse than #FF0000: conversion of purchase within 1 day down by 29%"
    )


def test_too_few_without_a_conversion_are_as_few_as_too_few_with_one() -> None:
    assert said((500, 495), (500, 492)) == "Not enough data: about 2,800 more devices"


def test_devices_that_all_do_the_same_are_not_compared() -> None:
    assert said((1_000, 1_000), (1_000, 1_000)) == "Not enough data: all devices in #FF0000 and #00FF00 did the same"
    assert said((1_000, 1_000), (1_000, 500)).startswith("button #00FF00 is worse than #FF0000")


def test_the_test_of_a_plan_has_had_its_week() -> None:
    """A few wrong clocks may take a day back, and with it no test that was made."""
    figures = [(rate(6_000, 300), rate(6_000, 400))]
    told = said((6_000, 300), (6_000, 400), days=6.0, planned=PLANNED, at_plan=figures, due=TEST)
    assert told.startswith("button #00FF00 beats #FF0000: ")
    wait = said((6_000, 300), (6_000, 400), days=6.0, planned=PLANNED)
    assert wait == "Not enough data: 1 more day"


def test_too_few_days_say_so() -> None:
    assert said((9_000, 500), (9_000, 700), days=2.0) == "Not enough data: 5 more days"
    assert said((9_000, 500), (9_000, 700), days=6.5) == "Not enough data: 1 more day"


def test_a_loss_waits_for_no_week() -> None:
    found = verdicts.said(judged((9_000, 700), (9_000, 500), days=1.0).verdict)
    assert found.sentence == (
        "button #00FF00 loses decisively to #FF0000: conversion of purchase down by 29% (15% to 41%); stop it"
    )
    assert (found.code, found.worse, found.better) == ("difference", ("#00FF00",), ())


def test_a_broken_button_is_called_broken() -> None:
    nothing, hardly = (said((10_000, 500), (10_000, count), days=0.1) for count in (0, 10))
    assert nothing.startswith("button #00FF00 loses decisively to #FF0000: conversion of purchase down by 100% (")
    assert nothing.endswith(" to 100%); stop it")
    assert hardly.startswith("button #00FF00 loses decisively to #FF0000: conversion of purchase down by 98% (")


def test_a_decisive_loss_shows_with_a_dozen_events() -> None:
    assert said((100, 12), (100, 0), days=0.1) == (
        "button #00FF00 loses decisively to #FF0000: conversion of purchase down by at least 39% "
        "(0 of 100 devices, 12 of 100 with #FF0000); stop it"
    )
    assert said((100, 0), (100, 12), days=0.1) == "Not enough data: about 630 more devices"
    crashes = said((100, 0), (100, 12), days=0.1, less=True, event="crash")
    assert crashes.startswith(
        "button #00FF00 loses decisively to #FF0000: conversion of crash up by at least 63% (12"
    )


def test_what_the_exact_test_saw_is_not_added_over_phases() -> None:
    strata: list[Stratum] = [(rate(100, 12), rate(100, 0)), (rate(10, 1), rate(10, 0))]
    one, two = (verdicts.said(judge(Question("conversion", VALUES[:2], days=14.0), phases).verdict) for phases in (
        strata[:1], strata,
    ))  # fmt: skip
    assert one.sentence.endswith("down by at least 39% (0 of 100 devices, 12 of 100 with #FF0000); stop it")
    assert two.sentence.endswith("down by at least 44%; stop it")


def test_a_difference_is_told_with_its_size_and_interval() -> None:
    assert said((100_000, 5_000), (100_000, 5_600)) == (
        "button #00FF00 beats #FF0000: conversion of purchase up by 12% (5.1% to 19%)"
    )
    assert said((100_000, 6_000), (100_000, 5_000)) == (
        "button #00FF00 is worse than #FF0000: conversion of purchase down by 17% (11% to 22%)"
    )


def test_where_less_is_better_more_is_worse() -> None:
    more = verdicts.said(judged((10_000, 1_000), (10_000, 2_600), less=True, event="refund").verdict)
    assert more.sentence == ("button #00FF00 is worse than #FF0000: conversion of refund up by 160% (130% to 197%)")
    assert more.worse == ("#00FF00",)
    less = verdicts.said(judged((10_000, 2_600), (10_000, 1_000), less=True, event="refund").verdict)
    assert less.sentence.startswith("button #00FF00 beats #FF0000: conversion of refund down by 62% (")
    (comparison,) = judged((10_000, 1_000), (10_000, 1_100), less=True).comparisons
    assert comparison.chance_to_beat is not None
    assert comparison.chance_to_beat < 0.05


def test_no_difference_says_both_ends_of_what_may_be() -> None:
    assert said((100_000, 5_000), (100_000, 5_020)) == (
        "No difference shown so far: #00FF00 may be anything from 6% worse to 7.2% better than #FF0000"
    )
    assert said((100_000, 5_000), (100_000, 5_020), less=True).endswith("from 7.2% worse to 6% better than #FF0000")
    three = said((100_000, 5_000), (100_000, 5_000), (10_000, 500))
    assert three.startswith("No difference shown so far: the others may be anything from ")


def test_before_the_planned_number_it_is_not_shown_yet() -> None:
    found = verdicts.said(judged((6_000, 300), (6_000, 310), planned=20_000).verdict)
    assert (found.code, found.more_devices) == ("no_difference", 8_000)
    assert found.sentence.startswith("No difference shown yet: ")


def test_a_test_that_is_due_says_when_it_is_made() -> None:
    due, late = Due("2026-05-03", until="2026-05-03"), Due("2026-05-03", until="2026-05-20", waits_for="late")
    found = [said((6_000, 300), (6_000, 310), planned=PLANNED, due=each) for each in (due, late)]
    assert found[0].endswith("; the test at 12,000 devices is made when 2026-05-03 (UTC) is over")
    assert found[1].endswith(
        "; the test at 12,000 devices waits for late events, at least until 2026-05-20 (UTC) is over"
    )
    fewer = said((6_000, 300), (6_000, 310), planned=PLANNED, due=Due("2026-05-03", waits_for="devices"))
    assert fewer.endswith(
        "; the test at 12,000 devices waits until each variant has the devices and events that it needs"
    )
    assert found[0].startswith("No difference shown yet: ")


@pytest.mark.parametrize("over", [True, False])
def test_an_experiment_that_takes_no_devices_asks_for_none(over: bool) -> None:
    few, many = (verdicts.said(judged(*rates, planned=10**6, running=False, over=over).verdict) for rates in (
        ((500, 5), (500, 8)), ((6_000, 300), (6_000, 310)),
    ))  # fmt: skip
    assert few.sentence == "Not enough data: too few devices to compare #00FF00 with #FF0000"
    assert many.sentence.startswith("No difference was shown: " if over else "No difference shown so far: ")
    ended = "; it ended before the test at 1,000,000 devices, which will not be made"
    assert many.sentence.endswith(ended) == over
    assert few.more_devices is many.more_devices is None
    short = verdicts.said(judged((9_000, 500), (9_000, 700), days=2.0, running=False, over=over).verdict)
    assert short.sentence == "Not enough data: events on fewer than seven days"


def test_each_difference_has_its_figures_and_the_surest_is_told_first() -> None:
    below, base, above, most = (100_000, 4_000), (100_000, 5_000), (100_000, 5_900), (100_000, 6_500)
    beats, worse = "#0000FF beats #FF0000: conversion of purchase", "#0000FF is worse than #FF0000"
    assert said(base, above, most) == (
        f"button {beats} up by 30% (22% to 39%); #00FF00 is better too: up by 18% (10% to 26%)"
    )
    assert said(base, below, above) == (
        f"button {beats} up by 18% (10% to 26%); #00FF00 is worse: down by 20% (14% to 26%)"
    )
    assert said(most, base, below).startswith(f"button {worse}: conversion of purchase down by 38% (")
    assert said(most, base, below).endswith("; #00FF00 is worse too: down by 23% (18% to 28%)")
    noisy = said((100_000, 5_000), (100_000, 5_600), (4_000, 320))
    assert noisy.index("#0000FF") < noisy.index("#00FF00 is better too")


def test_the_baseline_may_be_another_than_the_first() -> None:
    assert said((100_000, 6_000), (100_000, 5_000), baseline=1).startswith("button #FF0000 beats #00FF00: ")


def test_the_one_test_at_the_planned_number_is_told_with_its_own_interval() -> None:
    figures: list[Stratum] = [(rate(6_000, 300), rate(6_000, 360))]
    found = judged((6_000, 300), (6_000, 360), planned=PLANNED, at_plan=figures, due=TEST)
    (comparison,) = found.comparisons
    assert verdicts.said(found.verdict).sentence == (
        "button #00FF00 beats #FF0000: conversion of purchase up by 20% (2.7% to 41%) in the test at 12,000 devices"
    )
    assert comparison.safe is not None
    assert not comparison.safe.shown
    assert comparison.deciding == comparison.drawn == comparison.at_plan


def test_a_variant_that_was_tested_is_not_early_while_another_waits() -> None:
    stratum = (rate(6_000, 300), rate(6_000, 150), rate(6_000, 310))
    question = Question("conversion", VALUES, days=14.0, planned=18_000, due=Due("2026-05-03", waits_for="devices"))
    waiting, tested = (verdicts.said(judge(question, [stratum], at_plan).verdict) for at_plan in ({}, {1: [stratum]}))
    assert "#00FF00 loses decisively to #FF0000" in waiting.sentence
    assert "#00FF00 is worse than #FF0000" in tested.sentence
    assert [any("before the planned test" in note for note in each.notes) for each in (waiting, tested)] == [
        True,
        False,
    ]


def test_what_the_test_found_stands_beside_what_the_figures_say_today() -> None:
    figures: list[Stratum] = [(rate(6_000, 300), rate(6_000, 360))]
    less = said((100_000, 5_000), (100_000, 4_800), planned=PLANNED, at_plan=figures, due=TEST)
    assert less == (
        "button #00FF00 beat #FF0000: conversion of purchase up by 20% (2.7% to 41%) in the test at 12,000 devices, "
        "but today down by 4%"
    )
    more = said((100_000, 5_000), (100_000, 5_050), planned=PLANNED, at_plan=figures, due=TEST)
    assert more.startswith("button #00FF00 beats #FF0000: ")
    assert more.endswith("up by 20% (2.7% to 41%) in the test at 12,000 devices, today up by 1%")
    turned = verdicts.said(
        judged((100_000, 5_000), (100_000, 4_400), planned=PLANNED, at_plan=figures, due=TEST).verdict
    )
    assert turned.sentence == (
        "button #00FF00 is worse than #FF0000: conversion of purchase down by 12% (4.6% to 19%)"
    )
    assert turned.notes == ("The test at 12,000 devices found the opposite for #00FF00: up by 20% (2.7% to 41%).",)


def test_what_is_found_early_is_said_to_be_too_large() -> None:
    early, open_ended = (judged((100_000, 5_000), (100_000, 6_500), planned=planned) for planned in (10**6, None))
    assert verdicts.said(early.verdict).notes[0].startswith("Found before the planned test. ")
    assert verdicts.said(open_ended.verdict).notes[0].startswith("Found without a planned number of devices. ")
    worse = verdicts.said(judged((100_000, 6_500), (100_000, 5_000)).verdict)
    assert worse.notes == verdicts.said(open_ended.verdict).notes
    by_split_alone = judged((10_000, 24), (10_000, 0)).verdict
    assert verdicts.said(by_split_alone).notes == ()


def test_the_one_test_may_exclude_more_than_the_sequence_does() -> None:
    figures: list[Stratum] = [(rate(6_000, 300), rate(6_000, 310))]
    before = said((6_000, 300), (6_000, 310), planned=PLANNED)
    after = said((6_000, 300), (6_000, 310), planned=PLANNED, at_plan=figures, due=TEST)
    assert before.endswith("from 24% worse to 40% better than #FF0000")
    assert after == "No difference shown: #00FF00 may be anything from 12% worse to 22% better than #FF0000"


def test_a_variant_that_loses_its_exposures_is_not_trusted() -> None:
    stratum = (rate(10_000, 500, 9_990), rate(10_000, 700, 9_990), rate(10_000, 700, 9_100))
    found = verdicts.said(judge(Question("conversion", VALUES, days=30.0), [stratum]).verdict)
    assert found.code == "not_trusted"
    assert found.sentence == (
        "Don't trust this: 91% of the devices in #0000FF report exposure, but 99.9% of the others; find out why first"
    )


def test_counts_that_are_not_where_they_must_be_are_not_trusted() -> None:
    question = Question("conversion", VALUES[:2], days=30.0)
    assert verdicts.said(judge(question, [(rate(100, 50), rate(100, 50))], exact=False).verdict).code == "not_trusted"


def test_a_variant_that_was_compared_without_a_result_is_named() -> None:
    told = said((100_000, 5_000), (100_000, 5_600), (100_000, 5_010))
    assert told.endswith("up by 12% (4.6% to 20%); no difference shown for #0000FF")


def test_a_rare_variant_silences_no_other() -> None:
    told = said((50_000, 2_500), (50_000, 3_000), (100, 3))
    assert told.endswith("up by 20% (9.4% to 32%); not enough data for #0000FF")
    untold = said((50_000, 2_500), (50_000, 2_550), (100, 3))
    assert untold.startswith("No difference shown so far: #00FF00 may be anything from ")
    assert untold.endswith("; not enough data for #0000FF")


def test_a_variant_that_gets_no_more_devices_holds_nothing_up_and_is_named() -> None:
    strata: list[Stratum] = [
        (rate(500, 25), rate(500, 25), rate(300, 14)),
        (rate(50_000, 2_500), rate(50_000, 3_000), Moments()),
    ]
    dropped = judge(Question("conversion", VALUES, days=14.0, dropped=(2,)), strata)
    assert verdicts.said(dropped.verdict).sentence.startswith("#00FF00 beats #FF0000: ")
    assert verdicts.said(dropped.verdict).sentence.endswith(
        "; #0000FF, which gets no more devices, can't be compared"
    )
    assert dropped.comparisons[1].lift is None
    assert dropped.variants[0].devices == 50_500


def test_an_amount_that_may_be_zero_is_told_without_a_ratio() -> None:
    stratum = (Moments(1_000, 0, 30, 100_000, 10**11), Moments(1_000, 0, 30, 900_000, 10**11))
    found = verdicts.said(judge(Question("amount", VALUES[:2], days=30.0), [stratum]).verdict).sentence
    assert found == (
        "No difference shown so far: #00FF00 may be anything from 0.07 per device worse "
        "to 0.23 per device better than #FF0000"
    )
    more = (Moments(1_000, 0, 30, -100_000, 10**10), Moments(1_000, 0, 30, 9_000_000, 10**11))
    found = verdicts.said(judge(Question("amount", VALUES[:2], event="sale", days=30.0), [more]).verdict).sentence
    assert found.startswith("#00FF00 beats #FF0000: amount of sale per device up by 0.91 per device (0.8")


def test_a_full_experiment_awaits_no_devices_but_days_and_events() -> None:
    known: dict[str, Any] = {"planned": 10**6, "running": False, "full": 12_000}
    never = "; it takes no more than its 12,000 devices, so the test at 1,000,000 devices will not be made"
    assert said((6_000, 300), (6_000, 310), **known).startswith("No difference shown so far: ")
    assert said((6_000, 300), (6_000, 310), **known).endswith(never)
    assert said((6_000, 300), (6_000, 310), **known | {"planned": 12_000}).endswith("better than #FF0000")
    few = "Not enough data: too few devices to compare #00FF00 with #FF0000"
    assert said((6_000, 5), (6_000, 8), **known) == few + never
    assert said((6_000, 300), (6_000, 310), **known | {"planned": None, "days": 3.0}) == (
        "Not enough data: 4 more days"
    )
    assert said((6_000, 0), (6_000, 0), **known | {"planned": None}).endswith("the event purchase yet")


def test_a_difference_of_rates_is_in_percentage_points() -> None:
    lift = Lift(False, -0.02, -0.18, 0.16)
    assert (verdicts.size_said(lift, "amount"), verdicts.interval_said(lift, "amount")) == (
        "\N{MINUS SIGN}0.02",
        "\N{MINUS SIGN}0.18 to +0.16",
    )
    assert verdicts.size_said(lift, "conversion") == "\N{MINUS SIGN}2 percentage points"
    assert verdicts.interval_said(lift, "conversion") == "\N{MINUS SIGN}18 to +16 percentage points"
    assert verdicts.interval_said(Lift(True, 0.12, 0.03, 0.21), "conversion") == "+3% to +21%"
