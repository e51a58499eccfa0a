"""Storing experiments."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from abtest.domain import Change, Experiment, Metric, NewExperiment

NO_METRICS: Mapping[str, tuple[Metric, ...]] = {}


class ExperimentStore(Protocol):
    """Keeps experiments."""

    async def experiments(self) -> list[Experiment]:
        """Every experiment, in the order of creation."""
        ...

    async def add(
        self,
        experiments: Sequence[NewExperiment],
        now: int,
        metrics: Mapping[str, tuple[Metric, ...]] = NO_METRICS,
    ) -> list[Experiment]:
        """Create these experiments, and set the metrics of existing ones, by key: all of it or nothing.

        Returns those that were created or changed. Raises Conflict when a key is taken, and UnknownExperiment when no
        experiment has a key of `metrics`.
        """
        ...

    async def change(self, key: str, rule: Callable[[Experiment], Change], now: int) -> Experiment:
        """Apply what the rule decides about the experiment as it is now, in one transaction.

        Raises UnknownExperiment, or what the rule raises; then nothing is changed.
        """
        ...
