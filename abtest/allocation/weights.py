"""Weights as integers in lowest terms, and the shares and bounds that follow from them, as exact fractions."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import gcd, lcm

LARGEST_WHOLE_BLOCK = 64
TIJDEMAN_BLOCK = 20
Weights = tuple[int, ...]
Counts = tuple[int, ...]


def lowest_terms(weights: Sequence[Decimal | Fraction]) -> Weights:
    """Integers in exactly the same proportions as the weights, with no common divisor.

    Raises ValueError when a weight is negative or none is positive.
    """
    fractions = [Fraction(weight) for weight in weights]
    if min(fractions) < 0 or not any(fractions):
        raise ValueError("weights must not be negative, and one must be positive")
    scale = lcm(*(fraction.denominator for fraction in fractions))
    integers = [int(fraction * scale) for fraction in fractions]
    divisor = gcd(*integers)
    return tuple(integer // divisor for integer in integers)


def drawn_weights(weights: Sequence[Decimal], coverage: Decimal) -> tuple[Weights, int | None]:
    """The weights that positions are drawn with, in lowest terms, and the place of `outside` among them.

    Outside comes last: 20% of 50:50 is 1:1:8, and 0% of anything is all outside. Its place is None at full coverage.
    Raises ValueError as `lowest_terms` does, and when the coverage is below 0 or above 1.
    """
    if not 0 <= coverage <= 1:
        raise ValueError("a coverage must be from 0 to 1")
    if coverage == 0:
        return (*no_counts(weights), 1), len(weights)
    if coverage == 1:
        return lowest_terms(weights), None
    parts = [Fraction(weight) for weight in weights]
    covered = Fraction(coverage)
    return lowest_terms([*(covered * part for part in parts), (1 - covered) * sum(parts)]), len(weights)


def share(weights: Weights, variant: int) -> Fraction:
    """The part of all enrolments that belongs to a variant."""
    return Fraction(weights[variant], sum(weights))


def block_length(weights: Weights) -> int:
    """Positions per block."""
    total = sum(weights)
    return total if total <= LARGEST_WHOLE_BLOCK else TIJDEMAN_BLOCK


def bound(weights: Weights) -> Fraction:
    """How far any count may be from n times its share, anywhere in a block.

    Whole blocks: a_i (1 - a_i / D), reached when all of a variant's positions come first or last.
    Tijdeman blocks: the same within the block, plus at most 1 - 1 / (2 (k - 1)) carried over from earlier blocks
    (R. Tijdeman, The chairman assignment problem, Discrete Mathematics 32, 1980).
    """
    length = block_length(weights)
    within = max(length * share(weights, i) * (1 - share(weights, i)) for i in range(len(weights)))
    if length == sum(weights):
        return within
    return within + 1 - Fraction(1, 2 * max(sum(weight > 0 for weight in weights) - 1, 1))


def deviation(weights: Weights, counts: Sequence[int]) -> Fraction:
    """How far the worst of these counts is from n times its share."""
    devices = sum(counts)
    return max(abs(count - devices * share(weights, variant)) for variant, count in enumerate(counts))


def no_counts(weights: Sequence[object]) -> Counts:
    """The counts before the first block."""
    return (0,) * len(weights)
