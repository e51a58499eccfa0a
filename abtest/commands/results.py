"""results: metrics, intervals and the verdict in the terminal."""

import click

from abtest.commands.options import as_json, print_json, print_table, say, with_store
from abtest.inference.answers import Comparison, Lift, VariantResult
from abtest.inference.wording import counted, duration
from abtest.results import ExperimentResults, MetricResults, ResultService
from abtest.store.base import Store

NOT_SAFE = "lift, p and chance to beat are for somebody who looks exactly once; the safe interval holds at any time"


@click.command()
@click.argument("key")
@as_json
@click.pass_obj
def results(database: str, key: str, as_json: bool) -> None:
    """Tell whether an experiment works, and what that rests on.

    The verdict, each metric, and whether the figures can be trusted.
    As of the stats worker's last tick; bring it up to date with `abtest worker --once`.

    \b
    abtest results button_color
    """

    async def read(store: Store) -> ExperimentResults:
        return await ResultService(store).one(key)

    found = with_store(database, read)
    if as_json:
        print_json(found)
    else:
        _print(found)


COMMANDS = (results,)


def _print(found: ExperimentResults) -> None:
    click.echo(f"{found.key}: {found.verdict.sentence if found.verdict else 'nothing to judge by'}")
    if found.verdict is None:
        say(f"set a metric with: abtest experiments metrics {found.key} --metric conversion:EVENT")
    planned = f" of {found.planned:,} planned" if found.planned else ""
    as_of = f"as of {found.as_of}" if found.as_of else "before the worker's first tick"
    click.echo(f"{found.status}, {counted(found.devices, 'device')}{planned}, {as_of}")
    if found.primary_changed_at:
        click.echo(f"the primary metric was changed at {found.primary_changed_at}, after devices were enrolled")
    for metric in found.metrics:
        _print_metric(metric, found.baseline)
    if any(each.lift for metric in found.metrics for each in metric.comparisons):
        click.echo(f"\n{NOT_SAFE}")
    _print_health(found)


def _print_metric(metric: MetricResults, baseline: str) -> None:
    click.echo(f"\n{metric.metric} ({metric.role}): {metric.verdict.sentence}")
    compared = {each.value: each for each in metric.comparisons}
    mean = "RATE" if metric.kind == "conversion" else "MEAN"
    headings = ["VARIANT", "DEVICES", "EXPOSED", "CONVERTERS", mean, "95 %", "LIFT", "SAFE INTERVAL", "P", "TO BEAT"]
    rows = [
        [*_counts(each, metric.kind), *_comparison(compared.get(each.value), baseline)] for each in metric.variants
    ]
    print_table(headings, rows, frozenset(range(1, len(headings))))


def _counts(each: VariantResult, kind: str) -> list[str]:
    interval = (
        "-" if each.low is None or each.high is None else f"{_mean(each.low, kind)} to {_mean(each.high, kind)}"
    )
    mean = "-" if each.mean is None else _mean(each.mean, kind)
    return [each.value, f"{each.devices:,}", f"{each.exposed:,}", f"{each.converters:,}", mean, interval]


def _comparison(found: Comparison | None, baseline: str) -> list[str]:
    if found is None:
        return ["baseline", "", "", ""]
    if found.lift is None or found.safe is None:
        return ["-", "-", "-", "-"]
    return [
        _size(found.lift, found.lift.value),
        f"{_size(found.safe, found.safe.low)} to {_size(found.safe, found.safe.high)}",
        "-" if found.adjusted_p is None else f"{found.adjusted_p:.2g}",
        "-" if found.chance_to_beat is None else f"{100 * found.chance_to_beat:.0f} %",
    ]


def _mean(value: float, kind: str) -> str:
    return f"{100 * value:.2f} %" if kind == "conversion" else f"{value:,.4g}"


def _size(lift: Lift, value: float) -> str:
    return f"{100 * value:+.1f} %" if lift.relative else f"{value:+,.4g}"


def _print_health(found: ExperimentResults) -> None:
    health = found.health
    click.echo("\nhealth")
    if not health.exact:
        click.echo("  counts of devices are not where they must be: run abtest verify")
    if sum(health.exposure.missing) == found.devices:
        click.echo("  no exposure was reported, so it can't be told whether devices lose the variant on the way")
    elif health.exposure.worst is None:
        click.echo("  exposure: no variant loses more devices than another")
    else:
        click.echo("  exposure: one variant loses more devices than the others")
    for metric in found.metrics:
        without = f", {metric.without_amount:,} without an amount" if metric.kind == "amount" else ""
        lag = "" if metric.lag_seconds is None else f", received after {duration(metric.lag_seconds)} on average"
        click.echo(f"  {metric.metric}: {counted(metric.events, 'event')}{without}{lag}")
    click.echo(
        f"  in all experiments: {counted(health.duplicate_events, 'duplicate event')}, "
        f"{health.unknown_device_events:,} of unknown devices"
    )
