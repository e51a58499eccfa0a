"""stats: the summary in the terminal."""

import click

from abtest import clock
from abtest.commands.options import as_json, of_app, print_json, print_table, say, with_store
from abtest.language import age, counted, number, percent, places
from abtest.results import Report, ReportService


@click.command()
@of_app
@as_json
@click.pass_obj
def stats(database: str, app: str, as_json: bool) -> None:
    """Show how the devices are distributed over the variants, as the stats worker counted them last."""
    report = with_store(database, lambda store: ReportService(store, app).report())
    if as_json:
        print_json(report.figures)
    else:
        _print(report)


COMMANDS = (stats,)


def _print(report: Report) -> None:
    if report.restored_at is not None and report.restored_to is not None:
        say(
            f"restored from a backup at {clock.iso(report.restored_at)}: devices that first came after "
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
