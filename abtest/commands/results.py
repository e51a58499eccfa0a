"""results, shared-links: metrics, intervals and the verdict in the terminal, and links to them."""

import click

from abtest import clock
from abtest.commands.options import (
    as_json,
    naming_options,
    of_app,
    option,
    print_json,
    print_table,
    say,
    url_option,
    user,
    with_store,
)
from abtest.domain import Experiment, Kind, parse_metrics
from abtest.inference import Comparison, VariantResult
from abtest.language import (
    by_said,
    chance,
    counted,
    decision_said,
    duration,
    exposure_told,
    figure,
    interval_said,
    mean,
    number,
    p_value,
    signed_percent,
    size_said,
    value_said,
)
from abtest.management import ExperimentService, SharedLinkService, app_option, ask_direction, described_shared_link
from abtest.results import ExperimentResults, MetricResults, ResultService
from abtest.store import Store

NOT_SAFE = (
    "the 95% interval, lift, p and chance to beat are valid only if you look exactly once; "
    "the safe interval is valid at any time"
)


@click.command()
@click.argument("key")
@of_app
@as_json
@click.pass_obj
def results(database: str, key: str, app: str, as_json: bool) -> None:
    """Show an experiment's verdict and metrics, and whether the figures can be trusted.

    If the experiment is finished, the decision comes first. The figures are from the stats worker's last tick;
    `abtest worker --once` updates them.

    \b
    abtest results button_color
    """

    async def read(store: Store) -> tuple[ExperimentResults, Experiment]:
        found = await ResultService(store, app).one(key)
        return found, await ExperimentService(store, app, by=user()).one(key)

    found, experiment = with_store(database, read)
    if as_json:
        print_json(found)
        return
    if decision := decision_said(experiment):
        click.echo("\n  ".join((f"{key}: finished", *decision)) + "\n")
    print_results(found, app)


@click.group("shared-links")
def shared_links() -> None:
    """Make and revoke links: whoever has one sees the results of one experiment, without signing in."""


@shared_links.command()
@click.argument("key")
@option("--note", default="", help="Who gets the link, or what it is for.")
@url_option
@of_app
@as_json
@click.pass_obj
@naming_options()
def add(database: str, key: str, note: str, url: str, app: str, as_json: bool) -> None:
    """Make a link to the results of an experiment, and print it. It is shown only once, since only its hash is kept.

    The link works until it is revoked.

    \b
    abtest shared-links add price --note 'for the board'
    """
    made, secret = with_store(database, lambda store: SharedLinkService(store).add(key, note, app, by=user()))
    there = f"{url}/shared/{secret}"
    if as_json:
        print_json(described_shared_link(made) | {"link": there})
        return
    say(f"added shared link {made.id}, to the results of {key}; it is shown only once:")
    click.echo(there)


@shared_links.command()
@click.argument("id", type=int)
@of_app
@as_json
@click.pass_obj
def revoke(database: str, id: int, app: str, as_json: bool) -> None:
    """End a shared link at once and for good. `abtest shared-links list` shows the ID of each.

    \b
    abtest shared-links revoke 1
    """
    with_store(database, lambda store: SharedLinkService(store).revoke(id, app=app, by=user()))
    if as_json:
        print_json({"id": id})
    else:
        click.echo(f"revoked shared link {id}")


@shared_links.command("list")
@of_app
@as_json
@click.pass_obj
def list_(database: str, app: str, as_json: bool) -> None:
    """List the shared links of an app that were not revoked, without their secrets."""
    found = with_store(database, lambda store: SharedLinkService(store).all(app=app))
    if as_json:
        print_json([described_shared_link(each) for each in found])
        return
    if not found:
        click.echo(f"no shared links yet; make one with: abtest shared-links add KEY{app_option(app)}")
        return
    rows = [[str(each.id), each.key, clock.iso(each.made_at), by_said(each.made_by), each.note] for each in found]
    print_table(["ID", "EXPERIMENT", "MADE", "BY", "NOTE"], rows, frozenset({0}))


COMMANDS = (results, shared_links)


