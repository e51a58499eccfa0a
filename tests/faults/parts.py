"""How much of a long form is run, and with which chance."""

from msgspec import Struct


class Part(Struct, frozen=True):
    """A fraction of the whole; parts with different seeds do different things, so that their figures add up."""

    fraction: float = 1.0
    seed: int = 1

    def of(self, number: int) -> int:
        """So many of the whole's, at least one."""
        return max(1, round(number * self.fraction))
