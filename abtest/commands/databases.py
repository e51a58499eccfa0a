"""db: the database file."""

import click

from abtest import bootstrap
from abtest.commands.options import as_json, print_json, with_store
from abtest.store import migrations
from abtest.store.sqlite import SQLiteStore


@click.group()
def db() -> None:
    """Migrate or check the database."""


@db.command()
@click.pass_obj
def migrate(database: str) -> None:
    """Bring an older database to the schema of this program; create a missing one."""

    async def opened(store: SQLiteStore) -> None:
        """Opening it migrated it."""

    with_store(database, opened, migrate=True)
    click.echo(f"{bootstrap.database_path(database)} has schema {migrations.newest()}")


@db.command()
@as_json
@click.pass_obj
def check(database: str, as_json: bool) -> None:
    """Let SQLite examine the file; exit 1 when it finds damage. `abtest verify` checks the promises."""
    found = with_store(database, lambda store: store.check())
    if as_json:
        print_json({"sound": not found, "findings": found})
    else:
        for finding in found or ["the file is sound"]:
            click.echo(finding)
    if found:
        raise click.exceptions.Exit(1)


COMMANDS = (db,)
