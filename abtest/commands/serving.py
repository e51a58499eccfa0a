"""The processes of `up` and `serve`. Importing this module loads the web."""

import asyncio
import os
import shutil
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import structs

from abtest import bootstrap
from abtest.commands.options import require, say, user
from abtest.enrolment import Proxies
from abtest.errors import InvalidSetting
from abtest.language import counted, duration
from abtest.settings import PORT, Settings
from abtest.supervisor import LAST_SECONDS, Child, Supervisor, inherited, stop_event, supervised
from abtest.web import (
    COUNTS_FOLDER,
    Origins,
    check_base_path,
    check_single_sign_on,
    counts_folder,
    open_port,
    port_of,
)

try:
    from uvloop import new_event_loop
except ImportError:  # not on this platform: the standard loop does the same, slower
    from asyncio import new_event_loop  # type: ignore[assignment]  # returns a wider type

PATIENCE_SECONDS = 1.0


def up(settings: Settings) -> None:
    """Run servers and a worker until they are stopped. Raises InvalidSetting."""
    _check(settings)
    asyncio.run(_up(settings))


def serve(settings: Settings) -> None:
    """Run servers until they are stopped. Raises InvalidSetting."""
    _check(settings)
    if settings.process_count == 1:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(settings))
    else:
        asyncio.run(_serve_together(settings))


def _check(settings: Settings) -> None:
    try:
        Proxies(settings.trusted_proxies)
    except ValueError as error:
        raise InvalidSetting(f"trusted-proxies: {error}") from None
    Origins(settings.cors_origins)
    check_base_path(settings.base_path)
    settings.check_public_url()
    check_single_sign_on(settings)


async def _up(settings: Settings) -> None:
    experiments = await bootstrap.prepare(settings, user())
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
            if link := await bootstrap.first_link(settings.database):
                _invite(settings.public(url), link)
        await running
        watching.cancel()
    say("stopped")


async def _serve_together(settings: Settings) -> None:
    await require(settings.database)
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


async def _serve(settings: Settings) -> None:
    stop = stop_event(LAST_SECONDS)
    if not supervised():
        await require(settings.database)
    sockets = inherited() or open_port(settings.address, settings.port)
    if supervised():  # the supervisor speaks for its children
        await bootstrap.serve(settings, sockets, stop)
        return
    watching = asyncio.create_task(bootstrap.watch_disk(settings, stop, say))
    await bootstrap.serve(settings, sockets, stop, say)
    watching.cancel()


async def _answers(url: str, running: "asyncio.Task[None]") -> bool:
    """Wait until a server answers; False if all end before. That a connection is accepted says nothing yet."""
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


def _invite(url: str, link: str) -> None:
    say(f"""Nobody can change anything in the browser yet. Open this link within a day to become the first admin:
  {url}/sign-in/first/{link}
You can look around without an account.
""")


def _welcome(settings: Settings, url: str, experiments: int) -> None:
    program = "abtest" if shutil.which("abtest") else os.path.relpath(Path(sys.executable).with_name("abtest"))
    options = "" if settings.port == PORT.default else f" --url {url}"
    public = settings.public(url)
    demo = f", and {public}/demo to be a device" if settings.demo == "on" else ""
    say(f"""abtest {version("abtest")} is running; Ctrl-C stops it

  server     {url}, {settings.process_count} process{"" if settings.process_count == 1 else "es"}
  worker     updates the statistics every {duration(settings.stats_interval)}
  database   {bootstrap.database_name(settings.database)}, {counted(experiments, "experiment")}

Try next:

  curl -H 'Device-Token: my-phone' {url}/api/v1/experiments
  {program} seed 600{options}
  open {public}/ in a browser{demo}
""")
