"""up, serve, worker: the processes."""

import asyncio
import os
import shutil
import sys
from collections.abc import Coroutine
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource
from msgspec import structs

from abtest import bootstrap
from abtest import worker as stats_worker
from abtest.commands.options import as_json, limits, option, print_json, say, with_store
from abtest.errors import InvalidSetting
from abtest.limiting import Proxies
from abtest.settings import ADDRESS, DEMO, PORT, PROCESSES, STATS_INTERVAL, Settings
from abtest.supervisor import LAST_SECONDS, Child, Supervisor, reserve, stop_event, supervised
from abtest.web.monitoring import FOLDER

try:
    from uvloop import new_event_loop
except ImportError:  # not on this platform: the standard loop does the same, slower
    from asyncio import new_event_loop  # type: ignore[assignment]  # returns a wider type

address_option = option("--address", setting=ADDRESS)
port_option = option("--port", setting=PORT, type=click.IntRange(0, 65535))
processes_option = option("--processes", setting=PROCESSES, type=click.IntRange(0, 64))
interval = option("--interval", setting=STATS_INTERVAL, type=click.FloatRange(0.1, 86_400), metavar="SECONDS")

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
    """Start server and stats worker together; Ctrl-C stops both.

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
    """Start the server alone.

    The statistics need `abtest worker` beside it.

    \b
    abtest serve --port 9000 --processes 2
    """
    settings = _settings(database, interval, options)
    if supervised():
        _run(_serve(settings, settings.port))
        return
    asyncio.run(bootstrap.check(database))  # what is wrong with it is said once, before anything starts
    held, port = reserve(settings.address, settings.port)
    with held:
        if settings.process_count == 1:
            _run(_serve(settings, port))
        else:
            asyncio.run(_serve_together(settings, port))


@click.command()
@interval
@option("--once", is_flag=True, help="Bring the statistics up to date and end, even while a worker runs.")
@as_json
@click.pass_obj
def worker(database: str, interval: float, once: bool, as_json: bool) -> None:
    """Start the stats worker alone.

    It keeps the summary that the pages show. Several may run; one works, the others wait for its end. --json is for
    --once.

    \b
    abtest worker --interval 5
    abtest worker --once
    """
    if once:
        folded = with_store(database, stats_worker.tick)
        if as_json:
            print_json({"folded": folded})
            return
        say(f"folded {folded:,} new device{'' if folded == 1 else 's'} into the statistics")
        return
    # ABTEST_JSON is for commands that print: `up` hands its environment to the worker.
    if click.get_current_context().get_parameter_source("as_json") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--json needs --once: a worker that goes on prints nothing")
    asyncio.run(_work(Settings(database=database, stats_interval=interval)))


COMMANDS = (up, serve, worker)


async def _up(settings: Settings) -> None:
    experiments = await bootstrap.prepare(settings)
    settings = bootstrap.with_demo(settings, experiments)
    held, port = reserve(settings.address, settings.port)
    workers = [Child("the stats worker", ("worker",), settings.environment())]
    with held, _counts() as counts:
        stop = stop_event()
        running = asyncio.create_task(Supervisor(_servers(settings, port, counts) + workers, say).run(stop))
        if await _answers(settings.url(port), stop):
            _welcome(settings, port, len(experiments))
        await running
    say("stopped")


async def _serve_together(settings: Settings, port: int) -> None:
    with _counts() as counts:
        stop = stop_event()
        running = asyncio.create_task(Supervisor(_servers(settings, port, counts), say).run(stop))
        if await _answers(settings.url(port), stop):
            say(f"listening on {settings.url(port)} with {settings.process_count} processes; Ctrl-C stops them")
        await running


def _counts() -> "TemporaryDirectory[str]":
    """The folder through which server processes share what they counted."""
    return TemporaryDirectory(prefix="abtest-")


async def _serve(settings: Settings, port: int) -> None:
    stop = stop_event(LAST_SECONDS)
    quiet = supervised()
    await bootstrap.serve(settings, port, stop, (lambda message: None) if quiet else say)


async def _work(settings: Settings) -> None:
    stop = stop_event(LAST_SECONDS)
    if not supervised():
        say(f"updating the statistics every {settings.stats_interval:g} s; Ctrl-C stops it")
    await bootstrap.work(settings, stop, say, create=not supervised())


def _run(server: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(server)


async def _answers(url: str, stop: asyncio.Event) -> bool:
    """Whether a server came up before it was stopped."""
    place = urlsplit(url)
    while not stop.is_set():
        with suppress(OSError):
            _, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.close()
            return True
        await asyncio.sleep(0.05)
    return False


def _servers(settings: Settings, port: int, counts: str) -> list[Child]:
    count = settings.process_count
    environment = structs.replace(settings, port=port, processes=1).environment() | {FOLDER: counts}
    return [
        Child("the server" if count == 1 else f"server {number + 1}", ("serve",), environment)
        for number in range(count)
    ]


def _settings(database: str, interval: float, options: dict[str, Any]) -> Settings:
    """Raises InvalidSetting."""
    try:
        Proxies(options["trusted_proxies"])
    except ValueError as error:
        raise InvalidSetting(f"trusted-proxies: {error}") from None
    return Settings(database=database, stats_interval=interval, **options)


def _welcome(settings: Settings, port: int, experiments: int) -> None:
    url = settings.url(port)
    program = "abtest" if shutil.which("abtest") else os.path.relpath(Path(sys.executable).with_name("abtest"))
    options = "" if settings.port == PORT.default else f" --url {url}"
    count = settings.process_count
    demo = f", and {url}/demo to be a device" if settings.demo == "on" else ""
    say(f"""abtest {version("abtest")} is running; Ctrl-C stops it

  server     {url}, {count} process{"" if count == 1 else "es"}
  worker     updates the statistics every {settings.stats_interval:g} s
  database   {bootstrap.database_path(settings.database)}, {experiments} experiment{"" if experiments == 1 else "s"}

Try next:

  curl -H 'Device-Token: my-phone' {url}/api/v1/experiments
  {program} seed 600{options}
  open {url}/ in a browser{demo}
""")
