"""What copying a whole database needs from the stores on both sides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

Progress = Callable[[int, int], None]
"""Is told how many devices and events are copied, and how many there are."""

Rows = Iterable[Sequence[Any]]


class Target(Protocol):
    """An empty database that is being filled, inside one transaction."""

    def put(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Add rows to a table, in place of those that every new database has there."""
        ...

    def finish(self, numbers: Mapping[str, int]) -> None:
        """Let each table go on after the highest number that it ever gave out."""
        ...


class CopyStore(Protocol):
    """Copies a database into another one, of whatever kind."""

    async def require_unused(self) -> None:
        """Raises StorageError (`in_use`) when a program has the database open. Call it before `open`."""
        ...

    async def require_empty(self) -> None:
        """Raises StorageError (`not_empty`) when there is more in the database than in a new one."""
        ...

    async def copy_to(self, target: "CopyStore", progress: Progress) -> None:
        """Copy everything into another, empty database: all of it or nothing. Nobody else writes meanwhile.

        What is true of this database alone is left out: the processes that run on it, and its size on each day. The
        copy can't be opened again until `note_verified`.
        Raises StorageError, or Unavailable (`busy`, `storage_full`).
        """
        ...

    async def note_verified(self) -> None:
        """Note that this copy was verified: from now on it can be opened."""
        ...

    def fill(self, function: Callable[[Target], None]) -> None:
        """Run the function in one transaction, on a connection of its own, in this thread. Errors as in `copy_to`."""
        ...
