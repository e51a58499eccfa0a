"""Test devices: a person chooses what a token gets."""

from collections.abc import Mapping

from abtest import clock
from abtest.domain import DEFAULT_APP, TestDevice, check_note, check_token
from abtest.store import TestDeviceStore


class TestDeviceService:
    """Makes test devices and removes them. Every server process knows of a change within a second."""

    def __init__(self, store: TestDeviceStore) -> None:
        self._store = store

    async def all(self, app: str = DEFAULT_APP) -> list[TestDevice]:
        """Every test device of an app. Raises UnknownApp."""
        return await self._store.test_devices(app)

    async def add(
        self, token: str, values: Mapping[str, str], note: str, made_by: str, app: str = DEFAULT_APP
    ) -> tuple[TestDevice, bool]:
        """Let a token get exactly these values, by key; and whether that changes a test device.

        Raises InvalidToken, InvalidTestDevice, UnknownApp, UnknownExperiment or Conflict.
        """
        return await self._store.add_test_device(
            check_token(token), values, check_note(note), made_by, clock.now(), app
        )

    async def remove(self, token: str, app: str = DEFAULT_APP) -> bool:
        """Let a token be what it was before; whether it is a device. Raises UnknownApp or UnknownTestDevice."""
        return await self._store.remove_test_device(token, app)
