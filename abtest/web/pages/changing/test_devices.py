"""The test devices of an app, and the forms that make and remove them. A token comes in a body alone."""

from typing import Any

from abtest.domain import LONGEST_NOTE, LONGEST_TOKEN, Experiment, Status
from abtest.management import ExperimentService, TestDeviceService
from abtest.web.base import parse_id
from abtest.web.pages.changing.attempting import AttemptPage
from abtest.web.services import ChangingListed, ChangingSeen


class TestDevices(AttemptPage):
    """All of them, and the form that makes one. `test_devices`: makes and removes them."""

    template = "test_devices.html"

    def initialize(
        self, experiments: ChangingSeen[ExperimentService], test_devices: ChangingListed[TestDeviceService]
    ) -> None:
        self._experiments = experiments
        self._test_devices = test_devices

    @property
    def listed(self) -> int:
        """The largest number in the list from which a form was sent."""
        return parse_id(self.get_body_argument("seen", "0"))

    @property
    def fills(self) -> bool:
        """Whether the form is only to be filled in with what the list said of a test device."""
        return bool(self.entered("fill"))

    @property
    def seen(self) -> TestDeviceService:
        """Changes no test device that the list did not show."""
        return self._test_devices(self.app, self.listed, by=self.by)

    async def about(self, *keys: str) -> dict[str, Any]:
        every = await self._test_devices(self.app, by=self.by).all()
        return {
            "test_devices": every,
            "seen": self.listed if self.fills else max((each.number for each in every), default=0),
            "experiments": await self._delivered(),
            "longest_token": LONGEST_TOKEN,
            "longest_note": LONGEST_NOTE,
        }

    async def post(self) -> None:
        if self.fills:
            await self.show()
        else:
            await self.attempt(self._add(), (), "/test-devices", "test_device_made")

    async def _delivered(self) -> list[Experiment]:
        every = await self._experiments(self.app, by=self.by).all()
        return [each for each in every if each.status is not Status.ARCHIVED]

    async def _add(self) -> None:
        values = {}
        for each in await self._delivered():
            places = {str(place): value for place, value in enumerate(each.values)}
            if (chosen := self.entered(f"value-{each.key}")) in places:
                values[each.key] = places[chosen]
        token, note = self.get_body_argument("token", "", strip=False), self.entered("note")
        await self.seen.add(token, values, note)


class RemoveTestDevice(TestDevices):
    """Lets a token be what it was before."""

    async def post(self) -> None:
        token = self.get_body_argument("token", "", strip=False)
        await self.attempt(self.seen.remove(token), (), "/test-devices", "test_device_removed")
