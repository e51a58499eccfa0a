"""Storing what people make: experiments, apps and test devices. `by`: who does, as the journal says it."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from abtest.domain import (
    DEFAULT_APP,
    PROGRAM,
    App,
    By,
    Change,
    Experiment,
    Kind,
    Metric,
    NewExperiment,
    Status,
    TestDevice,
)

NO_METRICS: Mapping[str, tuple[Metric, ...]] = {}


class Alteration(Struct, frozen=True):
    """What to do to several experiments: those to create, and changes by key, one after another.

    A group that is named and that there is not is created too.
    """

    added: tuple[NewExperiment, ...] = ()
    changes: tuple[tuple[str, Change], ...] = ()


class Due(Struct, frozen=True):
    """An experiment that is to be started or finished: its app and key, its next status, and since when."""

    app: str
    key: str
    status: Status
    at: int


class ExperimentStore(Protocol):
    """Keeps experiments, groups and holdouts. Every method raises UnknownApp."""

    async def experiments(self, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> list[Experiment]:
        """Every one of them, in the order of creation."""
        ...

    async def add(
        self,
        experiments: Sequence[NewExperiment],
        now: int,
        metrics: Mapping[str, tuple[Metric, ...]] = NO_METRICS,
        app: str = DEFAULT_APP,
        kind: Kind = Kind.EXPERIMENT,
        by: By = PROGRAM,
    ) -> list[Experiment]:
        """Create these, and set the metrics of existing experiments, by key: all of it or nothing.

        Returns those that were created or changed. Raises Conflict when a key is taken, UnknownExperiment when none
        has a key of `metrics` or of a group, and InvalidExperiment when a group has no room.
        """
        ...

    async def change(
        self,
        key: str,
        rule: Callable[[Experiment], Change],
        now: int,
        app: str = DEFAULT_APP,
        kind: Kind = Kind.EXPERIMENT,
        by: By = PROGRAM,
    ) -> Experiment:
        """Apply what the rule decides about the experiment as it is now, in one transaction.

        One that is finished or archived leaves its group. Raises UnknownExperiment, or what the rule raises; then
        nothing is changed.
        """
        ...

    async def alter(
        self,
        rule: Callable[[list[Experiment]], Alteration],
        now: int,
        app: str = DEFAULT_APP,
        by: By = PROGRAM,
    ) -> None:
        """Do what the rule decides about all experiments as they are now, in one transaction: all of it or nothing.

        Raises Conflict when a key is taken, UnknownExperiment, or what the rule raises.
        """
        ...

    async def due(self, now: int) -> list[Due]:
        """What is to be started or finished by now, in any app, in the order of its times."""
        ...

    async def join(
        self, group: str, key: str, share: Decimal, now: int, app: str = DEFAULT_APP, by: By = PROGRAM
    ) -> Experiment:
        """Put an experiment into a group, and return the group. No other member's share or device changes.

        Raises UnknownExperiment, Conflict, or InvalidExperiment when the group has no room.
        """
        ...

    async def leave(self, group: str, key: str, now: int, app: str = DEFAULT_APP, by: By = PROGRAM) -> Experiment:
        """Take an experiment out of a group, and return the group. Raises UnknownExperiment or Conflict."""
        ...


class AppStore(Protocol):
    """Keeps apps."""

    async def apps(self) -> list[App]:
        """Every app, in the order of creation."""
        ...

    async def add_app(self, key: str, now: int, by: By = PROGRAM) -> App:
        """Create an app. Raises Conflict."""
        ...


class TestDeviceStore(Protocol):
    """Keeps test devices. Every method raises UnknownApp."""

    async def test_devices(self, app: str = DEFAULT_APP) -> list[TestDevice]:
        """Every test device of an app, in the order in which they were made or last changed."""
        ...

    async def add_test_device(
        self,
        token: str,
        values: Mapping[str, str],
        note: str,
        now: int,
        app: str = DEFAULT_APP,
        by: By = PROGRAM,
        newest: int | None = None,
    ) -> tuple[TestDevice, bool]:
        """Make a token a test device that gets these values, by key; and whether it replaces one with this token.

        `newest`: the largest number that was seen, of any test device. Raises UnknownExperiment, InvalidTestDevice
        when an experiment has no such value, Conflict when the app has too many, or ChangedMeanwhile when somebody
        made or changed this one since.
        """
        ...

    async def remove_test_device(
        self, token: str, now: int, app: str = DEFAULT_APP, by: By = PROGRAM, newest: int | None = None
    ) -> bool:
        """Let a token be what it was before; whether it is a device. Raises UnknownTestDevice or ChangedMeanwhile."""
        ...
