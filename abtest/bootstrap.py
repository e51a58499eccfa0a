"""The one place that wires settings -> store -> services -> server or worker."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from msgspec import structs

from abtest import clock
from abtest.domain import By, Experiment, Kind, Status
from abtest.enrolment import EnrolmentService, ExplanationService, Limits, Rate
from abtest.errors import Conflict, InvalidSetting, StorageError, Unavailable
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
from abtest.settings import Settings, in_postgres, without_password
from abtest.store import AuditStore, Store, lacking
from abtest.store.sqlite import SQLiteStore, recovery
from abtest.trust import VerificationService
from abtest.upkeep import ErasureService, Heartbeat, SystemService

if TYPE_CHECKING:
    from abtest.store.postgres import PostgresStore
    from abtest.web import HotServer, Services

REFRESH_SECONDS = 0.5
PATIENCE_SECONDS = 10.0
DISK_SECONDS = 1.0


BACKED_UP_BY_POSTGRES = (
    "database: PostgreSQL has its own tools for backups: pg_dump, or pg_basebackup with an archive of its log. To "
    "check a backup, restore it into another database, and run `abtest --database URL verify` on that one"
)
RESTORED_BY_POSTGRES = (
    "database: PostgreSQL has its own tools for restoring. Stop every server and worker, restore with pg_restore "
    "into an empty database, check it with `abtest verify`, and start again"
)


def database_path(database: str) -> Path:
    """The file of a database URL. Raises InvalidSetting."""
    scheme, separator, name = database.partition(":///")
    if scheme != "sqlite" or not separator or not name or name == ":memory:":
        raise InvalidSetting(
            "database: must look like sqlite:///abtest.db, sqlite:////var/lib/abtest.db or "
            "postgresql://abtest@db.example.com/abtest"
        )
    if Path(name).is_dir():
        raise InvalidSetting(f"database: {name} is a folder; name a file in it")
    return Path(name)


def database_name(database: str) -> str:
    """A database's name for people: the path of its file, or its URL without the password.

    Raises InvalidSetting.
    """
    return without_password(database) if in_postgres(database) else str(database_path(database))


def made_store(database: str, free_disk: float = 0, patience: float | None = None) -> Store:
    """The store of a database URL, not yet open; see `opened`. Raises InvalidSetting."""
    if not in_postgres(database):
        return SQLiteStore(database_path(database), free_disk, patience)
    return _postgres_store(database, patience)


def _postgres_store(database: str, patience: float | None = None) -> "PostgresStore":
    try:
        from abtest.store.postgres import PostgresStore  # noqa: PLC0415  # its packages may be missing
    except ImportError:
        raise InvalidSetting(
            "database: PostgreSQL needs psycopg, which is missing here: pip install 'abtest[postgres]'"
        ) from None
    return PostgresStore(database, patience)


@asynccontextmanager
async def opened(
    database: str,
    migrate: bool = False,
    create: bool = True,
    free_disk: float = 0,
    patience: float | None = PATIENCE_SECONDS,
) -> AsyncIterator[Store]:
    """Open the store of a database URL, and close it at the end.

    `free_disk`: megabytes of free disk below which no device is enrolled, if the free disk is known. `patience`: see
    Database; None in servers and workers. Raises InvalidSetting, StorageError, or Unavailable (`busy`).
    """
    store = made_store(database, free_disk, patience)
    await store.open(migrate, create)
    try:
        yield store
    finally:
        await store.close()


async def migrate(database: str) -> int:
    """Migrate a database to the newest schema, or create it; returns the schema's number."""
    async with opened(database, migrate=True) as store:
        return (await store.upkeep()).schema


async def prepare(settings: Settings, by: By) -> list[Experiment]:
    """Create or migrate the database, and add the demo experiments to a new one; returns all experiments."""
    async with opened(settings.database, migrate=True) as store:
        experiments = ExperimentService(store, by=by)
        there = await experiments.all()
        if there or await store.boots():
            return there
        with suppress(Conflict):  # another machine did it at this moment
            return await experiments.add(DEMO)
        return await experiments.all()


async def accept_loss(database: str, by: By) -> None:
    """Let servers go on after PostgreSQL lost answers. Raises InvalidSetting for SQLite."""
    if not in_postgres(database):
        raise InvalidSetting("database: only PostgreSQL fails over; see 'abtest restore' for SQLite")
    store = _postgres_store(database)
    await store.open(create=False)
    try:
        await store.accept_loss(by, clock.now())
    finally:
        await store.close()


async def first_link(database: str) -> str | None:
    """See SignInService.make_first_link."""
    async with opened(database) as store:
        return await SignInService(store).make_first_link()


async def back_up(store: Store, file: Path, progress: Callable[[int, int], None]) -> int:
    """Write a checked copy of the database, and note that there is one; see recovery.back_up.

    Raises InvalidSetting for a database in PostgreSQL.
    """
    if not isinstance(store, SQLiteStore):
        raise InvalidSetting(BACKED_UP_BY_POSTGRES)
    began = clock.now()
    devices = await recovery.back_up(store, file, progress, _audit, began)
    with suppress(Unavailable):  # if the database's disk is full, a backup on another disk is still good
        await store.note_backup(began)
    return devices


