"""Erasing what is known of a person: the token of a device and its events."""

from collections.abc import Sequence

from msgspec import Struct

from abtest.domain import DEFAULT_APP, By
from abtest.store import ErasureStore


class Erased(Struct, frozen=True):
    """How many devices were forgotten, and whether the database's log no longer holds anything of them."""

    forgotten: int
    log_emptied: bool


class ErasureService:
    """Forgets devices of an app."""

    def __init__(self, store: ErasureStore, app: str = DEFAULT_APP, *, by: By) -> None:
        self._store = store
        self._app = app
        self._by = by

    async def forget(self, tokens: Sequence[str]) -> Erased:
        """Erase these tokens and their events. Shares stay as they are. Raises UnknownApp."""
        forgotten = await self._store.forget(tokens, self._app, self._by)
        return Erased(forgotten, await self._store.empty_log())
