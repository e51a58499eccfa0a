"""What counts of the devices that spend most."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from abtest.inference.statistics.buckets import bucket, edge
from abtest.inference.statistics.capping import beyond, capped, find_cap
from abtest.inference.statistics.moments import Moments


def spent(totals: Sequence[int], n: int = 10_000) -> Moments:
    """Of so many devices, these have an event."""
    held: dict[int, tuple[int, int, int]] = {}
    for total in totals:
        devices, whole, squares = held.get(bucket(total), (0, 0, 0))
        held[bucket(total)] = (devices + 1, whole + total, squares + total**2)
    squares = sum(total**2 for total in totals)
    return Moments(n, 0, len(totals), sum(totals), squares, tuple((at, *held[at]) for at in sorted(held)))


@given(st.integers(-(10**20), 10**20))
def test_a_bucket_holds_what_is_at_most_a_quarter_apart(total: int) -> None:
    place = bucket(total)
    assert abs(total) <= edge(place) <= max(1.25 * abs(total), abs(total))
    assert bucket(edge(place) * (1 if total >= 0 else -1)) == place
    assert bucket(edge(place) + 1) == abs(place) + 1
    assert bucket(-total) == -place


def test_a_price_that_one_variant_asks_counts_in_full() -> None:
    many, few = spent([100_000] * 2_250), spent([500_000] * 30)
    assert find_cap([(many, few)]) is None


def test_the_few_that_spend_most_count_up_to_the_cap() -> None:
    whales = spent([100_000] * 400 + [9_000_000] * 5)
    cap = find_cap([(whales, spent([90_000] * 50))])
    assert cap == edge(bucket(100_000))
    assert beyond([(whales,)], cap) == 5
    ((found,),) = capped([(whales,)], cap)
    assert found.total == 400 * 100_000 + 5 * cap
    assert found.squares == 400 * 100_000**2 + 5 * cap**2


def test_about_half_the_root_of_the_buyers_is_set_aside() -> None:
    spenders = [10_000] * 90 + [2**place * 10_000 for place in range(1, 11)]
    assert find_cap([(spent(spenders),)]) == edge(bucket(2**5 * 10_000))
    assert find_cap([(spent([*spenders, 10_000]),)]) == edge(bucket(2**4 * 10_000))


def test_events_without_an_amount_do_not_set_payers_aside() -> None:
    """Of 50 devices that pay, the four that pay most are set aside, however many have an event and pay nothing."""
    free, payers = [0] * 9_950, [10_000] * 40 + [2**place * 10_000 for place in range(1, 11)]
    assert find_cap([(spent(free + payers), spent(free))]) == edge(bucket(2**6 * 10_000))


def test_refunds_count_down_to_the_cap() -> None:
    refunds = spent([-100_000] * 400 + [-9_000_000] * 5)
    cap = find_cap([(refunds,)])
    assert cap is not None
    ((found,),) = capped([(refunds,)], cap)
    assert found.total == -400 * 100_000 - 5 * cap


@given(st.lists(st.lists(st.integers(-(10**12), 10**12), max_size=60), min_size=1, max_size=3))
def test_capped_sums_are_those_of_capped_totals(variants: list[list[int]]) -> None:
    strata = [tuple(spent(totals) for totals in variants)]
    cap = find_cap(strata)
    ends = (-cap, cap) if cap is not None else (-(10**12), 10**12)
    for totals, found in zip(variants, capped(strata, cap)[0], strict=True):
        cut = [min(max(total, ends[0]), ends[1]) for total in totals]
        assert (found.total, found.squares) == (sum(cut), sum(total**2 for total in cut))


def test_the_cap_looks_at_all_phases_of_a_variant() -> None:
    halves = spent([10_000] * 45 + [80_000] * 3), spent([10_000] * 45 + [80_000] * 3)
    assert find_cap([(halves[0],), (halves[1],)]) == find_cap([(spent([10_000] * 90 + [80_000] * 6),)])


def test_without_an_event_there_is_no_cap() -> None:
    assert find_cap([]) is find_cap([(Moments(), Moments())]) is find_cap([(spent([5]), Moments())]) is None
