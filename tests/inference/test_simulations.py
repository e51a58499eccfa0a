"""The rule, tried out: wrong rarely though looked at 30 times, and nearly as good as one test at what is there."""

from tests.inference.simulations import coverage, simulate


def test_thirty_looks_at_nothing_hardly_ever_alarm() -> None:
    found = simulate(300, 0.0, 6_000, 30)
    assert found.rule <= 0.05
    assert found.peeking > 0.2


def test_what_is_there_is_found_nearly_as_often_as_by_one_test() -> None:
    found = simulate(300, 0.2, 6_000, 30)
    assert 0.57 < found.rule < 0.71
    assert found.rule > found.fixed - 0.1


def test_the_lifts_interval_holds_the_truth() -> None:
    assert coverage(1_000, 6_000, 0.2) > 0.93
