"""The one place that wires settings -> store -> services -> server or worker."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from abtest import clock
from abtest.domain import By, Experiment, Kind, Status
from abtest.enrolment import EnrolmentService, ExplanationService, Limits, Rate
from abtest.errors import InvalidSetting, Unavailable
from abtest.events import TrackingService
from abtest.export import ExportService
from abtest.management import (
    DEMO,
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
from abtest.results import ProspectService, ReportService, ResultService, SimulationService, worker
from abtest.settings import DEMO as DEMO_PAGE
from abtest.settings import Settings
from abtest.store import AuditStore, Store, lacking
from abtest.store.sqlite import SQLiteStore, migrations, recovery
from abtest.trust import VerificationService
from abtest.upkeep import ErasureService, Heartbeat, SystemService

if TYPE_CHECKING:
    from abtest.web import HotServer, Services

REFRESH_SECONDS = 0.5
PATIENCE_SECONDS = 10.0
DISK_SECONDS = 1.0


def database_path(database: str) -> Path:
    """The file of a database URL. Raises InvalidSetting."""
    scheme, separator, name = database.partition(":///")
    if database.startswith("postgres"):
        raise InvalidSetting("database: this version keeps everything in SQLite; use sqlite:///PATH")
    if scheme != "sqlite" or not separator or not name or name == ":memory:":
        raise InvalidSetting("database: must look like sqlite:///abtest.db, or sqlite:////var/lib/abtest.db")
    if Path(name).is_dir():
        raise InvalidSetting(f"database: {name} is a folder; name a file in it")
    return Path(name)


@asynccontextmanager
async def opened(
    database: str,
    migrate: bool = False,
    create: bool = True,
    free_disk: float = 0,
    patience: float | None = PATIENCE_SECONDS,
) -> AsyncIterator[SQLiteStore]:
    """Open the store of a database URL, and close it at the end.

    `free_disk`: megabytes of free disk below which no device is enrolled. `patience`: see Database; None in servers
    and workers. Raises InvalidSetting, StorageError, or Unavailable (`busy`).
    """
    store = SQLiteStore(database_path(database), free_disk, patience)
    await store.open(migrate, create)
    try:
        yield store
    finally:
        await store.close()


async def migrate(database: str) -> int:
    """Bring a database to the newest schema, or create it; returns the schema's number."""
    async with opened(database, migrate=True):
        return migrations.newest()


async def prepare(settings: Settings, by: By) -> list[Experiment]:
    """Create or migrate the database, and add the demo experiments to a new one; returns all experiments."""
    async with opened(settings.database, migrate=True) as store:
        experiments = ExperimentService(store, by=by)
        there = await experiments.all()
        if there or await store.boots():
            return there
        return await experiments.add(DEMO)


async def first_link(database: str) -> str | None:
    """See SignInService.make_first_link."""
    async with opened(database) as store:
        return await SignInService(store).make_first_link()


async def back_up(store: Store, file: Path, progress: Callable[[int, int], None]) -> int:
    """Write a checked copy of the database, and note that there is one; see recovery.back_up."""
    began = clock.now()
    devices = await recovery.back_up(store, file, progress, _audit)
    with suppress(Unavailable):  # a full disk does not make a backup on another one worse
        await store.note_backup(began)
    return devices


async def restore(file: Path, database: str, by: By) -> tuple[int, Path | None]:
    """Make a backup the database; see recovery.restore."""
    return await recovery.restore(file, database_path(database), _audit, by)


def kept_files(database: str) -> list[Path]:
    """See recovery.kept_files."""
    return recovery.kept_files(database_path(database))


def with_demo(settings: Settings, experiments: Sequence[Experiment]) -> Settings:
    """The settings with `auto` decided: the demo page is on if its experiments exist and are not archived."""
    if settings.demo != DEMO_PAGE.default:
        return settings
    delivered = {each.key for each in experiments if each.status != Status.ARCHIVED}
    return structs.replace(settings, demo="on" if delivered >= {each.key for each in DEMO} else "off")


