"""stats: the summary in the terminal. export: the rows behind it, as files."""

import sys
from contextlib import aclosing, nullcontext
from pathlib import Path

import click

from abtest import clock
from abtest.commands.options import as_json, of_app, option, print_json, print_table, say, user, with_store
from abtest.domain import parse_since
from abtest.export import Asked, ExportService, Format, new_file
from abtest.language import age, counted, number, percent, places
from abtest.results import Report, ReportService
from abtest.store import Store, Table

STANDARD_OUTPUT = "-"


@click.command()
@of_app
@as_json
@click.pass_obj
def stats(database: str, app: str, as_json: bool) -> None:
    """Show how the devices are distributed over the variants, as the stats worker last counted them."""
    report = with_store(database, lambda store: ReportService(store, app).report())
    if as_json:
        print_json(report.figures)
    else:
        _print(report)


@click.command()
@click.argument("table", type=click.Choice(list(Table), case_sensitive=False), metavar="devices|assignments|events")
@click.argument("file")
@option(
    "--format",
    type=click.Choice(list(Format), case_sensitive=False),
    help="The file's format; by default the one that its ending names, or else CSV.",
)
@option(
    "--since",
    metavar="TIME",
    help="Only what was stored since this time or day, such as 2026-12-03T09:00:00Z or 2026-12-03.",
)
@option("--tokens", is_flag=True, help="Add each device's token. Its number is always there.")
@of_app
@click.pass_obj
def export(
    database: str, table: Table, file: str, format: Format | None, since: str | None, tokens: bool, app: str
) -> None:
    """Write all devices, assignments or events to FILE, while everything runs; - is standard output.

    \b
    abtest export devices devices.csv
    abtest export events - --format jsonl --since 2026-12-03T09:00:00Z
    """
    asked = Asked(
        table=table,
        format=format or next((each for each in Format if file.endswith(f".{each}")), Format.CSV),
        since=0 if since is None else parse_since(since),
        tokens=tokens,
    )

    async def run(store: Store) -> None:
        with click.progressbar(length=1, label="exporting", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

            def progress(done: int, total: int) -> None:
                bar.length = total
                bar.update(done - bar.pos)

            async with aclosing(await ExportService(store, app, by=user()).begin(asked, progress)) as pieces:
                with nullcontext(sys.stdout.buffer) if file == STANDARD_OUTPUT else new_file(Path(file)) as written:
                    async for piece in pieces:
                        written.write(piece)
                    written.flush()

    with_store(database, run, create=False)


COMMANDS = (stats, export)


def _print(report: Report) -> None:
    if report.restored_at is not None and report.restored_to is not None:
        say(
            f"restored from a backup at {clock.iso(report.restored_at)}: devices first seen after "
            f"{clock.iso(report.restored_to)} may get other values"
        )
    figures = report.figures
    if figures.as_of is None:
        say("no figures yet: the stats worker has not run; try: abtest worker --once")
        return
    click.echo(f"{counted(figures.devices, 'device')}, as of {figures.as_of} ({age(figures.age_seconds or 0)} ago)")
    for experiment in figures.experiments:
        click.echo(f"\n{experiment.key}: {experiment.status}, {counted(experiment.devices, 'device')}")
        rows = [
            [
                variant.value,
                number(variant.devices),
                percent(variant.percent / 100, 2, 2),
                variant.share,
                places(variant.expected),
            ]
            for variant in experiment.variants
        ]
        print_table(["VARIANT", "DEVICES", "PERCENT", "SHARE", "EXPECTED"], rows, frozenset({1, 2, 3, 4}))
