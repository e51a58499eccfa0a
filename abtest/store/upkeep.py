"""Where the condition of the store is asked, and tokens are erased."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from abtest.errors import StorageError
from abtest.settings import FREE_DISK


class Condition(Struct, frozen=True):
    """How the place where everything is kept is doing, in bytes."""

    database_bytes: int
    log_bytes: int
    free_bytes: int


def is_full(free_bytes: int, free_disk: float) -> bool:
    """Whether new devices and events are refused: less than `free_disk` megabytes are free."""
    return free_bytes < free_disk * 1_000_000


def lacking(free_bytes: int, free_disk: float) -> str:
    """What is refused for want of room, for operators; empty when there is room."""
    if not is_full(free_bytes, free_disk):
        return ""
    return (
        f"new devices and events are refused: {free_bytes // 1_000_000:,} MB of disk are free, "
        f"less than the {free_disk:,.12g} MB of {FREE_DISK.variable}"
    )


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