async def serve(
    settings: Settings,
    sockets: list[socket.socket],
    stop: asyncio.Event,
    say: Callable[[str], None] = lambda message: None,
) -> None:
    """Answer requests on these sockets until `stop` is set; then take no more, answer the accepted ones, and close.

    Raises StorageError when the file can no longer be trusted: a new process then recovers it.
    """
    # It takes as long to load as all the rest: only who serves loads it.
    from abtest.web import listen, make_app, port_of, stop_serving  # noqa: PLC0415

    async with opened(settings.database, create=False, free_disk=settings.free_disk, patience=None) as store:
        await store.boot()
        services = wired(store, settings)
        app = make_app(services)
        server = listen(app, settings, sockets)
        say(f"listening on {settings.url(port_of(sockets))}; Ctrl-C stops it")
        heartbeat = Heartbeat(store, "server", settings, services.monitoring.refusals)
        try:
            await _watch(app, services, heartbeat, stop)
        finally:
            await stop_serving(server)
            await heartbeat.stop()


async def watch_disk(settings: Settings, stop: asyncio.Event, say: Callable[[str], None]) -> None:
    """Until `stop` is set, say when a full disk begins to keep new devices out, and when that ends."""
    folder, refusing = database_path(settings.database).resolve().parent, False
    while not await clock.stopped(stop, DISK_SECONDS):
        with suppress(OSError):  # if the folder is gone, the processes that use it say so
            message = lacking(shutil.disk_usage(folder).free, settings.free_disk)
            if bool(message) is not refusing:
                refusing = not refusing
                say(message or "the disk has room again: new devices and events are accepted")


def wired(store: SQLiteStore, settings: Settings) -> "Services":
    """The services of a server process."""
    from abtest.web import Management, Monitoring, Services, make_provider  # noqa: PLC0415  # as in `serve`

    limits = Limits(
        queue=settings.queue,
        cache=settings.cache,
        deadline=settings.deadline,
        per_source=Rate(settings.new_per_source, settings.new_per_source_burst),
        in_all=Rate(settings.new_in_all, max(1, settings.new_in_all)),
    )
    lock = Path(f"{database_path(settings.database).resolve()}.simulation.lock")
    monitoring = Monitoring()
    return Services(
        enrolment=EnrolmentService(store, limits, monitoring.decided),
        reports=partial(ReportService, store),
        results=partial(ResultService, store),
        groups=partial(ReportService, store, kind=Kind.GROUP),
        holdouts=partial(ReportService, store, kind=Kind.HOLDOUT),
        holdout_results=partial(ResultService, store, kind=Kind.HOLDOUT),
        tracking=TrackingService(store, settings.queue, settings.deadline),
        simulation=partial(SimulationService, store, lock),
        explanations=partial(ExplanationService, store),
        exports=partial(ExportService, store),
        prospects=partial(ProspectService, store),
        management=Management(
            experiments=partial(ExperimentService, store),
            groups=partial(GroupService, store),
            holdouts=partial(HoldoutService, store),
            test_devices=partial(TestDeviceService, store),
            erasure=partial(ErasureService, store),
            people=partial(PeopleService, store),
            apps=partial(AppService, store),
            access_tokens=AccessTokenService(store),
            shared_links=SharedLinkService(store),
            journal=JournalService(store),
            signing_in=SignInService(store),
        ),
        system=SystemService(store),
        store=store,
        monitoring=monitoring,
        provider=make_provider(settings),
        settings=settings,
    )


async def work(settings: Settings, stop: asyncio.Event, say: Callable[[str], None]) -> None:
    """Keep the summary up to date until `stop` is set."""
    async with opened(settings.database, create=False, patience=None) as store:
        await store.boot()
        async with _beating(Heartbeat(store, "worker", settings), stop):
            await worker.work(store, settings.stats_interval, say, stop)


@asynccontextmanager
async def _beating(heartbeat: Heartbeat, stop: asyncio.Event) -> AsyncIterator[None]:
    """Note that this process runs until the end of the block."""

    async def beat() -> None:
        heartbeat.beat()
        while not await clock.stopped(stop, REFRESH_SECONDS):
            heartbeat.beat()

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await heartbeat.stop()


async def _audit(store: AuditStore) -> tuple[int, Sequence[str]]:
    verified = await VerificationService(store).verify()
    return verified.devices, verified.findings


async def _watch(app: "HotServer", services: "Services", heartbeat: Heartbeat, stop: asyncio.Event) -> None:
    """Notice when experiments change, note that this process runs, and raise a failure of the database."""
    while not await clock.stopped(stop, REFRESH_SECONDS):
        if services.store.failure is not None:
            raise services.store.failure
        app.observe()
        heartbeat.beat(services.enrolment.waiting + services.tracking.waiting)
        with suppress(Unavailable):
            await services.enrolment.refresh()
