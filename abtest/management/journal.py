"""The journal: who changed what."""

from typing import Protocol

from abtest.domain import Entry, text_fault
from abtest.errors import UnknownApp
from abtest.store import AppStore, JournalStore


class EntryStore(AppStore, JournalStore, Protocol):
    """What reading the journal needs."""


class JournalService:
    """Finds entries of the journal."""

    def __init__(self, store: EntryStore) -> None:
        self._store = store

    async def newest(
        self,
        most: int,
        app: str | None = None,
        by: str | None = None,
        about: str | None = None,
        since: int | None = None,
    ) -> list[Entry]:
        """See JournalStore.entries. Raises UnknownApp."""
        if app is not None and app not in {each.key for each in await self._store.apps()}:
            raise UnknownApp(app)
        if text_fault(f"{by}{about}"):
            return []  # no entry has such a text, and some of them no store can look for
        return await self._store.entries(most, app, by, about, since)
