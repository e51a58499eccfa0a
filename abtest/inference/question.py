"""What is asked of the figures."""

from typing import Literal

from msgspec import Struct

from abtest.inference.moments import UNITS

Kind = Literal["conversion", "amount"]


class Question(Struct, frozen=True):
    """What is asked: the kind of metric, the values, which of them is the baseline, since how many days.

    `planned`: devices in all variants that the experiment was planned for, if it was. `dropped`: variants to which no
    device comes any more, for which nothing waits.
    """

    kind: Kind
    values: tuple[str, ...]
    baseline: int = 0
    days: float = 0.0
    planned: int | None = None
    dropped: tuple[int, ...] = ()

    @property
    def scale(self) -> int:
        """Units per 1."""
        return UNITS if self.kind == "amount" else 1

    @property
    def others(self) -> list[int]:
        """All variants but the baseline."""
        return [place for place in range(len(self.values)) if place != self.baseline]
