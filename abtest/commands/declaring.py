"""experiments load: what a TOML file describes."""

from pathlib import Path

import click

from abtest.commands.experiments import ask_whether_less, described
from abtest.commands.options import as_json, print_json, with_store
from abtest.errors import InvalidExperiment
from abtest.management import ExperimentService, parse_toml


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
@click.pass_obj
def load(database: str, file: Path, as_json: bool) -> None:
    """Add the experiments in a TOML file. If anything in it is wrong, nothing is added.

    \b
    [[experiments]]
    key = "button_color"
    description = "does the colour change conversion?"
    metrics = ["conversion:purchase"]
    variants = [{ value = "#FF0000", weight = 50 }, { value = "#00FF00", weight = 50 }]

    A table [metrics] sets the metrics of experiments that already exist.

    \b
    [metrics]
    price = ["amount:purchase", "conversion:refund/14d"]
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file}: must be UTF-8 text") from None
    try:
        new = parse_toml(text)
    except InvalidExperiment as error:
        raise InvalidExperiment(f"{file}: {error}") from None
    loaded = with_store(database, lambda store: ExperimentService(store).add(new.experiments, new.metrics))
    for experiment in loaded:
        ask_whether_less(experiment)
    if as_json:
        print_json([described(experiment) for experiment in loaded])
        return
    for experiment in loaded:
        if experiment.key in new.metrics:
            click.echo(f"{experiment.key} is judged by {', '.join(map(str, experiment.metrics)) or 'nothing'}")
        else:
            click.echo(f"added {experiment.key}, {experiment.status.said}")


COMMANDS = (load,)
