"""Where answers are decided and kept."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class Enrolment(Struct, frozen=True):
    """The stored answers of some devices.

    `variants`: token -> ids of the variants that the device has, of experiments that are delivered.
    `values`: variant id -> (experiment key, value), for every id in it; the same object while `config_version`
    stays the same. `new`: the tokens that became devices in this request.
    """

    config_version: int
    values: Mapping[int, tuple[str, str]]
    variants: Mapping[str, tuple[int, ...]]
    new: frozenset[str] = frozenset()


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
        """A number that grows with every change of an experiment."""
        ...
