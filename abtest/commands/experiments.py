"""experiments: create, start, pause, finish and archive them."""

from collections.abc import Awaitable, Callable

import click
from msgspec import UNSET, UnsetType

from abtest import clock
from abtest.commands.options import (
    Whole,
    as_json,
    coverage,
    of_app,
    option,
    parse_variants,
    plain,
    print_json,
    print_table,
    say,
    stop_at,
    times,
    user,
    variants,
    with_store,
)
from abtest.domain import FULL_COVERAGE, Experiment, NewExperiment, Status, Type, parse_coverage, parse_time
from abtest.language import (
    audience_said,
    counted,
    coverage_said,
    decision_said,
    full_said,
    group_said,
    next_said,
    number,
    schedule_said,
)
from abtest.management import ExperimentService, app_option, ask_direction, described

key_argument = click.argument("key")
metrics_option = option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="KIND:EVENT",
    help="conversion:EVENT or amount:EVENT. For a window of 14 days from first seen, write conversion:EVENT/14d. If "
    "less is better, add the word less, in quotes: 'conversion:refund less'. "
    "The first is the primary metric, the others are guardrails. Can be repeated.",
)
baseline_option = option(
    "--baseline", metavar="VALUE", help="The value that the others are compared with; by default the first one."
)
planned_option = option(
    "--planned",
    type=Whole(1),
    help="The number of devices, in all variants together, at which one test is made; see `abtest plan`.",
)


@click.group()
def experiments() -> None:
    """Create experiments, and start, pause, finish or archive them."""


@experiments.command()
@key_argument
@variants(required=True)
@option(
    "--type",
    type=click.Choice([each.value for each in Type]),
    default=Type.STRING.value,
    help="The type of the values, as OpenFeature clients get them.",
)
@option("--description", default="", help="A description for people.")
@metrics_option
@baseline_option
@planned_option
@option(
    "--audience",
    multiple=True,
    metavar="CONDITION",
    help="Only devices that fulfil this condition on an attribute can be enrolled: platform=ios,android, country!=US "
    "or 'app_version>=3.10'. Can be repeated: then all must be fulfilled. The audience never changes.",
)
@coverage
@option("--group", metavar="KEY", help="The group to join: a device is in at most one experiment of a group.")
@option(
    "--group-share",
    metavar="PERCENT",
    help="The part of all new devices that the group gives this experiment, such as 30%.",
)
@times()
@stop_at
@option("--draft", is_flag=True, help="Enrol no devices until the experiment is started.")
@of_app
@as_json
@click.pass_obj
def add(
    database: str,
    key: str,
    variants: tuple[str, ...],
    type: str,
    description: str,
    metrics: tuple[str, ...],
    baseline: str | None,
    planned: int | None,
    audience: tuple[str, ...],
    coverage: str | None,
    group: str | None,
    group_share: str | None,
    start_at: str | None,
    end_at: str | None,
    stop_at: int | None,
    draft: bool,
    app: str,
    as_json: bool,
) -> None:
    """Add an experiment. It enrols devices whose first request comes afterwards.

    \b
    abtest experiments add button_color --variant '#FF0000=50' --variant '#00FF00=50'
    abtest experiments add price --variant 10=75% --variant 20=25% --metric amount:purchase
    abtest experiments add greeting --variant Hello=1 --variant Hi=1 --audience 'app_version>=3.10'
    """
    new = NewExperiment(
        key,
        parse_variants(variants),
        description,
        metrics,
        draft,
        baseline,
        planned,
        Type(type),
        audience,
        coverage=FULL_COVERAGE if coverage is None else parse_coverage(coverage),
        group=group,
        group_share=None if group_share is None else parse_coverage(group_share, "group_share"),
        start_at=None if start_at is None else parse_time(start_at, "start_at"),
        end_at=None if end_at is None else parse_time(end_at, "end_at"),
        stop_at=stop_at,
    )
    (added,) = with_store(database, lambda store: ExperimentService(store, app, by=user()).add([new]))
    ask_whether_less(added)
    if as_json:
        print_json(described(added))
    else:
        click.echo(f"added {key}, {state(added)}")