def print_results(found: ExperimentResults, app: str, kind: Kind = Kind.EXPERIMENT) -> None:
    """Print the results of an experiment, or of a holdout, which has no exposures: its devices show nothing of it."""
    click.echo(f"{found.key}: {found.verdict.sentence if found.verdict else 'no metric, so there is no verdict'}")
    if found.verdict is None:
        line = f"abtest {kind}s metrics {found.key} --metric conversion:EVENT{app_option(app)}"
        say(f"set a metric with: {line}")
    planned = f" of {number(found.planned)} planned" if found.planned else ""
    as_of = f"as of {found.as_of}" if found.as_of else "before the worker's first tick"
    click.echo(f"{found.status}, {counted(found.devices, 'device')}{planned}, {as_of}")
    for what, at in (("primary metric", found.primary_changed_at), ("baseline", found.baseline_changed_at)):
        if at:
            click.echo(f"the {what} was changed at {at}, after devices had been enrolled")
    for metric in found.metrics:
        _print_metric(metric, found.baseline)
    if question := ask_direction(found.key, parse_metrics([metric.metric for metric in found.metrics]), app, kind):
        say(str(question))
    if any(each.lift for metric in found.metrics for each in metric.comparisons):
        click.echo(f"\n{NOT_SAFE}")
    _print_health(found, kind)


def _print_metric(metric: MetricResults, baseline: str) -> None:
    click.echo(f"\n{metric.metric} ({metric.role}): {metric.verdict.sentence}")
    for note in metric.verdict.notes:
        click.echo(f"  {note}")
    average = "RATE" if metric.kind == "conversion" else "MEAN"
    headings = ["VARIANT", "DEVICES", "EXPOSED", "CONVERTERS", average, "95%"]
    headings += [] if metric.cap is None else [f"UP TO {figure(metric.cap)}"]
    headings += ["LIFT", "SAFE INTERVAL", *(["TEST AT PLAN"] if metric.has_test else [])]
    headings += [*(["EXACT TEST"] if metric.has_loss else []), "ADJUSTED P", "CHANCE TO BEAT"]
    rows = [
        [*_counts(each, metric), *_comparison(metric.comparison(each.value), baseline, metric)]
        for each in metric.variants
    ]
    print_table(headings, rows, frozenset(range(1, len(headings))))


def _counts(each: VariantResult, metric: MetricResults) -> list[str]:
    kind = metric.kind
    interval = "-" if each.low is None or each.high is None else f"{mean(each.low, kind)} to {mean(each.high, kind)}"
    middle = "-" if each.mean is None else mean(each.mean, kind)
    capped = [] if metric.cap is None else ["-" if each.capped_mean is None else mean(each.capped_mean, kind)]
    return [each.value, *map(number, (each.devices, each.exposed, each.converters)), middle, interval, *capped]


def _comparison(found: Comparison | None, baseline: str, metric: MetricResults) -> list[str]:
    tested = metric.has_test
    loss = [_loss(found)] if metric.has_loss else []
    if found is None:
        return ["baseline", *[""] * (3 + tested + len(loss))]
    if found.lift is None or found.safe is None:
        return [*["-"] * (2 + tested), *loss, "-", "-"]
    return [
        size_said(found.lift, metric.kind),
        interval_said(found.safe, metric.kind),
        *([interval_said(found.at_plan, metric.kind) if found.at_plan else "-"] if tested else []),
        *loss,
        "-" if found.adjusted_p is None else p_value(found.adjusted_p),
        "-" if found.chance_to_beat is None else chance(found.chance_to_beat),
    ]


def _loss(found: Comparison | None) -> str:
    if found is None or found.loss is None:
        return "-"
    return f"{signed_percent(found.loss)} or worse"


def _print_health(found: ExperimentResults, kind: Kind) -> None:
    health = found.health
    click.echo("\nhealth")
    if not health.exact:
        click.echo("  a variant does not have its exact share of devices: run abtest verify")
    values = [each.value for each in found.metrics[0].variants] if found.metrics else []
    if values and kind is Kind.EXPERIMENT:
        click.echo(f"  {exposure_told(health.exposure, found.devices, values).sentence}")
    for value, devices in health.showed_other.items():
        click.echo(f"  {counted(devices, 'device')} of {value_said(value)} showed something else")
    for metric in found.metrics:
        without = f", {number(metric.without_amount)} without an amount" if metric.kind == "amount" else ""
        lag = (
            ""
            if metric.lag_seconds is None
            else f", received {duration(metric.lag_seconds)} after they happened on average"
        )
        click.echo(f"  {metric.metric}: {counted(metric.events, 'event')}{without}{lag}")
    click.echo(
        f"  in all experiments: {counted(health.duplicate_events, 'duplicate event')}, "
        f"{number(health.unknown_device_events)} of unknown devices, "
        f"{counted(health.unknown_experiment_events, 'exposure')} in unknown experiments"
    )
    if health.shortened_devices:
        of = counted(health.shortened_devices, "device")
        click.echo(f"  some attributes of {of} were not kept: there are too many different combinations")
