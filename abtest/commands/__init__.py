"""The command line: `abtest`."""

import os
import sys

import click

from abtest.commands import (
    apps,
    declaring,
    experiments,
    figures,
    groups,
    operating,
    people,
    planning,
    results,
    running,
    seed,
    test_devices,
    trust,
)
from abtest.commands.options import option
from abtest.errors import (
    AbtestError,
    InvalidExperiment,
    InvalidField,
    InvalidSetting,
    InvalidTestDevice,
    InvalidToken,
)
from abtest.settings import DATABASE

__all__ = ["abtest", "main"]

FAILED, USAGE = 1, 2
STANDARD_ERROR = 2
ASKED_WRONGLY = InvalidExperiment | InvalidField | InvalidSetting | InvalidTestDevice | InvalidToken


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="abtest", message="%(prog)s %(version)s")
@option("--database", setting=DATABASE, metavar="URL")
@click.pass_context
def abtest(context: click.Context, database: str) -> None:
    """A self-hosted A/B-test server for mobile apps: sticky, exact and durable.

    \b
    abtest up            start server and worker together
    abtest seed 600      send requests from 600 fake devices, over HTTP
    abtest stats         see how the devices are distributed
    abtest verify        check every promise against the database
    """
    context.obj = database


for group in (
    running,
    planning,
    experiments,
    groups,
    test_devices,
    apps,
    people,
    seed,
    figures,
    results,
    trust,
    operating,
):
    for command in group.COMMANDS:
        abtest.add_command(command)
for command in declaring.COMMANDS:
    experiments.experiments.add_command(command)


def main() -> None:
    """Run the command line. Errors become exit codes here and nowhere else: 1 for a failure, 2 for wrong usage."""
    _open_streams()
    try:
        abtest(prog_name="abtest")
    except AbtestError as error:
        click.echo(f"abtest: {error}", err=True)
        sys.exit(USAGE if isinstance(error, ASKED_WRONGLY) else FAILED)
    finally:
        _drop_unsaid()


def _drop_unsaid() -> None:
    """Drop messages that standard error did not take; otherwise Python would end with its own exit code, 120."""
    try:
        if sys.stderr is not None:  # None if it was closed at the start
            sys.stderr.flush()
    except OSError:
        sys.stderr = None


def _open_streams() -> None:
    """Open /dev/null in place of each closed standard stream; otherwise the next file or socket gets its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(number)
