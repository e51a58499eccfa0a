"""experiments load, apply and dump: experiments in a TOML file."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

import click

from abtest.commands.experiments import ask_whether_less, state
from abtest.commands.options import as_json, of_app, option, print_json, say, user, with_store
from abtest.domain import Status
from abtest.errors import InvalidExperiment
from abtest.management import (
    ExperimentService,
    Proposal,
    as_declared,
    described,
    parse_declared,
    parse_toml,
    write_toml,
)

T = TypeVar("T")

file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command()
@file_argument
@of_app
@as_json
@click.pass_obj
def load(database: str, file: Path, app: str, as_json: bool) -> None:
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
    new = _parsed(file, parse_toml)
    loaded = with_store(
        database, lambda store: ExperimentService(store, app, by=user()).add(new.experiments, new.metrics)
    )
    for experiment in loaded:
        ask_whether_less(experiment)
    if as_json:
        print_json([described(experiment) for experiment in loaded])
        return
    for experiment in loaded:
        if experiment.key in new.metrics:
            click.echo(f"{experiment.key} is judged by {', '.join(map(str, experiment.metrics)) or 'nothing'}")
        else:
            click.echo(f"added {experiment.key}, {state(experiment)}")


@click.command()
@file_argument
@option("--yes", is_flag=True, help="Apply the changes without asking.")
@option("--dry-run", is_flag=True, help="Only show what would change.")
@of_app
@as_json
@click.pass_obj
def apply(database: str, file: Path, yes: bool, dry_run: bool, app: str, as_json: bool) -> None:
    """Make experiments match a TOML file: show what would change, ask, then make all changes or none.

    The file is like one for `abtest experiments load`, and may also declare a status, a winner and a reason. A field
    that it leaves out gets its default, but the status and the reason stay as they are. Experiments that it does not
    name are left alone.

    \b
    abtest experiments dump --output experiments.toml
    abtest experiments apply experiments.toml --dry-run
    """
    if not (yes or dry_run or (sys.stdin and sys.stdin.isatty())):
        raise click.UsageError(
            "there is no terminal to ask in; give --yes to apply the file, or --dry-run to only look"
        )
    declared = _parsed(file, parse_declared)
    shown = with_store(database, lambda store: ExperimentService(store, app, by=user()).propose(declared))
    _show(shown, say if as_json else click.echo)
    doing = bool(shown.steps) and not shown.refused and not dry_run
    if doing:
        if not yes and not click.confirm("Apply these changes?", err=True):
            say("nothing was done")
            raise click.exceptions.Exit(1)
        judged = {step.key for step in shown.steps if step.field in {None, "metrics"}}
        for experiment in with_store(
            database, lambda store: ExperimentService(store, app, by=user()).apply(declared, shown)
        ):
            if experiment.key in judged:
                ask_whether_less(experiment)
    if as_json:
        print_json({"applied": doing, "steps": shown.steps, "not_in_file": shown.not_in_file})
    shown.require_allowed()


@click.command()
@option("--all", "all_", is_flag=True, help="Include archived experiments.")
@option("--output", type=click.File("wb", atomic=True), default="-", metavar="FILE", help="Write to this file.")
@of_app
@click.pass_obj
def dump(database: str, all_: bool, output: BinaryIO, app: str) -> None:
    """Write the experiments as a TOML file for `abtest experiments apply`.

    With the file, another database can get the same experiments. It never contains what decides which device gets
    which value.
    """
    found = with_store(database, lambda store: ExperimentService(store, app, by=user()).all())
    wanted = [as_declared(each) for each in found if all_ or each.status is not Status.ARCHIVED]
    output.write(write_toml(wanted).encode())


COMMANDS = (load, apply, dump)


def _parsed(file: Path, parse: Callable[[str], T]) -> T:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file}: must be UTF-8 text") from None
    try:
        return parse(text)
    except InvalidExperiment as error:
        raise InvalidExperiment(f"{file}: {error}") from None


def _show(proposal: Proposal, tell: Callable[[str], None]) -> None:
    for step in proposal.steps:
        if not step.refused:
            tell(step.sentence)
    for key in proposal.not_in_file:
        tell(f"{key}: not in the file, so it stays as it is")
    if not proposal.steps:
        tell("nothing to change")
