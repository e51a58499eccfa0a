"""The rule, tried out: wrong rarely though looked at 30 times, and nearly as good as one test at what is there.

docs/statistics.md has the figures of many more runs.
"""

from tests.inference.simulations import simulate


def test_thirty_looks_at_nothing_hardly_ever_alarm() -> None:
    found = simulate("nothing", 400)
    assert found.wrong <= 0.07
    assert found.sequence_wrong <= 0.07
    assert found.peeking_wrong > 0.2


def test_what_is_there_is_found_nearly_as_often_as_by_one_test() -> None:
    found = simulate("there", 300)
    assert 0.57 < found.right < 0.71
    assert found.right > found.fixed_right - 0.1
    assert found.covered > 0.91
    assert found.told_covered > 0.9


def test_phases_with_other_shares_do_no_harm_where_pooled_counts_do() -> None:
    found = simulate("phases", 200)
    assert found.wrong <= 0.08
    assert found.fixed_wrong == 1.0