async def restore(file: Path, database: str, by: By) -> tuple[int, Path | None]:
    """Replace the database with a backup; see recovery.restore. Raises InvalidSetting for one in PostgreSQL."""
    if in_postgres(database):
        raise InvalidSetting(RESTORED_BY_POSTGRES)
    return await recovery.restore(file, database_path(database), _audit, by)


async def copy(database: str, target: str, progress: Callable[[int, int], None]) -> int:
    """Copy a database into an empty one, of whatever kind, and verify both; returns how many devices it has.

    `progress`: see Progress. Raises StorageError if a database is in use or damaged, or the target is not empty; see
    CopyStore. If the copy exists when this fails, nobody can open it.
    """
    task = asyncio.current_task()

    def told(done: int, total: int) -> None:
        if task is not None and task.cancelling():  # otherwise the thread would go on to the end
            raise asyncio.CancelledError
        progress(done, total)

    await made_store(database).require_unused()
    async with opened(database, create=False) as source, opened(target) as filled:
        await filled.require_empty()
        await _require_sound(source, "nothing was copied")
        try:
            await source.copy_to(filled, told)
        except RuntimeError as error:  # a value that the target can't have
            raise StorageError(f"cannot copy into {filled.name}: {error}; nothing was copied") from error
        devices = await _require_sound(filled, "delete it")
        if await source.boots() != await filled.boots():
            raise StorageError(
                f"a server or worker started on {source.name} meanwhile, and may have stored what the copy lacks; "
                f"stop it, delete {filled.name}, and copy again",
                code="in_use",
            )
        await filled.note_verified()
        return devices


async def _require_sound(store: Store, otherwise: str) -> int:
    devices, findings = await _audit(store)
    if findings:
        raise StorageError(f"{store.name} is damaged: {findings[0]}; {otherwise}", code="damaged")
    return devices


def still_containing(database: str) -> list[str]:
    """What may still contain the forgotten tokens, and what to do about each of these."""
    if in_postgres(database):
        return [
            "PostgreSQL's files may still contain what was forgotten until VACUUM and the next checkpoints have "
            "passed; its archive and its backups, until you delete them"
        ]
    return [
        f"{kept}, kept by a restore, may still contain what was forgotten; delete the file when nobody needs it"
        for kept in recovery.kept_files(database_path(database))
    ]


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
    """Answer requests on these sockets until `stop` is set; then take no more requests, answer the rest, and close.

    Raises StorageError when the file can no longer be trusted: a new process then recovers it.
    """
    # The web takes as long to load as everything else, so only a server loads it.
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
    """Until `stop` is set, say when a full disk begins to keep new devices out, and when that ends.

    The disk of PostgreSQL is not known.
    """
    if in_postgres(settings.database):
        return
    folder, refusing = database_path(settings.database).resolve().parent, False
    while not await clock.stopped(stop, DISK_SECONDS):
        with suppress(OSError):  # if the folder is gone, the processes that use it say so
            message = lacking(shutil.disk_usage(folder).free, settings.free_disk)
            if bool(message) is not refusing:
                refusing = not refusing
                say(message or "the disk has room again: new devices and events are accepted")


def wired(store: Store, settings: Settings) -> "Services":
    """The services of a server process."""
    from abtest.web import Management, Monitoring, Services, make_provider  # noqa: PLC0415  # as in `serve`

    limits = Limits(
        queue=settings.queue,
        cache=settings.cache,
        deadline=settings.deadline,
        per_source=Rate(settings.new_per_source, settings.new_per_source_burst),
        in_all=Rate(settings.new_in_all, max(1, settings.new_in_all)),
    )
    monitoring = Monitoring()
    return Services(
        enrolment=EnrolmentService(store, limits, monitoring.decided),
        reports=partial(ReportService, store),
        results=partial(ResultService, store),
        groups=partial(ReportService, store, kind=Kind.GROUP),
        holdouts=partial(ReportService, store, kind=Kind.HOLDOUT),
        holdout_results=partial(ResultService, store, kind=Kind.HOLDOUT),
        tracking=TrackingService(store, settings.queue, settings.deadline),
        simulation=partial(SimulationService, store, _simulation_lock(settings.database)),
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


def _simulation_lock(database: str) -> Path:
    """The file that all processes on this machine lock for a simulation."""
    if in_postgres(database):
        of_user = f"abtest-{os.getuid()}-{sha256(database.encode()).hexdigest()[:16]}"
        return Path(gettempdir(), f"{of_user}.simulation.lock")
    return Path(f"{database_path(database).resolve()}.simulation.lock")


async def work(settings: Settings, stop: asyncio.Event, say: Callable[[str], None]) -> None:
    """Keep the summary up to date until `stop` is set."""
    async with opened(settings.database, create=False, patience=None) as store:
        await store.boot()
        async with _beating(Heartbeat(store, "worker", settings), stop):
            await worker.work(store, settings.stats_interval, say, stop)


@asynccontextmanager
async def _beating(heartbeat: Heartbeat, stop: asyncio.Event) -> AsyncIterator[None]:
    """Until the end of the block, note that this process runs."""

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
