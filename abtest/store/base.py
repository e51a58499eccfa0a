"""What the services need of a store. Each service declares the narrowest of these; one store fulfils them all."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from abtest.models import Change, Experiment, NewExperiment


class Enrolment(Struct, frozen=True):
    """The stored answers of some devices.

    `variants`: token -> ids of the variants that the device has, of experiments that are delivered.
    `values`: variant id -> (experiment key, value), for every id in it; the same object while `config_version`
    stays the same.
    """

    config_version: int
    values: Mapping[int, tuple[str, str]]
    variants: Mapping[str, tuple[int, ...]]


class EnrolmentStore(Protocol):
    """Where answers are decided and kept."""

    async def enrol(self, tokens: Sequence[str], now: int) -> Enrolment:
        """The answers of these distinct tokens: what they have, or what they get in this, their first request.

        One transaction under the enrolment lock; returns after it is durable. Unknown tokens become devices in the
        order given. Raises Unavailable (nothing stored) or StorageError.
        """
        ...

    async def find(self, tokens: Sequence[str]) -> Enrolment:
        """The answers of those of these tokens that are known. Writes nothing."""
        ...

    async def config_version(self) -> int:
        """A number that grows with every change that may alter an answer already given out."""
        ...


class ExperimentStore(Protocol):
    """Where experiments are kept."""

    async def experiments(self) -> list[Experiment]:
        """Every experiment, in the order of creation."""
        ...

    async def add(self, experiments: Sequence[NewExperiment], now: int) -> None:
        """Create all of these or none. Raises Conflict when a key is taken."""
        ...

    async def change(self, key: str, rule: Callable[[Experiment], Change], now: int) -> Experiment:
        """Apply what the rule decides about the experiment as it stands, in one transaction.

        Raises UnknownExperiment, and whatever the rule raises; then nothing is changed.
        """
        ...
