"""Which variant a position gets. Pure: a seed, a phase, weights and a position give a variant."""

from abtest.allocation.blocks import (
    SEED_BYTES,
    VERSION,
    covered_until,
    draw,
    positions_until,
    variants_in_order,
)
from abtest.allocation.weights import (
    Counts,
    Weights,
    block_length,
    bound,
    deviation,
    drawn_weights,
    lowest_terms,
    no_counts,
    share,
)

__all__ = [
    "SEED_BYTES",
    "VERSION",
    "Counts",
    "Weights",
    "block_length",
    "bound",
    "covered_until",
    "deviation",
    "draw",
    "drawn_weights",
    "lowest_terms",
    "no_counts",
    "positions_until",
    "share",
    "variants_in_order",
]
