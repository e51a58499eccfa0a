"""Where few devices spend most of the money, their totals count only up to a cap, so that none of them decides alone.

Of a variant's m devices with an event, those with the ceil(sqrt(m) / 2) largest totals are set aside, and the
largest total that is left, rounded up to the edge of its bucket, is the variant's cap. The metric's cap is the
largest cap of any variant, so that a price that only one variant asks counts in full. The number that is set
aside grows more slowly than m, so that the capped mean approaches the mean (S. Csorgo, E. Haeusler and D. M. Mason,
Annals of Probability 16, 1988; counting up to a cap is J. W. Tukey's winsorising, Annals of Mathematical Statistics
33, 1962).
docs/statistics.md has what else was tried.
"""

from collections import Counter
from collections.abc import Sequence
from math import ceil, sqrt

from msgspec import structs

from abtest.inference.statistics.buckets import bucket, edge
from abtest.inference.statistics.moments import Moments, Stratum


def find_cap(strata: Sequence[Stratum]) -> int | None:
    """The largest size of a total that counts in full, in units; None when no total is larger."""
    found = [_devices_by_bucket(variant) for variant in zip(*strata, strict=True)]
    caps = [cap for devices in found if (cap := _cap(devices)) is not None]
    largest = max((place for devices in found for place in devices), default=0)
    cap = max(caps, default=None)
    return cap if cap is not None and largest > bucket(cap) else None


def capped(strata: Sequence[Stratum], cap: int | None) -> list[Stratum]:
    """The same devices with their totals up to the cap."""
    if cap is None:
        return list(strata)
    return [tuple(_capped(each, cap) for each in stratum) for stratum in strata]


def beyond(strata: Sequence[Stratum], cap: int) -> int:
    """How many devices have a total above the cap."""
    last = bucket(cap)
    return sum(
        devices for stratum in strata for each in stratum for place, devices, *_ in each.buckets if abs(place) > last
    )


def _devices_by_bucket(parts: Sequence[Moments]) -> Counter[int]:
    """How many devices have a total of this size, whatever its sign; one of zero is not among the largest."""
    devices: Counter[int] = Counter()
    for each in parts:
        for place, count, *_ in each.buckets:
            devices[abs(place)] += count if place else 0
    return +devices


def _cap(devices: Counter[int]) -> int | None:
    aside = ceil(sqrt(devices.total()) / 2)
    for place in sorted(devices, reverse=True):
        aside -= devices[place]
        if aside < 0:
            return edge(place)
    return None


def _capped(moments: Moments, cap: int) -> Moments:
    last, total, squares = bucket(cap), moments.total, moments.squares
    for place, devices, own_total, own_squares in moments.buckets:
        if abs(place) > last:
            total += (devices if place > 0 else -devices) * cap - own_total
            squares += devices * cap * cap - own_squares
    return structs.replace(moments, total=total, squares=squares)
