"""Deciding and storing answers."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class Enrolment(Struct, frozen=True):
    """The stored answers of some devices.

    `variants`: token -> ids of the device's variants, in experiments whose key is delivered. `values`: variant id ->
    (experiment key, value), for all of these ids; the same object as long as `config_version` is the same. `new`: the
    tokens that became devices in this request.
    """

    config_version: int
    values: Mapping[int, tuple[str, str]]
    variants: Mapping[str, tuple[int, ...]]
    new: frozenset[str] = frozenset()


class EnrolmentStore(Protocol):
    """Decides answers and keeps them."""

    async def enrol(self, tokens: Sequence[str], now: int) -> Enrolment:
        """The answers of these distinct tokens: what they have or, if this is their first request, what they get.

        One transaction under the enrolment lock; returns after it is durable. Unknown tokens become devices in the
        given order. Raises Unavailable (nothing stored) or StorageError.
        """
        ...

    async def find(self, tokens: Sequence[str]) -> Enrolment:
        """The answers of the known ones among these tokens. Writes nothing."""
        ...

    async def config_version(self) -> int:
        """A number that grows with every change of an experiment."""
        ...
