"""What a connection of either database can do."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Cursor(Protocol):
    """The rows that a statement returned, or how many it changed."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        ...

    @property
    def description(self) -> Any:
        """The columns of the rows, each with its name first."""
        ...

    def fetchone(self) -> Any:
        """The next row, if there is one."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Runs statements in a transaction that the caller began. Parameters are written as ? or ?1."""

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run a statement."""
        ...

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run a statement once for each of these rows of parameters."""
        ...
