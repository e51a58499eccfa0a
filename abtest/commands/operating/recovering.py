"""backup, restore, forget: for operators."""

import asyncio
from pathlib import Path
from typing import TextIO

import click

from abtest import bootstrap
from abtest.commands.options import as_json, copying, of_app, option, print_json, say, user, with_store
from abtest.domain import check_token
from abtest.errors import InvalidToken
from abtest.language import counted, number
from abtest.store import Store
from abtest.upkeep import ErasureService


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@as_json
@click.pass_obj
def backup(database: str, file: Path, as_json: bool) -> None:
    """Write a checked copy of the database while everything runs. PostgreSQL has its own tools for that.

    \b
    abtest backup abtest-monday.db
    """

    async def run(store: Store) -> int:
        with copying() as progress:
            return await bootstrap.back_up(store, file, progress)

    devices = with_store(database, run, create=False)
    if as_json:
        print_json({"file": str(file), "devices": devices})
    else:
        say(f"{file} has {counted(devices, 'device')}; it was checked and can be restored")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@as_json
@click.pass_obj
def restore(database: str, file: Path, as_json: bool) -> None:
    """Replace the database with the backup FILE. Stop every server and worker first; the old file is kept.

    PostgreSQL has its own tools for that.

    Devices first seen after the backup was made are drawn again when they ask again; the pages and `abtest stats`
    say so.

    \b
    abtest restore abtest-monday.db
    """
    devices, kept = asyncio.run(bootstrap.restore(file, database, user()))
    if as_json:
        print_json({"devices": devices, "kept": None if kept is None else str(kept)})
        return
    say(f"{bootstrap.database_name(database)} is now the backup {file}, with {counted(devices, 'device')}")
    if kept is not None:
        say(f"the old database is kept as {kept}")


@click.command()
@click.argument("token", required=False)
@option(
    "--from-file",
    "file",
    type=click.File(encoding="utf-8", errors="surrogateescape"),  # so that an error can name a line that is no UTF-8
    help="Forget every token in this file, one per line.",
)
@of_app
@as_json
@click.pass_obj
def forget(database: str, token: str | None, file: TextIO | None, app: str, as_json: bool) -> None:
    """Erase a person's token and events. Shares stay as they are; if the device comes back, it is a new one.

    Backups, and the old files that a restore kept as abtest.db.before-..., contain the token until you delete them.

    \b
    abtest forget my-phone
    abtest forget --from-file tokens.txt
    """
    if token is not None and file is None:
        tokens = [check_token(token)]
    elif file is not None and token is None:
        tokens = _listed(file)
    else:
        raise click.UsageError("give either a TOKEN or --from-file")

    erased = with_store(database, lambda store: ErasureService(store, app, by=user()).forget(tokens))
    if as_json:
        print_json({"tokens": len(tokens), "forgotten": erased.forgotten})
    else:
        say(f"forgot {number(erased.forgotten)} of {counted(len(tokens), 'token')}")
    if not erased.log_emptied:
        say(
            "the database's log may still contain what was forgotten, because a program is reading the database; "
            "run this again later"
        )
    for containing in bootstrap.still_containing(database):
        say(containing)
    if erased.forgotten < len(tokens):
        raise click.exceptions.Exit(1)


def _listed(file: TextIO) -> list[str]:
    """The tokens of a file, one a line. Raises UsageError that names the file and the line."""
    tokens = []
    for place, line in enumerate(file, start=1):
        where, token = f"{file.name}, line {place}", line.rstrip("\r\n")
        if not token.strip():
            say(f"{where}: skipped, because the line is empty")
            continue
        try:
            tokens.append(check_token(token))
        except InvalidToken as error:
            raise click.UsageError(f"{where}: {error}") from None
    if not tokens:
        raise click.UsageError(f"{file.name}: the file contains no token")
    return tokens


COMMANDS = (backup, restore, forget)
