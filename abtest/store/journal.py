"""Reading the journal: who changed what."""

from typing import Protocol

from abtest.domain import Entry, Kind, Sought


class JournalStore(Protocol):
    """Reads the journal. The methods that change something write it, each entry in the transaction of its change."""

    async def entries(self, sought: Sought, most: int) -> list[Entry]:
        """The newest of these entries, at most so many, the newest first."""
        ...

    async def changes(self, key: str, app: str, kind: Kind, most: int) -> list[Entry]:
        """The newest changes of one experiment, group or holdout, at most so many, the newest first."""
        ...
