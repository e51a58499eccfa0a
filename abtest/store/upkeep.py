"""Where the condition of the store is asked, and tokens are erased."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from abtest.errors import StorageError


class Condition(Struct, frozen=True):
    """How the place where everything is kept is doing, in bytes."""

    database_bytes: int
    log_bytes: int
    free_bytes: int


class ConditionStore(Protocol):
    """Where the condition is asked."""

    @property
    def failure(self) -> StorageError | None:
        """The first StorageError; from then on every call raises it, and this process must end."""
        ...

    def condition(self) -> Condition:
        """Sizes now. Raises StorageError."""
        ...


class ErasureStore(Protocol):
    """Where a person's token is erased."""

    async def forget(self, tokens: Sequence[str]) -> int:
        """Replace these tokens by random ones that nobody knows; how many were there.

        The device rows and their assignments stay, so that counts and blocks do; a forgotten device that asks again
        is a new device.
        """
        ...

    async def empty_log(self) -> bool:
        """Take what was erased out of the log, too; False where somebody reads the database all the time."""
        ...
