"""The rule, tried out: wrong rarely though looked at 30 times, and nearly as good as one test at what is there.

docs/statistics.md has the figures of many more runs.
"""

import numpy as np
import pytest

from tests.inference.simulations import CASES, simulate


def test_thirty_looks_at_nothing_hardly_ever_alarm() -> None:
    found = simulate("nothing", 400)
    assert found.wrong <= 0.07
    assert found.open_wrong <= 0.07
    assert found.peeking_wrong > 0.2


def test_what_is_there_is_found_nearly_as_often_as_by_one_test() -> None:
    found = simulate("there", 300)
    assert 0.57 < found.right < 0.71
    assert found.right > found.fixed_right - 0.1
    assert found.always_covered > 0.95
    assert found.told_covered > 0.9


def test_phases_with_other_shares_do_no_harm_where_pooled_counts_do() -> None:
    found = simulate("phases", 200)
    assert found.wrong <= 0.08
    assert found.fixed_wrong == 1.0


@pytest.mark.parametrize("case", ["dropped at its worst", "slowed at its worst"])
def test_who_changes_weights_by_the_figures_makes_no_test_wrong(case: str) -> None:
    """At a fixed number of devices, the test would be wrong in every sixth experiment."""
    assert simulate(case, 200).wrong <= 0.05


@pytest.mark.parametrize("case", ["money 12k", "money tenth", "money 20 % buy"])
def test_a_small_variant_that_has_not_met_its_whale_does_not_lose(case: str) -> None:
    """An ordinary test says so in every third experiment."""
    found = simulate(case, 100)
    assert found.wrong <= 0.04
    assert found.open_wrong <= 0.04
    assert found.fixed_wrong > 0.05
    assert found.always_covered > 0.95


def test_buyers_that_buy_more_often_are_found_however_uneven_they_spend() -> None:
    found = simulate("money buyers +40 %, sigma 1, 60k", 100)
    assert found.right > 0.4
    assert found.wrong <= 0.06


def test_prices_that_bring_in_the_same_are_hardly_ever_told_apart() -> None:
    assert simulate("money dear, equal, sigma 2, 60k", 100).wrong <= 0.08
    assert simulate("money cheap, equal, sigma 2, 60k", 100).wrong <= 0.08


@pytest.mark.parametrize("name", [name for name in CASES if "year" not in name])
def test_every_case_can_be_drawn(name: str) -> None:
    looks = CASES[name].draw(np.random.default_rng(1))
    first, last = ([each.n for each in strata[-1]] for strata in (looks[0], looks[-1]))
    assert len(looks) == 30
    assert last >= first
