"""groups, holdouts: what is drawn for a device before its experiments."""

import click

from abtest.commands.experiments import ask_whether_less
from abtest.commands.options import as_json, of_app, option, print_json, print_table, user, with_store
from abtest.commands.results import print_results
from abtest.domain import Experiment, Kind, members, parse_coverage
from abtest.language import counted, coverage_said, number
from abtest.management import GroupService, HoldoutService, app_option, described_group, described_holdout
from abtest.results import ResultService

key_argument = click.argument("key")
description = option("--description", default="", help="A description for people.")
metrics_option = option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="KIND:EVENT",
    help="A metric that compares held and free devices, written as for an experiment. Can be repeated.",
)


@click.group()
def groups() -> None:
    """Make groups: a device is in at most one experiment of a group."""


@groups.command("add")
@key_argument
@description
@of_app
@as_json
@click.pass_obj
def add_group(database: str, key: str, description: str, app: str, as_json: bool) -> None:
    """Add a group. At first it has no experiments.

    \b
    abtest groups add checkout
    abtest groups join checkout button_color --share 50%
    """
    _print_group(
        with_store(database, lambda store: GroupService(store, app, by=user()).add(key, description)), as_json
    )


@groups.command("list")
@of_app
@as_json
@click.pass_obj
def list_groups(database: str, app: str, as_json: bool) -> None:
    """List the groups, with their experiments and the share of each."""
    found = with_store(database, lambda store: GroupService(store, app, by=user()).all())
    if as_json:
        print_json([described_group(each) for each in found])
    elif not found:
        click.echo(f"no groups yet; add one with: abtest groups add KEY{app_option(app)}")
    else:
        print_table(["GROUP", "EXPERIMENTS", "FREE"], [[each.key, _members(each), _free(each)] for each in found])


@groups.command("show")
@key_argument
@of_app
@as_json
@click.pass_obj
def show_group(database: str, key: str, app: str, as_json: bool) -> None:
    """Show the experiments of a group."""
    _print_group(with_store(database, lambda store: GroupService(store, app, by=user()).one(key)), as_json)


@groups.command()
@click.argument("group")
@click.argument("experiment")
@option(
    "--share",
    required=True,
    metavar="PERCENT",
    help="The part of all new devices that the experiment gets, such as 30%.",
)
@of_app
@as_json
@click.pass_obj
def join(database: str, group: str, experiment: str, share: str, app: str, as_json: bool) -> None:
    """Put an experiment into a group.

    From then on the experiment gets only the new devices that the group gives it. The other experiments keep their
    shares and devices.
    """
    part = parse_coverage(share, "share")
    _print_group(
        with_store(database, lambda store: GroupService(store, app, by=user()).join(group, experiment, part)), as_json
    )


@groups.command()
@click.argument("group")
@click.argument("experiment")
@of_app
@as_json
@click.pass_obj
def leave(database: str, group: str, experiment: str, app: str, as_json: bool) -> None:
    """Take an experiment out of a group. Its share becomes free, and it can get any new device again."""
    _print_group(
        with_store(database, lambda store: GroupService(store, app, by=user()).leave(group, experiment)), as_json
    )


@click.group()
def holdouts() -> None:
    """Hold a part of all new devices out of every experiment, to see what all experiments together bring."""


@holdouts.command("add")
@key_argument
@option("--share", required=True, metavar="PERCENT", help="The part of all new devices that is held, such as 5%.")
@description
@metrics_option
@of_app
@as_json
@click.pass_obj
def add_holdout(
    database: str, key: str, share: str, description: str, metrics: tuple[str, ...], app: str, as_json: bool
) -> None:
    """Hold a part of the new devices from now on: they never get a value of any experiment.

    \b
    abtest holdouts add q4 --share 5% --metric amount:purchase
    """
    part = parse_coverage(share, "share")
    held = with_store(
        database, lambda store: HoldoutService(store, app, by=user()).add(key, part, description, metrics)
    )
    _print_holdout(held, as_json)
    ask_whether_less(held)


@holdouts.command("list")
@of_app
@as_json
@click.pass_obj
def list_holdouts(database: str, app: str, as_json: bool) -> None:
    """List the holdouts."""
    found = with_store(database, lambda store: HoldoutService(store, app, by=user()).all())
    if as_json:
        print_json([described_holdout(each) for each in found])
    elif not found:
        click.echo(f"no holdouts yet; add one with: abtest holdouts add KEY --share 5%{app_option(app)}")
    else:
        rows = [[each.key, each.holdout_status, _share(each), number(each.enrolled)] for each in found]
        print_table(["HOLDOUT", "STATUS", "SHARE", "NEW DEVICES"], rows, frozenset({2, 3}))


@holdouts.command()
@key_argument
@of_app
@as_json
@click.pass_obj
def end(database: str, key: str, app: str, as_json: bool) -> None:
    """Stop holding new devices. Held devices stay held, and are still compared with free ones."""
    _print_holdout(with_store(database, lambda store: HoldoutService(store, app, by=user()).end(key)), as_json)


@holdouts.command("metrics")
@key_argument
@metrics_option
@of_app
@as_json
@click.pass_obj
def holdout_metrics(database: str, key: str, metrics: tuple[str, ...], app: str, as_json: bool) -> None:
    """Set the metrics that compare held and free devices. They also count earlier events.

    \b
    abtest holdouts metrics q4 --metric amount:purchase --metric conversion:refund
    """
    if not metrics:
        raise click.UsageError("give a --metric")
    changed = with_store(database, lambda store: HoldoutService(store, app, by=user()).measure(key, metrics))
    _print_holdout(changed, as_json)
    ask_whether_less(changed)


@holdouts.command("results")
@key_argument
@of_app
@as_json
@click.pass_obj
def holdout_results(database: str, key: str, app: str, as_json: bool) -> None:
    """Show what all experiments together bring: free devices compared with held ones."""
    found = with_store(database, lambda store: ResultService(store, app, Kind.HOLDOUT).one(key))
    if as_json:
        print_json(found)
    else:
        print_results(found, app, Kind.HOLDOUT)


COMMANDS = (groups, holdouts)


def _print_group(group: Experiment, as_json: bool) -> None:
    if as_json:
        print_json(described_group(group))
        return
    free = f"; {_free(group)} of new devices are in none of them" if members(group) else ""
    click.echo(f"{group.key}: {_members(group)}{free}")
    if group.description:
        click.echo(f"  {group.description}")


def _print_holdout(holdout: Experiment, as_json: bool) -> None:
    if as_json:
        print_json(described_holdout(holdout))
        return
    status, came = holdout.holdout_status, counted(holdout.enrolled, "new device")
    holds = "holds" if status == "running" else "held"
    click.echo(
        f"{holdout.key}, {status}: {holds} {_share(holdout)} of new devices out of every experiment; {came} so far"
    )
    for text in (holdout.description, ", ".join(map(str, holdout.metrics))):
        if text:
            click.echo(f"  {text}")


def _members(group: Experiment) -> str:
    return ", ".join(f"{key} {coverage_said(share)}" for key, share in members(group).items()) or "no experiments"


def _free(group: Experiment) -> str:
    return coverage_said(1 - group.phase.coverage)


def _share(holdout: Experiment) -> str:
    return coverage_said(holdout.phase.weights[0] / 100)
