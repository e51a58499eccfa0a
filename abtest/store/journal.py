"""Reading the journal: who changed what."""

from typing import Protocol

from abtest.domain import Entry, Kind, Sought


class JournalStore(Protocol):
    """Reads the journal. Methods that change something write it, in the transaction of the change."""

    async def entries(self, sought: Sought, most: int) -> list[Entry]:
        """The entries that are sought, at most so many, the newest first."""
        ...

    async def changes(self, key: str, app: str, kind: Kind, most: int) -> list[Entry]:
        """The newest changes of one experiment, group or holdout, at most so many, the newest first."""
        ...
