"""What is asked of the figures."""

from math import ceil
from typing import Literal

from msgspec import Struct

from abtest.inference.statistics.moments import AMOUNT_UNITS

Kind = Literal["conversion", "amount"]


class Due(Struct, frozen=True):
    """When the test of a plan is made, as days such as 2026-11-23 (UTC); with several variants, the last of their
    tests.

    `reached`: the day on which the planned number of devices was there. `made`: the day at whose end the test was
    made. `until`: the day at whose end it will be made; the earliest such day while it waits for events that come
    late. `waits_for`: those events (`late`), or more `devices`: a variant has fewer than planned, or too few with an
    event.
    """

    reached: str | None = None
    made: str | None = None
    until: str | None = None
    waits_for: Literal["late", "devices"] | None = None


class Question(Struct, frozen=True):
    """What is asked: the kind of metric and its event, the values, and which of them is the baseline.

    `window_days`: for how many days after its first request a device's events count; None if they always do. `less`:
    whether less is better. `days`: on how many days devices had their first event. `planned`: the planned number of
    devices in all variants, if there is one; `due`: when the test at that number is made. `dropped`: variants that
    get no more devices, so that nothing waits for them. `shares`: each variant's part of the devices in the first
    phase; all equal when it is empty.
    `running`: whether devices still come; `over`: whether they never will again. `full`: how many devices
    it has, if it takes no more than these and is not over.
    """

    kind: Kind
    values: tuple[str, ...]
    key: str = ""
    event: str = ""
    window_days: int | None = None
    less: bool = False
    baseline: int = 0
    days: float = 0.0
    planned: int | None = None
    due: Due = Due()
    dropped: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()
    running: bool = True
    over: bool = False
    full: int | None = None

    @property
    def scale(self) -> int:
        """Units per 1."""
        return AMOUNT_UNITS if self.kind == "amount" else 1

    @property
    def exact(self) -> bool:
        """Whether there is an exact test of a loss: only of whether an event happened, not of how much."""
        return self.kind == "conversion"

    @property
    def has_test(self) -> bool:
        """Whether the test at a planned number was or will be made. One that was not due before the end never is."""
        if self.planned is None:
            return False
        return self.due.made is not None or not (self.over or self.full_before_plan)

    @property
    def full_before_plan(self) -> bool:
        """Whether it takes no more devices, and has fewer than planned."""
        return self.full is not None and self.planned is not None and self.full < self.planned

    @property
    def others(self) -> list[int]:
        """All variants but the baseline."""
        return [place for place in range(len(self.values)) if place != self.baseline]

    def share(self, place: int) -> float:
        """The part of all devices that a variant gets in the first phase."""
        return self.shares[place] if self.shares else 1 / len(self.values)

    def planned_for(self, place: int) -> int | None:
        """The devices that the plan gives a variant and the baseline together; None without a plan."""
        part = self.share(place) + self.share(self.baseline)
        return None if self.planned is None else ceil(self.planned * part)

    def better(self, difference: float) -> bool:
        """Whether a difference from the baseline is to the better."""
        return (difference < 0) if self.less else (difference > 0)
