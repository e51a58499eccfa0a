"""Reading the journal: who changed what."""

from typing import Protocol

from abtest.domain import Entry


class JournalStore(Protocol):
    """Reads the journal. The methods that change something write it, each entry in the transaction of its change."""

    async def entries(
        self,
        most: int,
        app: str | None = None,
        by: str | None = None,
        about: str | None = None,
        since: int | None = None,
    ) -> list[Entry]:
        """The newest entries, at most so many, the newest first.

        `app`: only those made in it. `by`: this text is in what is said of who made it. `about`: of the experiment,
        group, holdout or app with this key. `since`: not before this time.
        """
        ...