@experiments.command("list")
@of_app
@as_json
@click.pass_obj
def list_(database: str, app: str, as_json: bool) -> None:
    """List every experiment."""
    found = with_store(database, lambda store: ExperimentService(store, app, by=user()).all())
    if as_json:
        print_json([described(experiment) for experiment in found])
        return
    if not found:
        line = f"abtest experiments add KEY --variant VALUE=WEIGHT ...{app_option(app)}"
        click.echo(f"no experiments yet; add one with: {line}")
        return
    rows = [
        [
            each.key,
            ", ".join(filter(None, (each.status.value, full_said(each) or next_said(each)))),
            clock.iso(each.created_at),
            each.type.value,
            ", ".join(each.values),
        ]
        for each in found
    ]
    print_table(["KEY", "STATUS", "CREATED", "TYPE", "VALUES"], rows)


@experiments.command()
@key_argument
@of_app
@as_json
@click.pass_obj
def show(database: str, key: str, app: str, as_json: bool) -> None:
    """Show the variants and phases of one experiment."""
    _print(with_store(database, lambda store: ExperimentService(store, app, by=user()).one(key)), as_json)


@experiments.command()
@key_argument
@of_app
@as_json
@click.pass_obj
def start(database: str, key: str, app: str, as_json: bool) -> None:
    """Start a draft, so that it enrols new devices."""
    _change(database, app, as_json, lambda service: service.start(key))


@experiments.command()
@key_argument
@of_app
@as_json
@click.pass_obj
def pause(database: str, key: str, app: str, as_json: bool) -> None:
    """Stop enrolling for now; enrolled devices keep their values."""
    _change(database, app, as_json, lambda service: service.pause(key))


@experiments.command()
@key_argument
@of_app
@as_json
@click.pass_obj
def resume(database: str, key: str, app: str, as_json: bool) -> None:
    """Enrol devices again after a pause."""
    _change(database, app, as_json, lambda service: service.resume(key))


@experiments.command()
@key_argument
@option("--winner", metavar="VALUE", help="The value that every new device gets.")
@option("--because", default="", metavar="TEXT", help="The reason for this winner, or for having none.")
@of_app
@as_json
@click.pass_obj
def finish(database: str, key: str, winner: str | None, because: str, app: str, as_json: bool) -> None:
    """Stop enrolling for good; enrolled devices keep their values.

    If you leave out the winner or the reason, you can add it afterwards, once.

    \b
    abtest experiments finish button_color --winner '#00FF00' --because 'more people buy'
    """
    _change(database, app, as_json, lambda service: service.finish(key, winner, because))


@experiments.command()
@key_argument
@of_app
@as_json
@click.pass_obj
def archive(database: str, key: str, app: str, as_json: bool) -> None:
    """Stop delivering the key, for good."""
    _change(database, app, as_json, lambda service: service.archive(key))


@experiments.command()
@key_argument
@variants(required=False)
@coverage
@stop_at
@of_app
@as_json
@click.pass_obj
def weights(
    database: str,
    key: str,
    variants: tuple[str, ...],
    coverage: str | None,
    stop_at: int | None,
    app: str,
    as_json: bool,
) -> None:
    """Begin a new phase: draw new devices with new weights, another coverage or another number to stop at.

    Enrolled devices keep their values. To change weights, give each value with its weight. What you leave out stays
    as it is.

    \b
    abtest experiments weights price --variant 10=50 --variant 20=20 --variant 50=20 --variant 5=10
    abtest experiments weights price --coverage 50%
    abtest experiments weights price --stop-at 12000
    """
    if not variants and coverage is None and stop_at is None:
        raise click.UsageError("give a --variant for each value, a --coverage or a --stop-at")
    wanted, part = parse_variants(variants), None if coverage is None else parse_coverage(coverage)
    _change(database, app, as_json, lambda service: service.reweight(key, wanted, part, stop_at))


@experiments.command()
@key_argument
@times(", or none")
@of_app
@as_json
@click.pass_obj
def schedule(database: str, key: str, start_at: str | None, end_at: str | None, app: str, as_json: bool) -> None:
    """Change when an experiment starts and ends by itself. What you leave out stays as it is.

    \b
    abtest experiments schedule price --start-at 2026-12-03T09:00:00Z --end-at 2026-12-17T09:00:00Z
    abtest experiments schedule price --end-at none
    """
    if start_at is None and end_at is None:
        raise click.UsageError("give a --start-at, an --end-at, or both")
    start, end = _changed_time(start_at, "start_at"), _changed_time(end_at, "end_at")
    _change(database, app, as_json, lambda service: service.schedule(key, start, end))


