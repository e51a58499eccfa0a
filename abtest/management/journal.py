"""The journal: who changed what."""

from typing import Protocol

from abtest.domain import DEFAULT_APP, KEY, Entry, Kind, Sought, text_fault
from abtest.errors import UnknownApp
from abtest.store import AppStore, JournalStore

MOST_CHANGES = 100


class EntryStore(AppStore, JournalStore, Protocol):
    """What reading the journal needs."""


class JournalService:
    """Finds entries of the journal."""

    def __init__(self, store: EntryStore) -> None:
        self._store = store

    async def newest(self, sought: Sought, most: int) -> list[Entry]:
        """See JournalStore.entries. Raises UnknownApp."""
        if sought.app is not None and sought.app not in {each.key for each in await self._store.apps()}:
            raise UnknownApp(sought.app)
        if text_fault(f"{sought.by}{sought.about}"):
            return []  # no entry has such a text, and some such texts are beyond what a store can look for
        return await self._store.entries(sought, most)

    async def changes(self, key: str, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> list[Entry]:
        """The newest changes of an experiment, a group or a holdout, at most MOST_CHANGES, the newest first."""
        return await self._store.changes(key, app, kind, MOST_CHANGES) if KEY.fullmatch(key) else []
