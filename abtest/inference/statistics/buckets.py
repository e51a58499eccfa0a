"""Totals of devices in buckets: how heavy the tail of an amount is, without keeping every device's total.

Four buckets to each doubling, so that the largest total of a bucket is at most a quarter above the smallest. A
negative total is in the bucket of its size, negated; 0 is a bucket by itself.
"""

STEPS_BITS = 2
"""Each doubling has 2 ** STEPS_BITS buckets."""


def bucket(total: int) -> int:
    """The bucket of a total, in units. Larger totals are in larger buckets."""
    size = abs(total)
    shift = size.bit_length() - STEPS_BITS - 1
    place = (shift << STEPS_BITS) + (size >> shift) if shift > 0 else size
    return place if total >= 0 else -place


def edge(place: int) -> int:
    """The largest size of a total in the bucket, in units, without its sign."""
    steps = 1 << STEPS_BITS
    shift = max(abs(place) // steps - 1, 0)
    return ((abs(place) - shift * steps + 1) << shift) - 1
