"""up, serve, worker: the processes."""

import asyncio
import os
import shutil
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource
from msgspec import structs

from abtest import bootstrap
from abtest.commands.options import Number, Whole, as_json, in_store, limits, option, print_json, say, with_store
from abtest.enrolment import Proxies
from abtest.errors import InvalidSetting
from abtest.language import counted, duration
from abtest.results import worker as stats_worker
from abtest.settings import ADDRESS, DEMO, PORT, PROCESSES, STATS_INTERVAL, Settings
from abtest.supervisor import LAST_SECONDS, Child, Supervisor, inherited, stop_event, supervised
from abtest.web import COUNTS_FOLDER, Origins, check_base_path, counts_folder, open_port, port_of

try:
    from uvloop import new_event_loop
except ImportError:  # not on this platform: the standard loop does the same, slower
    from asyncio import new_event_loop  # type: ignore[assignment]  # returns a wider type

PATIENCE_SECONDS = 1.0

address_option = option("--address", setting=ADDRESS)
port_option = option("--port", setting=PORT, type=Whole(0, 65535))
processes_option = option("--processes", setting=PROCESSES, type=Whole(0, 64))
interval = option("--interval", setting=STATS_INTERVAL, type=Number(0.1, 86_400), metavar="SECONDS")

demo = option("--demo", setting=DEMO)


@click.command()
@address_option
@port_option
@processes_option
@interval
@demo
@limits
@click.pass_obj
def up(database: str, /, interval: float, **options: Any) -> None:
    """Start the server and the stats worker together; Ctrl-C stops both.

    The first start creates the database and adds two demo experiments; an older database is migrated. A process that
    dies is started again.

    \b
    abtest up
    abtest up --address 0.0.0.0 --port 80
    """
    asyncio.run(_up(_settings(database, interval, options)))


@click.command()
@address_option
@port_option
@processes_option
@interval
@demo
@limits
@click.pass_obj
def serve(database: str, /, interval: float, **options: Any) -> None:
    """Start only the server. The statistics also need `abtest worker`.

    \b
    abtest serve --port 9000 --processes 2
    """
    settings = _settings(database, interval, options)
    if settings.process_count == 1:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(settings))
    else:
        asyncio.run(_serve_together(settings))


@click.command()
@interval
@option("--once", is_flag=True, help="Update the statistics once and exit, even while a worker runs.")
@as_json
@click.pass_obj
def worker(database: str, interval: float, once: bool, as_json: bool) -> None:
    """Start only the stats worker, which updates the figures that the pages show.

    If several run, one works and the others wait to take over. --json needs --once.

    \b
    abtest worker --interval 5
    abtest worker --once
    """
    if once:
        folded = with_store(database, stats_worker.tick)
        if as_json:
            print_json({"folded": folded})
            return
        say(f"folded {counted(folded, 'new device')} into the statistics")
        return
    # ABTEST_JSON is for commands that print: `up` hands its environment to the worker.
    if click.get_current_context().get_parameter_source("as_json") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--json needs --once: a worker that keeps running prints nothing")
    asyncio.run(_work(Settings(database=database, stats_interval=interval)))


COMMANDS = (up, serve, worker)


async def _up(settings: Settings) -> None:
    experiments = await bootstrap.prepare(settings)
    settings = bootstrap.with_demo(settings, experiments)
    sockets = open_port(settings.address, settings.port)
    url = settings.url(port_of(sockets))
    workers = [Child("the stats worker", ("worker",), settings.environment())]
    with counts_folder() as counts:
        stop = stop_event()
        watching = asyncio.create_task(bootstrap.watch_disk(settings, stop, say))
        children = _servers(settings, counts) + workers
        running = asyncio.create_task(Supervisor(children, say, sockets).run(stop))
        if await _answers(url, running):
            _welcome(settings, url, len(experiments))
        await running
        watching.cancel()
    say("stopped")


async def _serve_together(settings: Settings) -> None:
    await _require(settings.database)
    sockets = open_port(settings.address, settings.port)
    url = settings.url(port_of(sockets))
    with counts_folder() as counts:
        stop = stop_event()
        watching = asyncio.create_task(bootstrap.watch_disk(settings, stop, say))
        running = asyncio.create_task(Supervisor(_servers(settings, counts), say, sockets).run(stop))
        if await _answers(url, running):
            say(f"listening on {url} with {settings.process_count} processes; Ctrl-C stops them")
        await running
        watching.cancel()


async def _require(database: str) -> None:
    """Say what is wrong with the database once, before anything starts, or that it is created."""
    await in_store(database, lambda store: store.config_version())


async def _serve(settings: Settings) -> None:
    stop = stop_event(LAST_SECONDS)
    if not supervised():
        await _require(settings.database)
    sockets = inherited() or open_port(settings.address, settings.port)
    if supervised():  # the supervisor speaks for its children
        await bootstrap.serve(settings, sockets, stop)
        return
    watching = asyncio.create_task(bootstrap.watch_disk(settings, stop, say))
    await bootstrap.serve(settings, sockets, stop, say)
    watching.cancel()


async def _work(settings: Settings) -> None:
    stop = stop_event(LAST_SECONDS)
    if not supervised():
        await _require(settings.database)
        say(f"updating the statistics every {duration(settings.stats_interval)}; Ctrl-C stops it")
    await bootstrap.work(settings, stop, say)


async def _answers(url: str, running: "asyncio.Task[None]") -> bool:
    """Whether a server answers, before all have ended: connections are accepted from the beginning."""
    place = urlsplit(url)
    while not running.done():
        with suppress(OSError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_connection(place.hostname, place.port)
                try:
                    writer.write(b"HEAD /healthz HTTP/1.1\r\nHost: abtest\r\n\r\n")
                    if await reader.readline():
                        return True
                finally:
                    writer.close()
        await asyncio.sleep(0.05)
    return False


def _servers(settings: Settings, counts: str) -> list[Child]:
    count = settings.process_count
    environment = structs.replace(settings, processes=1).environment() | {COUNTS_FOLDER: counts}
    return [
        Child("the server" if count == 1 else f"server {number + 1}", ("serve",), environment, serves=True)
        for number in range(count)
    ]


def _settings(database: str, interval: float, options: dict[str, Any]) -> Settings:
    """Raises InvalidSetting."""
    try:
        Proxies(options["trusted_proxies"])
    except ValueError as error:
        raise InvalidSetting(f"trusted-proxies: {error}") from None
    Origins(options["cors_origins"])
    check_base_path(options["base_path"])
    return Settings(database=database, stats_interval=interval, **options)


def _welcome(settings: Settings, url: str, experiments: int) -> None:
    program = "abtest" if shutil.which("abtest") else os.path.relpath(Path(sys.executable).with_name("abtest"))
    options = "" if settings.port == PORT.default else f" --url {url}"
    demo = f", and {url}/demo to be a device" if settings.demo == "on" else ""
    say(f"""abtest {version("abtest")} is running; Ctrl-C stops it

  server     {url}, {settings.process_count} process{"" if settings.process_count == 1 else "es"}
  worker     updates the statistics every {duration(settings.stats_interval)}
  database   {bootstrap.database_path(settings.database)}, {counted(experiments, "experiment")}

Try next:

  curl -H 'Device-Token: my-phone' {url}/api/v1/experiments
  {program} seed 600{options}
  open {url}/ in a browser{demo}
""")
