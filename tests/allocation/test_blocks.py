from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from math import lcm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest import allocation

SEED = bytes(range(32))

decimals = st.decimals(min_value=0, max_value=1000, places=4)
weights = st.lists(decimals, min_size=2, max_size=20).filter(any).map(allocation.lowest_terms)
seeds = st.binary(min_size=32, max_size=32)


def counts_of(*texts: str, devices: int, seed: bytes = SEED) -> list[int]:
    integers = allocation.lowest_terms([Decimal(text) for text in texts])
    counter = Counter(islice(allocation.variants_in_order(seed, 1, integers), devices))
    return [counter[i] for i in range(len(texts))]


def test_600_devices_are_shared_exactly() -> None:
    assert counts_of("33.3", "33.3", "33.3", devices=600) == [200, 200, 200]
    assert counts_of("75", "10", "5", "10", devices=600) == [450, 60, 30, 60]
    assert counts_of("33.33", "33.33", "33.34", devices=600) == [200, 200, 200]


def test_weights_come_down_to_lowest_terms() -> None:
    assert allocation.lowest_terms([Decimal("33.3")] * 3) == (1, 1, 1)
    assert allocation.lowest_terms([Decimal(n) for n in (75, 10, 5, 10)]) == (15, 2, 1, 2)
    assert allocation.lowest_terms([Decimal("0.0001"), Decimal("0")]) == (1, 0)


@pytest.mark.parametrize("bad", [["-1", "2"], ["0", "0"]])
def test_weights_that_give_no_shares_are_refused(bad: list[str]) -> None:
    with pytest.raises(ValueError, match="negative"):
        allocation.lowest_terms([Decimal(text) for text in bad])


def test_the_bounds_are_those_of_the_documentation() -> None:
    assert allocation.bound((1, 1, 1)) == Fraction(2, 3)
    assert allocation.bound((15, 2, 1, 2)) == Fraction(15, 4)


@given(weights, seeds, st.integers(min_value=1, max_value=400))
def test_every_count_stays_within_the_bound(integers: allocation.Weights, seed: bytes, devices: int) -> None:
    bound, length = allocation.bound(integers), allocation.block_length(integers)
    counts = [0] * len(integers)
    for n, variant in enumerate(islice(allocation.variants_in_order(seed, 1, integers), devices), start=1):
        counts[variant] += 1
        deviations = [abs(count - n * allocation.share(integers, i)) for i, count in enumerate(counts)]
        assert max(deviations) <= bound
        if n % length == 0:
            assert max(deviations) < 1
        if n % lcm(length, sum(integers)) == 0:  # 65 lies inside a block of 20
            assert max(deviations) == 0


def test_tijdeman_blocks_come_out_even_after_a_whole_period() -> None:
    assert counts_of("33.33", "33.33", "33.34", devices=10_000) == [3333, 3333, 3334]


@given(weights, seeds, st.lists(st.integers(min_value=1, max_value=50), max_size=20))
def test_draws_in_pieces_are_the_same_as_in_one(integers: allocation.Weights, seed: bytes, pieces: list[int]) -> None:
    drawn: list[int] = []
    counts = allocation.no_counts(integers)
    for piece in pieces:
        variants, counts = allocation.draw(seed, 3, integers, len(drawn), piece, counts)
        assert len(variants) == piece
        drawn += variants
    assert drawn == list(islice(allocation.variants_in_order(seed, 3, integers), sum(pieces)))


def test_a_variant_of_weight_zero_is_never_drawn() -> None:
    assert counts_of("1", "0", "2", devices=300) == [100, 0, 200]
    assert counts_of("0.3333", "0", "0.6667", devices=10_000)[1] == 0


@pytest.mark.parametrize(
    ("seed", "phase", "integers", "first"),
    [
        (SEED, 1, (1, 1, 1), "120102021201120210210120021210"),
        (SEED, 2, (1, 1, 1), "201102120102021120102012102201"),
        (bytes(32), 1, (1, 1, 1), "210210210210012201021210012021"),
        (SEED, 1, (15, 2, 1, 2), "000000103001002030000010100003000030020000030000200000301010"),
        (SEED, 1, (3333, 3333, 3334), "011202202102002120111122200112100221021000021211210011202120"),
        (
            SEED,
            1,
            (64, 1),
            "00000000000000000000000000000100000000000000000000000000000000000000000000000000",
        ),
    ],
)
def test_version_1_never_changes(seed: bytes, phase: int, integers: tuple[int, ...], first: str) -> None:
    drawn = islice(allocation.variants_in_order(seed, phase, integers), len(first))
    assert "".join(str(variant) for variant in drawn) == first


def test_experiments_draw_independently() -> None:
    """X2 (B-1)/B for equal blocks of length B; df 4, 99.9% quantile 18.47, for fixed seeds."""
    one = allocation.variants_in_order(b"a" * 32, 1, (1, 1, 1))
    two = allocation.variants_in_order(b"b" * 32, 1, (1, 1, 1))
    joint = Counter(islice(zip(one, two, strict=False), 9000))
    chi_square = sum((joint[i, j] - 1000) ** 2 / 1000 for i in range(3) for j in range(3))
    assert 0 < chi_square * 2 / 3 < 18.47
