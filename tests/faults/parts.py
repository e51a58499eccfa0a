"""How much of a long form is run, and with which random seed."""

from msgspec import Struct


class Part(Struct, frozen=True):
    """A fraction of the long form. Parts with different seeds do different things, so their figures can be added."""

    fraction: float = 1.0
    seed: int = 1

    def of(self, number: int) -> int:
        """This part of a number, at least one."""
        return max(1, round(number * self.fraction))
