"""Apps: what the devices, experiments and events of one server belong to."""

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
    """What a command that is shown to people needs to mean this app."""
    return "" if app == DEFAULT_APP else f" --app {app}"
