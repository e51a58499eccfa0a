"""db: the database."""

import asyncio

import click

from abtest import bootstrap
from abtest.commands.options import as_json, copying, print_json, say, user, with_store
from abtest.language import counted


@click.group()
def db() -> None:
    """Migrate, check or copy the database, or accept what it lost."""


@db.command()
@as_json
@click.pass_obj
def migrate(database: str, as_json: bool) -> None:
    """Migrate an older database to the schema of this program, or create a missing one."""
    schema = asyncio.run(bootstrap.migrate(database))
    if as_json:
        print_json({"schema": schema})
    else:
        click.echo(f"{bootstrap.database_name(database)} has schema {schema}")


@db.command()
@as_json
@click.pass_obj
def check(database: str, as_json: bool) -> None:
    """Ask the database itself whether it is damaged; exit code 1 if it is.

    SQLite checks its whole file. PostgreSQL tells what it has noticed: invalid indexes and wrong checksums; its own
    pg_amcheck looks further. To check the promises, use `abtest verify`.
    """
    found = with_store(database, lambda store: store.check())
    if as_json:
        print_json({"sound": not found, "findings": found})
    else:
        for finding in found or ["the database is sound"]:
            click.echo(finding)
    if found:
        raise click.exceptions.Exit(1)


@db.command("accept-loss")
@click.pass_obj
def accept_loss(database: str) -> None:
    """Let servers go on after a failover of PostgreSQL that lost answers.

    If a standby became the primary without some answers that servers had stored, the servers refuse new devices and
    events (503 `answers_lost`). First try to get the answers back: promote a standby that has them. After this
    command, a device whose answer was lost is a new one when it asks again.
    """
    asyncio.run(bootstrap.accept_loss(database, user()))
    say("accepted; servers go on within a second")


@db.command()
@click.argument("target", metavar="URL")
@as_json
@click.pass_obj
def copy(database: str, target: str, as_json: bool) -> None:
    """Copy everything into the empty database URL, in SQLite or PostgreSQL. Stop every server and worker first.

    Devices keep their values, and new devices are drawn as they would have been. Both databases are verified. Either
    everything is copied or nothing; a copy that was not verified can't be used.

    \b
    abtest --database sqlite:///abtest.db db copy postgresql://abtest@db.example.com/abtest
    """
    with copying() as progress:
        devices = asyncio.run(bootstrap.copy(database, target, progress))
    name = bootstrap.database_name(target)
    if as_json:
        print_json({"database": name, "devices": devices})
    else:
        say(
            f"{name} has {counted(devices, 'device')}, as {bootstrap.database_name(database)} has; both were verified"
        )


COMMANDS = (db,)
