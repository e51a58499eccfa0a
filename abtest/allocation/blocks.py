"""Which variant a position gets: keyed permuted blocks. Pure: no clock, no I/O, no random state.

Algorithm version 1, pinned by golden vectors in the tests:

- The weights, in lowest terms, are integers a_i with sum D.
- D <= 64: every block has D positions and holds variant i exactly a_i times.
- D > 64: blocks have 20 positions; their contents follow Tijdeman's chairman assignment. After n positions, at the
  end of a block, every count is within 1 of n times its share, and exactly equal to it if n is a multiple of D.
- A Fisher-Yates shuffle orders the block. Its random bytes are BLAKE2b, keyed with the experiment's 256-bit seed, of
  (version, phase, block, counter), with rejection sampling.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, count, islice
from operator import add

from abtest.allocation.weights import LARGEST_WHOLE_BLOCK, TIJDEMAN_BLOCK, Counts, Weights, block_length, no_counts

VERSION = 1
SEED_BYTES = 32
LIMITS = tuple(256 - 256 % (last + 1) for last in range(LARGEST_WHOLE_BLOCK))
"""To choose a place from 0 to `last`, only bytes below LIMITS[last] are used: then every place is equally likely."""


def draw(
    seed: bytes, phase: int, weights: Weights, first: int, number: int, counts: Counts
) -> tuple[list[int], Counts]:
    """The variants of `number` positions from position `first` on, as indices into `weights`.

    `counts`: the counts per variant at the start of the block with position `first`. Also returns the counts at the
    start of the block with the next position. The contents of a Tijdeman block depend on these counts; since they are
    passed along, a draw costs the same however many came before it.
    """
    length = block_length(weights)
    block, offset = divmod(first, length)
    end = offset + number
    variants: list[int] = []
    while end > len(variants):
        contents = _contents(weights, block, counts)
        variants += shuffled_block(seed, phase, contents, block)
        if end >= len(variants):
            counts = tuple(map(add, counts, contents))
            block += 1
    return variants[offset:end], counts


def covered_until(
    seed: bytes, phase: int, weights: Weights, position: int, counts: Counts, outside: int | None
) -> int:
    """How many positions before this one are not `outside`, which is an index into the weights or None.

    `counts`: the counts before the block with this position.
    """
    if outside is None:
        return position
    begun = position % block_length(weights)
    variants, _ = draw(seed, phase, weights, position - begun, begun, counts)
    return position - counts[outside] - variants.count(outside)


def positions_until(variants: Sequence[int], covered: int, outside: int | None) -> int:
    """How many of these positions it takes until `covered` of them are not `outside`; all if there are too few."""
    there = (place for place, variant in enumerate(variants, start=1) if variant != outside)
    return next(islice(there, covered - 1, None), len(variants)) if covered > 0 else 0


def variants_in_order(seed: bytes, phase: int, weights: Weights) -> Iterator[int]:
    """The variant of position 0, 1, 2 and so on, without end."""
    block, counts = 0, no_counts(weights)
    while True:
        contents = _contents(weights, block, counts)
        yield from shuffled_block(seed, phase, contents, block)
        counts = tuple(before + more for before, more in zip(counts, contents, strict=True))
        block += 1


def _contents(weights: Weights, block: int, counts: Counts) -> Counts:
    """How often each variant appears in a block that starts after `counts`."""
    if block_length(weights) == sum(weights):
        return weights
    return _tijdeman(weights, block * TIJDEMAN_BLOCK, counts)


def _tijdeman(weights: Weights, start: int, counts: Counts) -> Counts:
    """Tijdeman's chairman assignment for the next 20 terms, in integers.

    Term n goes to the variant with the earliest deadline (1 - 1 / (2k - 2) - n share_i + count_i) / share_i, among
    those with n share_i - count_i >= 1 / (2k - 2).
    """
    total = sum(weights)
    candidates = [i for i, weight in enumerate(weights) if weight]
    scale = 2 * max(len(candidates) - 1, 1)
    current = list(counts)
    for term in range(start + 1, start + TIJDEMAN_BLOCK + 1):
        chosen, best, best_weight = -1, 0, 1
        for i in candidates:
            due = scale * (weights[i] * term - total * current[i])
            if due < total:
                continue
            deadline = (scale - 1) * total - due
            if chosen < 0 or deadline * best_weight < best * weights[i]:
                chosen, best, best_weight = i, deadline, weights[i]
        current[chosen] += 1
    return tuple(after - before for after, before in zip(current, counts, strict=True))


@lru_cache(maxsize=1024)
def shuffled_block(seed: bytes, phase: int, contents: Counts, block: int) -> list[int]:
    """The block's variants in the order of its positions. The list is cached: do not change it."""
    order = [variant for variant, count in enumerate(contents) for _ in range(count)]
    random_bytes = _random_bytes(seed, phase, block)
    for last in range(len(order) - 1, 0, -1):
        byte = next(random_bytes)
        while byte >= LIMITS[last]:
            byte = next(random_bytes)
        other = byte % (last + 1)
        order[last], order[other] = order[other], order[last]
    return order


def _random_bytes(seed: bytes, phase: int, block: int) -> Iterator[int]:
    place = VERSION.to_bytes(1, "big") + phase.to_bytes(8, "big") + block.to_bytes(8, "big")

    def digest(counter: int) -> bytes:
        return blake2b(place + counter.to_bytes(8, "big"), key=seed).digest()

    return chain.from_iterable(map(digest, count()))
