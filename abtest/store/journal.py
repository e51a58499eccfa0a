"""Reading the journal: who changed what."""

from typing import Protocol

from abtest.domain import Entry, Sought


class JournalStore(Protocol):
    """Reads the journal. The methods that change something write it, each entry in the transaction of its change."""

    async def entries(self, sought: Sought, most: int) -> list[Entry]:
        """The newest of these entries, at most so many, the newest first."""
        ...