@experiments.command()
@key_argument
@metrics_option
@baseline_option
@planned_option
@of_app
@as_json
@click.pass_obj
def metrics(
    database: str,
    key: str,
    metrics: tuple[str, ...],
    baseline: str | None,
    planned: int | None,
    app: str,
    as_json: bool,
) -> None:
    """Set an experiment's metrics, baseline or planned number of devices.

    What you leave out stays as it is. Metrics also count earlier events. You can plan a number of devices only before
    the first one is enrolled.

    \b
    abtest experiments metrics price --metric amount:purchase --metric conversion:refund/14d
    abtest experiments metrics price --baseline 10
    """
    if not metrics and baseline is None and planned is None:
        raise click.UsageError("give a --metric, a --baseline or a --planned number of devices")
    changed = with_store(
        database, lambda store: ExperimentService(store, app, by=user()).measure(key, metrics, baseline, planned)
    )
    _print(changed, as_json)
    if metrics:
        ask_whether_less(changed)


COMMANDS = (experiments,)


def state(experiment: Experiment) -> str:
    """The status of an experiment that was just added, and what comes next."""
    told = schedule_said(experiment, clock.now())
    if experiment.status is Status.DRAFT and experiment.start_at is None:
        told.append(f"start it with: abtest experiments start {experiment.key}{app_option(experiment.app)}")
    return f"{experiment.status.said}: {'; '.join(told)}" if told else experiment.status.said


def _changed_time(text: str | None, field: str) -> int | UnsetType | None:
    if text is None:
        return UNSET
    return None if text == "none" else parse_time(text, field)


def ask_whether_less(experiment: Experiment) -> None:
    """Ask on standard error whether less is better, if a metric's event sounds like harm."""
    if question := ask_direction(experiment.key, experiment.metrics, experiment.app, experiment.kind):
        say(str(question))


def _change(
    database: str, app: str, as_json: bool, change: Callable[[ExperimentService], Awaitable[Experiment]]
) -> None:
    _print(with_store(database, lambda store: change(ExperimentService(store, app, by=user()))), as_json)


def _print(experiment: Experiment, as_json: bool) -> None:
    if as_json:
        print_json(described(experiment))
        return
    click.echo(f"{experiment.key} is {experiment.status.said}")
    for label, text in (
        ("", experiment.description),
        ("created ", clock.iso(experiment.created_at)),
        ("started ", clock.iso(experiment.started_at) if experiment.started_later and experiment.started_at else ""),
        ("ended ", clock.iso(experiment.ended_at) if experiment.ended_at else ""),
        ("judged by ", ", ".join(map(str, experiment.metrics))),
        ("baseline ", experiment.values[experiment.baseline_place]),
        ("planned for ", counted(experiment.planned, "device") if experiment.planned else ""),
        *(("", line) for line in decision_said(experiment)),
        ("type ", experiment.type.value),
        ("audience ", audience_said(experiment.audience)),
        ("in the group ", group_said(experiment)),
        *(("", planned) for planned in schedule_said(experiment, clock.now())),
    ):
        if text:
            click.echo(f"  {label}{text}")
    numbers = [f"PHASE {phase.number}" for phase in experiment.phases]
    rows = [
        [value, *(plain(phase.weights[place]) for phase in experiment.phases)]
        for place, value in enumerate(experiment.values)
    ]
    if any(phase.coverage < FULL_COVERAGE for phase in experiment.phases):
        rows.append(["(coverage)", *(coverage_said(phase.coverage) for phase in experiment.phases)])
    if any(phase.stop_at is not None for phase in experiment.phases):
        stops = ("-" if phase.stop_at is None else number(phase.stop_at) for phase in experiment.phases)
        rows.append(["(stops at)", *stops])
    rows.append(["(devices enrolled)", *(number(phase.enrolled) for phase in experiment.phases)])
    click.echo()
    print_table(["VALUE", *numbers], rows, frozenset(range(1, len(numbers) + 1)))
