"""Deciding and storing answers."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from abtest.domain import DEFAULT_APP, App, Attributes, Type

NOTHING_SAID: Mapping[str, Attributes] = {}


class Delivered(Struct, frozen=True):
    """A value of an experiment, as a text and with the type of the experiment."""

    key: str
    value: str
    type: Type


class Enrolment(Struct, frozen=True):
    """The stored answers of some devices.

    `variants`: by token, the ids of the device's variants in experiments whose key is delivered. `values`: what is
    delivered for each of these ids. `apps`: the number of each app, by key. `keys`: the keys of an app's experiments,
    by the number of the app. `apps`, `keys` and `values` are the same objects as long as `config_version` is the
    same. `new`: the tokens that became devices in this request.
    """

    config_version: int
    apps: Mapping[str, int]
    keys: Mapping[int, frozenset[str]]
    values: Mapping[int, Delivered]
    variants: Mapping[str, tuple[int, ...]]
    new: frozenset[str] = frozenset()


class Newcomers(Struct, frozen=True):
    """What is known about the devices of an app that came in the last days.

    `per_day`: about how many come each day. `devices`: how many of the newest were read. `said`: attributes, each
    with how many of these devices sent them.
    """

    per_day: int = 0
    devices: int = 0
    said: tuple[tuple[Attributes, int], ...] = ()


class NewcomerStore(Protocol):
    """Knows which devices came lately."""

    async def newcomers(self, now: int, app: str = DEFAULT_APP) -> Newcomers:
        """The new devices of the last days. Reads a limited number of devices. Raises UnknownApp."""
        ...


class EnrolmentStore(Protocol):
    """Decides answers and keeps them.

    `batches_at_once`: how many calls of `enrol` may be under way, so that one can work while others wait.
    """

    batches_at_once: int

    async def enrol(
        self, tokens: Sequence[str], now: int, attributes: Mapping[str, Attributes] = NOTHING_SAID
    ) -> Enrolment:
        """The answers for these distinct scoped tokens: what each device has or, on its first request, gets.

        `attributes`: what some devices say about themselves. It is stored for those that are new.
        One transaction under the enrolment lock; returns after it is durable. Unknown tokens become devices in the
        given order. Raises Unavailable (nothing stored) or StorageError.
        """
        ...

    async def find(self, tokens: Sequence[str]) -> Enrolment:
        """The answers for those of these tokens that are known. Writes nothing."""
        ...

    async def apps(self) -> list[App]:
        """Every app, in the order of creation."""
        ...

    async def config_version(self) -> int:
        """A number that grows whenever what servers have cached may be out of date."""
        ...
