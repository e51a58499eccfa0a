"""status: whether all is well, for operators."""

from collections.abc import Iterator

import click

from abtest.commands.options import as_json, print_json, print_table, with_store
from abtest.language import age, counted, number, places, size
from abtest.upkeep import ProcessState, State, System, SystemService


@click.command()
@as_json
@click.pass_obj
def status(database: str, as_json: bool) -> None:
    """Show whether all is well, and what to do if not.

    Exit code 1 if something is wrong at this moment, such as a stats worker that is not running.

    \b
    abtest status
    """
    system = with_store(database, lambda store: SystemService(store).system(), create=False)
    if as_json:
        print_json(system)
    else:
        _print(system)
    if system.state is State.PROBLEM:
        raise click.exceptions.Exit(1)


COMMANDS = (status,)


def _print(system: System) -> None:
    for warning in system.warnings:
        click.echo(f"{'PROBLEM' if warning.urgent else 'WARNING'}  {warning.says}\n         {warning.do}")
    if not system.warnings:
        click.echo("all is well")
    click.echo()
    for name, told in _facts(system):
        click.echo(f"{name:11}  {told}")
    if system.processes:
        click.echo()
        headings = ["KIND", "HOST", "PID", "VERSION", "STARTED", "LAST SEEN", "WAITING"]
        print_table(headings, [_row(each) for each in system.processes], frozenset({2, 6}))


def _facts(system: System) -> Iterator[tuple[str, str]]:
    versions, schema, database = system.versions, system.schema, system.database
    worker, refused = system.worker, system.refused
    yield "versions", f"abtest {versions.abtest}, Python {versions.python}, {versions.database}"
    newest = "the newest" if schema.number == schema.newest else f"but this program knows only up to {schema.newest}"
    yield "schema", f"{schema.number}, {newest}"
    log = "" if database.log_bytes is None else f", and a log of {size(database.log_bytes)}"
    yield "database", f"{size(database.bytes)}{log}"
    if database.bytes_per_day is None or database.measured_days is None:
        yield "growth", "known after a day"
    else:
        measured = f"measured over {places(database.measured_days)} days"
        yield "growth", f"{size(database.bytes_per_day)} a day, {measured}"
    free = database.free_disk_bytes
    yield "free disk", "not known: the disk is PostgreSQL's" if free is None else size(free)
    tick = "has never run" if worker.age_seconds is None else f"last tick {age(worker.age_seconds)} ago"
    yield "worker", f"{tick}, {counted(worker.devices_behind, 'device')} behind"
    yield "waiting", f"up to {counted(system.waiting, 'request')} at once, in the last 10 seconds"
    codes = ", ".join(f"{code} {number(requests)}" for code, requests in refused.by_code.items())
    lately = sum(refused.lately.values())
    yield "refused", f"{codes} since {refused.since}; {number(lately)} in the last 5 minutes" if codes else "none"
    yield "last backup", _backup(system)


def _backup(system: System) -> str:
    if not system.backups_known:
        return "not known: PostgreSQL's own tools make backups"
    return "none" if system.last_backup_seconds is None else f"{age(system.last_backup_seconds)} ago"


def _row(process: ProcessState) -> list[str]:
    return [
        process.kind,
        process.host,
        str(process.pid),
        process.version,
        process.started,
        f"{age(process.last_seen_seconds)} ago",
        number(process.waiting) if process.kind == "server" else "-",
    ]
