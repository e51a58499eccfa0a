"""Storing what people make: experiments, apps and test devices. `by`: who makes a change, as the journal has it."""

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
    """The experiments to create, and the changes to make one after another, each with the key of its experiment.

    A group that is named but does not exist is created too.
    """

    added: tuple[NewExperiment, ...] = ()
    changes: tuple[tuple[str, Change], ...] = ()


class Due(Struct, frozen=True):
    """An experiment that is to be started or finished: its app and key, its next status, and when that was due."""

    app: str
    key: str
    status: Status
    at: int


class ExperimentStore(Protocol):
    """Keeps experiments, groups and holdouts. Every method raises UnknownApp."""

    async def experiments(self, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> list[Experiment]:
        """Every experiment, group or holdout of an app, in the order of creation."""
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

        Returns those that were created or changed. Raises Conflict when a key is taken, UnknownExperiment when an
        experiment in `metrics` or a group does not exist, and InvalidExperiment when a group has no room.
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

        An experiment that is finished or archived leaves its group. Raises UnknownExperiment, or what the rule
        raises; then nothing is changed.
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
        """The experiments of all apps that are due to start or finish by now, in the order of their times."""
        ...

    async def join(
        self, group: str, key: str, share: Decimal, now: int, app: str = DEFAULT_APP, by: By = PROGRAM
    ) -> Experiment:
        """Put an experiment into a group, and return the group. The other members keep their shares and devices.

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
        """Make a token a test device that gets these values, by key. Also returns whether it was one before.

        `newest`: the largest number of a test device that the caller has seen. Raises UnknownExperiment,
        InvalidTestDevice when an experiment has no such value, Conflict when the app has too many test devices, or
        ChangedMeanwhile when somebody made or changed this one since.
        """
        ...

    async def remove_test_device(
        self, token: str, now: int, app: str = DEFAULT_APP, by: By = PROGRAM, newest: int | None = None
    ) -> bool:
        """Remove a test device; returns whether it is a device. Raises UnknownTestDevice or ChangedMeanwhile."""
        ...
