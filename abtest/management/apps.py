"""Apps: each device, experiment and event belongs to one."""

from abtest import clock
from abtest.domain import DEFAULT_APP, KEY, KEY_RULE, App, By
from abtest.errors import InvalidField, UnknownApp
from abtest.store import AppStore


class AppService:
    """Creates apps."""

    def __init__(self, store: AppStore, *, by: By) -> None:
        self._store = store
        self._by = by

    async def all(self) -> list[App]:
        """Every app, in the order of creation."""
        return await self._store.apps()

    async def one(self, key: str) -> App:
        """The app with this key. Raises UnknownApp."""
        found = next((each for each in await self.all() if each.key == key), None)
        if found is None:
            raise UnknownApp(key)
        return found

    async def add(self, key: str) -> App:
        """Create an app; returns once it is durable. Raises InvalidField or Conflict."""
        if not KEY.fullmatch(key):
            raise InvalidField(KEY_RULE, field="key")
        return await self._store.add_app(key, clock.now(), self._by)


def app_option(app: str) -> str:
    """The option that a command shown to people needs for this app; empty for the default one."""
    return "" if app == DEFAULT_APP else f" --app {app}"
