"""Test devices: a person chooses what a token gets."""

from collections.abc import Mapping

from abtest import clock
from abtest.domain import DEFAULT_APP, By, TestDevice, check_note, check_token
from abtest.store import TestDeviceStore


class TestDeviceService:
    """Makes test devices of an app, and removes them. Every server process knows of a change within a second."""

    def __init__(self, store: TestDeviceStore, app: str = DEFAULT_APP, newest: int | None = None, *, by: By) -> None:
        """`newest`: the largest number that was seen; test devices made or changed since are left as they are."""
        self._newest = newest
        self._store = store
        self._app = app
        self._by = by

    async def all(self) -> list[TestDevice]:
        """Every test device. Raises UnknownApp."""
        return await self._store.test_devices(self._app)

    async def add(self, token: str, values: Mapping[str, str], note: str) -> tuple[TestDevice, bool]:
        """Let a token get exactly these values, by key. Also returns whether it was a test device already.

        Raises InvalidToken, InvalidTestDevice, InvalidField, UnknownApp, UnknownExperiment, Conflict or
        ChangedMeanwhile.
        """
        return await self._store.add_test_device(
            check_token(token), values, check_note(note), clock.now(), self._app, self._by, self._newest
        )

    async def remove(self, token: str) -> bool:
        """Let a token be what it was before, and return whether that is a device.

        Raises InvalidToken, UnknownApp, UnknownTestDevice or ChangedMeanwhile.
        """
        return await self._store.remove_test_device(
            check_token(token), clock.now(), self._app, self._by, self._newest
        )
