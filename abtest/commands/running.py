"""up, serve, worker: the processes."""

import asyncio
from typing import Any

import click
from click.core import ParameterSource

from abtest import bootstrap
from abtest.commands.options import Number, Whole, as_json, limits, option, print_json, require, say, with_store
from abtest.language import counted, duration
from abtest.results import worker as stats_worker
from abtest.settings import ADDRESS, ANONYMOUS, DEMO, PORT, PROCESSES, STATS_INTERVAL, Settings
from abtest.supervisor import LAST_SECONDS, stop_event, supervised

address_option = option("--address", setting=ADDRESS)
port_option = option("--port", setting=PORT, type=Whole(0, 65535))
processes_option = option("--processes", setting=PROCESSES, type=Whole(0, 64))
interval = option("--interval", setting=STATS_INTERVAL, type=Number(0.1, 86_400), metavar="SECONDS")

demo = option("--demo", setting=DEMO)
anonymous = option("--anonymous", setting=ANONYMOUS)


@click.command()
@address_option
@port_option
@processes_option
@interval
@demo
@anonymous
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
    from abtest.commands import serving  # noqa: PLC0415  # only a command that serves loads the web

    serving.up(Settings(database=database, stats_interval=interval, **options))


@click.command()
@address_option
@port_option
@processes_option
@interval
@demo
@anonymous
@limits
@click.pass_obj
def serve(database: str, /, interval: float, **options: Any) -> None:
    """Start only the server. The statistics also need `abtest worker`.

    \b
    abtest serve --port 9000 --processes 2
    """
    from abtest.commands import serving  # noqa: PLC0415  # the same

    serving.serve(Settings(database=database, stats_interval=interval, **options))


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
        folded = with_store(database, lambda store: stats_worker.tick(store, say))
        if as_json:
            print_json({"folded": folded})
            return
        say(f"folded {counted(folded, 'new device')} into the statistics")
        return
    # ABTEST_JSON is for commands that print, and `up` hands its environment to the worker: so only --json is refused.
    if click.get_current_context().get_parameter_source("as_json") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--json needs --once: a worker that keeps running prints nothing")
    asyncio.run(_work(Settings(database=database, stats_interval=interval)))


COMMANDS = (up, serve, worker)


async def _work(settings: Settings) -> None:
    stop = stop_event(LAST_SECONDS)
    if not supervised():
        await require(settings.database)
        say(f"updating the statistics every {duration(settings.stats_interval)}; Ctrl-C stops it")
    await bootstrap.work(settings, stop, say)
