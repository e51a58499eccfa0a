"""What copying a whole database needs from the stores of both sides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

Progress = Callable[[int, int], None]
"""Gets how many devices and events are done, and how many there are."""

Rows = Iterable[Sequence[Any]]


class Target(Protocol):
    """An empty database that is filled, inside one transaction."""

    def put(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Add rows to a table, instead of those that every new database has there."""
        ...

    def finish(self, numbers: Mapping[str, int]) -> None:
        """Go on after these numbers, the highest that each table ever gave out."""
        ...


class CopyStore(Protocol):
    """Copies a database into another one, of whatever kind."""

    async def require_unused(self) -> None:
        """Before `open`. Raises StorageError (`in_use`) when a program has the database open."""
        ...

    async def require_empty(self) -> None:
        """Raises StorageError (`not_empty`) when anything but what a new database has is in it."""
        ...

    async def copy_to(self, target: "CopyStore", progress: Progress) -> None:
        """Copy everything into another database, which is empty: all of it or nothing. Nobody else writes meanwhile.

        Left out is what is true of this database alone: the processes that run on it, and its size on each day. The
        copy can't be opened again until `note_verified`.
        Raises StorageError, or Unavailable (`busy`, `storage_full`).
        """
        ...

    async def note_verified(self) -> None:
        """Let this copy be opened."""
        ...

    def fill(self, function: Callable[[Target], None]) -> None:
        """Run the function in one transaction, on a connection of its own, in this thread. Errors as in `copy_to`."""
        ...
