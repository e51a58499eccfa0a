"""Devices and test devices, as JSON for programs. Tokens are in headers and bodies, so no URL has them."""

from http import HTTPStatus

from msgspec import Struct

from abtest.domain import check_token
from abtest.enrolment import ExplanationService
from abtest.errors import InvalidField, UnknownDevice, UnknownExperiment
from abtest.management import TestDeviceService, described_test_device
from abtest.upkeep import ErasureService
from abtest.web.api.admin.base import AdminHandler
from abtest.web.base import OfApp
from abtest.web.reading import device_token
from abtest.web.services import Changing


class NewTestDevice(Struct, forbid_unknown_fields=True):
    """A token, and the values that it gets, by key of the experiment."""

    token: str
    values: dict[str, str] | None = None
    note: str | None = None


class AdminTestDevices(AdminHandler):
    """The test devices of an app."""

    def initialize(self, test_devices: Changing[TestDeviceService]) -> None:
        self._test_devices = test_devices

    @property
    def service(self) -> TestDeviceService:
        """Changes the test devices of the app."""
        return self._test_devices(self.app, by=self.caller.by)

    async def get(self) -> None:
        self.answer([described_test_device(each) for each in await self.service.all()])

    head = get

    async def post(self) -> None:
        new = self.read(NewTestDevice)
        try:
            made, changed = await self.service.add(new.token, new.values or {}, new.note or "")
        except UnknownExperiment as error:
            raise InvalidField(str(error), field="values") from None
        self.answer(described_test_device(made), HTTPStatus.OK if changed else HTTPStatus.CREATED)

    async def delete(self) -> None:
        await self.service.remove(device_token(self.request.headers))
        self.set_status(HTTPStatus.NO_CONTENT)


class AdminDevice(AdminHandler):
    """One device: why it has its values; and forgetting it."""

    def initialize(self, explanations: OfApp[ExplanationService], erasure: Changing[ErasureService]) -> None:
        self._explanations = explanations(self.app)
        self._erasure = erasure

    async def get(self) -> None:
        self.answer(await self._explanations.why(check_token(device_token(self.request.headers))))

    head = get

    async def delete(self) -> None:
        token = check_token(device_token(self.request.headers))
        erased = await self._erasure(self.app, by=self.caller.by).forget([token])
        if not erased.forgotten:
            raise UnknownDevice("no device has asked for its experiments with this token")
        if erased.log_emptied:
            self.set_status(HTTPStatus.NO_CONTENT)
        else:
            self.answer(erased, HTTPStatus.ACCEPTED)
