"""What is stored as a text in a column comes back as it was, or is refused."""

import pytest

from abtest.store.relational.columns import dump_buckets, dump_delays, load_buckets, load_delays


def test_buckets_and_delays_come_back_as_they_were() -> None:
    buckets = {-3: (1, -30_000, 9 * 10**8), 7: (2, 10**30, 10**60), 8: (0, 0, 0)}
    assert load_buckets(dump_buckets(buckets)) == {-3: buckets[-3], 7: buckets[7]}
    assert load_delays(dump_delays({3: 5, 0: 2, 9: 0})) == {0: 2, 3: 5}


@pytest.mark.parametrize(
    "text",
    [
        "[[1, 2.0]]",
        "[[1, true]]",
        '[["1", 2]]',
        "[[1, 2], [1, 3]]",
        "[[2, 2], [1, 3]]",
        "[[1]]",
        "[[1, 2, 3]]",
        "{}]",
    ],
)
def test_what_is_damaged_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        load_delays(text)


def test_a_damaged_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        load_buckets("[[1, 2, 3]]")
