"""What the handlers call."""

from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

from abtest.domain import By
from abtest.enrolment import EnrolmentService, ExplanationService
from abtest.events import TrackingService
from abtest.export import ExportService
from abtest.management import (
    AccessTokenService,
    AppService,
    ExperimentService,
    GroupService,
    HoldoutService,
    JournalService,
    PeopleService,
    SharedLinkService,
    SignInService,
    TestDeviceService,
)
from abtest.results import ProspectService, ReportService, ResultService, SimulationService
from abtest.settings import Settings
from abtest.store import ConditionStore
from abtest.upkeep import ErasureService, SystemService
from abtest.web.base import OfApp
from abtest.web.monitoring import Monitoring

if TYPE_CHECKING:
    from abtest.web.single_sign_on.provider import Provider

S_co = TypeVar("S_co", covariant=True)


class Changing(Protocol[S_co]):
    """Gives the service with which somebody changes what is in an app."""

    def __call__(self, app: str, *, by: By) -> S_co: ...


class ChangingSeen(Protocol[S_co]):
    """The same. With a `revision`, the service changes only what still has this revision."""

    def __call__(self, app: str, revision: str | None = None, *, by: By) -> S_co: ...


class ChangingListed(Protocol[S_co]):
    """The same. With `newest`, the largest number that a list showed, the service changes nothing newer."""

    def __call__(self, app: str, newest: int | None = None, *, by: By) -> S_co: ...


class ChangingAll(Protocol[S_co]):
    """Gives the service with which somebody changes what belongs to no app."""

    def __call__(self, *, by: By) -> S_co: ...


class Management(Struct, frozen=True):
    """What people change."""

    experiments: ChangingSeen[ExperimentService]
    groups: Changing[GroupService]
    holdouts: ChangingSeen[HoldoutService]
    test_devices: ChangingListed[TestDeviceService]
    erasure: Changing[ErasureService]
    people: ChangingAll[PeopleService]
    apps: ChangingAll[AppService]
    access_tokens: AccessTokenService
    shared_links: SharedLinkService
    journal: JournalService
    signing_in: SignInService


class Services(Struct, frozen=True):
    """What the handlers call. An `OfApp` gives each app a service of its own."""

    enrolment: EnrolmentService
    reports: OfApp[ReportService]
    results: OfApp[ResultService]
    groups: OfApp[ReportService]
    holdouts: OfApp[ReportService]
    holdout_results: OfApp[ResultService]
    tracking: TrackingService
    simulation: OfApp[SimulationService]
    explanations: OfApp[ExplanationService]
    prospects: OfApp[ProspectService]
    exports: Changing[ExportService]
    management: Management
    system: SystemService
    store: ConditionStore
    monitoring: Monitoring
    provider: "Provider | None"
    settings: Settings
