"""The exact test of a loss."""

from math import comb

import numpy as np
import pytest

from abtest.inference.statistics.moments import Moments, Stratum
from abtest.inference.statistics.split import LOG_RATIOS, largest_ratio


def split(*counts: tuple[int, int]) -> Stratum:
    """(devices, with an event) per variant."""
    return tuple(Moments(n, n, events, events, events) for n, events in counts)


def test_nothing_against_a_dozen_is_a_loss_and_against_a_few_is_none() -> None:
    assert largest_ratio([split((100, 12), (100, 0))], 1, 0, 0.005) is not None
    assert largest_ratio([split((100, 6), (100, 0))], 1, 0, 0.005) is None
    assert largest_ratio([split((100, 12), (100, 0))], 0, 1, 0.005) is None


def test_a_small_variant_needs_more_events_of_the_others() -> None:
    assert largest_ratio([split((1_900, 40), (100, 0))], 1, 0, 0.005) is None
    assert largest_ratio([split((1_900, 300), (100, 0))], 1, 0, 0.005) is not None


def test_the_ratio_is_that_at_which_the_mixture_is_just_not_likely_enough() -> None:
    ratio = largest_ratio([split((1_000, 60), (1_000, 10))], 1, 0, 0.005)
    assert ratio is not None

    def likelihood(of: float) -> float:
        part = of / (1 + of)
        return part**10 * (1 - part) ** 60

    mixed = np.mean([likelihood(ratio * np.exp(each)) for each in LOG_RATIOS])
    assert mixed / likelihood(ratio) == pytest.approx(1 / 0.005, rel=0.01)


def test_phases_add_up_with_their_own_shares() -> None:
    early, late = split((9_900, 300), (100, 0)), split((500, 40), (500, 4))
    both, alone, pooled = (
        largest_ratio(strata, 1, 0, 0.005) for strata in ([early, late], [late], [split((10_400, 340), (600, 4))])
    )
    assert both is not None
    assert alone is not None
    assert both < alone
    assert pooled != both
    assert largest_ratio([early, late, split((100, 9), (0, 0))], 1, 0, 0.005) == both


def test_no_event_and_no_device_say_nothing() -> None:
    assert largest_ratio([], 1, 0, 0.005) is None
    assert largest_ratio([split((100, 0), (100, 0))], 1, 0, 0.005) is None
    assert largest_ratio([split((100, 5), (0, 0))], 1, 0, 0.005) is None


def test_whoever_looks_after_every_event_is_wrong_at_most_as_often_as_promised() -> None:
    """Counted over all ways in which up to 60 events can split, which all are alike: no simulation."""
    alarming = {
        (mine, events)
        for events in range(1, 61)
        for mine in range(events + 1)
        if largest_ratio([split((10**6, events - mine), (10**6, mine))], 1, 0, 0.05) is not None
    }
    going, wrong = {0: 1.0}, 0.0
    for events in range(1, 61):
        stepped: dict[int, float] = {}
        for mine, chance in going.items():
            for more in (0, 1):
                stepped[mine + more] = stepped.get(mine + more, 0.0) + chance / 2
        wrong += sum(chance for mine, chance in stepped.items() if (mine, events) in alarming)
        going = {mine: chance for mine, chance in stepped.items() if (mine, events) not in alarming}
    assert 0.01 < wrong < 0.05
    assert sum(comb(60, mine) / 2**60 for mine in range(61) if (mine, 60) in alarming) < wrong
