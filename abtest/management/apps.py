"""Apps: what the devices, experiments and events of one server belong to."""

from abtest import clock
from abtest.domain import DEFAULT_APP, App, By, check_key
from abtest.store import AppStore


class AppService:
    """Creates apps."""

    def __init__(self, store: AppStore, *, by: By) -> None:
        self._store = store
        self._by = by

    async def all(self) -> list[App]:
        """Every app, in the order of creation."""
        return await self._store.apps()

    async def add(self, key: str) -> App:
        """Create an app; returns once it is durable. Raises InvalidExperiment or Conflict."""
        return await self._store.add_app(check_key(key), clock.now(), self._by)


def app_option(app: str) -> str:
    """What a command that is shown to people needs to mean this app."""
    return "" if app == DEFAULT_APP else f" --app {app}"
