"""Where experiments are kept."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from abtest.domain import Change, Experiment, Metric, NewExperiment

NO_METRICS: Mapping[str, tuple[Metric, ...]] = {}


class ExperimentStore(Protocol):
    """Where experiments are kept."""

    async def experiments(self) -> list[Experiment]:
        """Every experiment, in the order of creation."""
        ...

    async def add(
        self,
        experiments: Sequence[NewExperiment],
        now: int,
        metrics: Mapping[str, tuple[Metric, ...]] = NO_METRICS,
    ) -> list[Experiment]:
        """Create all of these, and judge those that are there, by key, by these metrics; all of it or nothing.

        Those that were created or changed. Raises Conflict when a key is taken, UnknownExperiment when one is not
        there.
        """
        ...

    async def change(self, key: str, rule: Callable[[Experiment], Change], now: int) -> Experiment:
        """Apply what the rule decides about the experiment as it stands, in one transaction.

        Raises UnknownExperiment, and whatever the rule raises; then nothing is changed.
        """
        ...
