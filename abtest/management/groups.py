"""Groups and holdouts, which decide about each new device before experiments do."""

from decimal import Decimal

from abtest import clock
from abtest.domain import DEFAULT_APP, By, Change, Experiment, Kind, Status, new_group, new_holdout, parse_metrics
from abtest.errors import Conflict
from abtest.management.lifecycle import of_key, require_revision
from abtest.store import ExperimentStore


class GroupService:
    """Creates groups, and puts experiments into them.

    Every method returns once the change is durable. Raises UnknownApp, UnknownExperiment, InvalidExperiment, or
    Conflict.
    """

    def __init__(self, store: ExperimentStore, app: str = DEFAULT_APP, *, by: By) -> None:
        self._store = store
        self._app = app
        self._by = by

    async def all(self) -> list[Experiment]:
        """Every group, in the order of creation."""
        return await self._store.experiments(self._app, Kind.GROUP)

    async def one(self, key: str) -> Experiment:
        """The group with this key."""
        return of_key(key, await self.all(), Kind.GROUP)

    async def add(self, key: str, description: str = "") -> Experiment:
        """Create a group without experiments."""
        new = new_group(key, description)
        (added,) = await self._store.add([new], clock.now(), app=self._app, kind=Kind.GROUP, by=self._by)
        return added

    async def join(self, group: str, key: str, share: Decimal) -> Experiment:
        """Put an experiment into a group; of new devices, it can get only those that the group gives it."""
        return await self._store.join(group, key, share, clock.now(), self._app, self._by)

    async def leave(self, group: str, key: str) -> Experiment:
        """Take an experiment out of a group, which frees its share; the experiment can get any new device."""
        return await self._store.leave(group, key, clock.now(), self._app, self._by)


class HoldoutService:
    """Creates and ends holdouts. Returns and raises as GroupService does."""

    def __init__(
        self, store: ExperimentStore, app: str = DEFAULT_APP, revision: str | None = None, *, by: By
    ) -> None:
        """`revision`: see ExperimentService."""
        self._store = store
        self._app = app
        self._revision = revision
        self._by = by

    async def all(self) -> list[Experiment]:
        """Every holdout, in the order of creation."""
        return await self._store.experiments(self._app, Kind.HOLDOUT)

    async def one(self, key: str) -> Experiment:
        """The holdout with this key."""
        return of_key(key, await self.all(), Kind.HOLDOUT)

    async def add(self, key: str, share: Decimal, description: str = "", metrics: tuple[str, ...] = ()) -> Experiment:
        """Hold this part of all new devices, from now on: they are in no experiment, ever."""
        new = new_holdout(key, share, description, metrics)
        (added,) = await self._store.add([new], clock.now(), app=self._app, kind=Kind.HOLDOUT, by=self._by)
        return added

    async def end(self, key: str) -> Experiment:
        """Hold no more devices. Those that are held stay held."""

        def rule(holdout: Experiment) -> Change:
            require_revision(holdout, self._revision)
            if holdout.status is not Status.RUNNING:
                raise Conflict(f"the holdout {key} has ended already", code="impossible_transition")
            return Change(status=Status.PAUSED)

        return await self._store.change(key, rule, clock.now(), self._app, Kind.HOLDOUT, self._by)

    async def measure(self, key: str, metrics: tuple[str, ...]) -> Experiment:
        """Change what held and free devices are compared by; the first metric is the primary one."""
        wanted = parse_metrics(metrics)

        def rule(holdout: Experiment) -> Change:
            require_revision(holdout, self._revision)
            return Change(metrics=wanted)

        return await self._store.change(key, rule, clock.now(), self._app, Kind.HOLDOUT, self._by)
