"""A made-up mix of devices: what they say about themselves, the same in every simulation."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from hashlib import blake2b
from itertools import chain

from abtest import allocation
from abtest.domain import Attributes, Audience

Shares = Mapping[str, int | Fraction]

MIX: Mapping[str, Mapping[str, Shares]] = {
    "platform": {"": {"android": 11, "ios": 8, "web": 1}},
    "app_version": {"": {"3.10.0": 9, "3.9.1": 6, "3.8.0": 3, "2.14.2": 2}},
    "os_version": {
        "android": {"15": 7, "14": 6, "13": 4, "12": 3},
        "ios": {"18.5": 11, "17.7": 6, "16.7": 3},
        "": {"11": 3, "10": 2},
    },
    "country": {"": {"US": 5, "IN": 4, "BR": 3, "DE": 2, "JP": 2, "FR": 1, "GB": 1, "MX": 1, "PL": 1}},
    "language": {
        "BR": {"pt": 1},
        "DE": {"de": 8, "en": 1, "tr": 1},
        "FR": {"fr": 9, "en": 1},
        "IN": {"en": 3, "hi": 2},
        "JP": {"ja": 1},
        "MX": {"es": 1},
        "PL": {"pl": 9, "uk": 1},
        "US": {"en": 9, "es": 1},
        "": {"en": 1},
    },
}
"""For each attribute, the weights of its values, by the device's value of the attribute that it FOLLOWS."""
FOLLOWS = {"os_version": "platform", "language": "country"}
ALL = "all"
MISSING: Shares = {"": 16, ALL: 1} | dict.fromkeys(MIX, Fraction(3, 5))
"""What devices leave out: most of them nothing, some of them one attribute, and old apps all of them."""


def devices(audiences: Iterable[Audience]) -> Iterator[Attributes]:
    """What one device after another says, without end.

    The values that the audiences name are in the mix, in any combination with other values.
    """
    named: dict[str, list[str]] = defaultdict(list)
    for condition in chain.from_iterable(audiences):
        named[condition.attribute] += condition.examples

    @cache
    def values(attribute: str, followed: str) -> Iterator[str]:
        shares = MIX.get(attribute, {})
        usual = shares.get(followed, shares.get("", {}))
        return _drawn(f"{attribute} {followed}", _joined(usual, named[attribute]))

    attributes = list(dict.fromkeys([*MIX, *named]))
    missing = _drawn("missing", MISSING)
    while True:
        said: dict[str, str] = {}
        for attribute in attributes:
            said[attribute] = next(values(attribute, said.get(FOLLOWS.get(attribute, ""), "")))
        left_out = next(missing)
        if left_out == ALL:
            said.clear()
        said.pop(left_out, None)
        yield Attributes(tuple(sorted(said.items())))


def _joined(usual: Shares, named: Sequence[str]) -> Shares:
    """The usual values, and for a fifth of the devices the named values that are not among them."""
    new = [value for value in dict.fromkeys(named) if value not in usual]
    return {**usual, **dict.fromkeys(new, Fraction(sum(usual.values()) or 1, 4 * max(len(new), 1)))}


def _drawn(name: str, shares: Shares) -> Iterator[str]:
    """Values in exactly these shares, without end; the same for the same name."""
    seed = blake2b(name.encode(), digest_size=allocation.SEED_BYTES).digest()
    values, weights = list(shares), allocation.lowest_terms([Fraction(share) for share in shares.values()])
    return (values[place] for place in allocation.variants_in_order(seed, 1, weights))
