"""plan: how many devices and days a test needs, or what effect the devices can detect."""

from collections.abc import Sequence
from decimal import Decimal

import click

from abtest.commands.options import (
    Whole,
    as_json,
    naming_options,
    of_app,
    option,
    plain,
    print_json,
    print_table,
    with_store,
)
from abtest.domain import Experiment, parse_weight
from abtest.language import number
from abtest.management import app_option
from abtest.results import (
    Plan,
    PlanRequest,
    completed,
    equal,
    measured,
    next_step,
    parse_number,
    parse_part,
    plan,
)

WIDTH = 96


@click.command("plan")
@option("--base", metavar="RATE", help="The current conversion rate, such as 5% or 0.05.")
@option(
    "--mean",
    metavar="NUMBER",
    help="Instead of a rate: the mean amount per device, counting devices without one as 0.",
)
@option("--deviation", metavar="NUMBER", help="The standard deviation of that amount.")
@option("--effect", metavar="PERCENT", help="The smallest effect worth finding, relative to the base: +20% or -10%.")
@option("--devices", type=Whole(1), help="Instead of an effect: say what this many devices in total can detect.")
@option("--power", default="80%", metavar="PERCENT", help="The chance that a test finds the effect.")
@option(
    "--variants", type=int, help="The number of variants with equal weights, including the baseline; 2 by default."
)
@option(
    "--weight",
    "weights",
    multiple=True,
    metavar="WEIGHT",
    help="A variant's weight, the baseline's first. Repeat it for each variant.",
)
@option("--per-day", type=Whole(1), help="New devices per day in all variants.")
@option("--less", is_flag=True, help="Less is better, as with refunds and crashes.")
@option("--experiment", "key", metavar="KEY", help="Take weights, devices and the figures so far from this one.")
@of_app
@as_json
@click.pass_obj
@naming_options()
def plan_(
    database: str,
    base: str | None,
    mean: str | None,
    deviation: str | None,
    effect: str | None,
    devices: int | None,
    power: str,
    variants: int | None,
    weights: tuple[str, ...],
    per_day: int | None,
    less: bool,
    key: str | None,
    app: str,
    as_json: bool,
) -> None:
    """Say how many devices and days a test needs, or what effect your devices can detect.

    Only --experiment reads the database.

    \b
    abtest plan --base 5% --effect +20% --per-day 2000
    abtest plan --base 5% --effect +20% --weight 75 --weight 10 --weight 5 --weight 10
    abtest plan --mean 9.5 --deviation 30 --effect 10%
    abtest plan --base 5% --devices 600 --variants 3
    abtest plan --base 5% --effect -20% --less
    abtest plan --experiment button_color
    """
    if sum((variants is not None, bool(weights), key is not None)) > 1:
        raise click.UsageError("only one of --variants, --weight and --experiment can be given")
    request = PlanRequest(
        base=None if base is None else parse_part(base, "base"),
        mean=None if mean is None else parse_number(mean, "mean"),
        deviation=None if deviation is None else parse_number(deviation, "deviation"),
        effect=None if effect is None else parse_part(effect, "effect"),
        devices=devices,
        power=parse_part(power, "power"),
        weights=_weights(weights) if weights else equal(2 if variants is None else variants),
        per_day=per_day,
        less=less,
    )
    experiment = None
    if key is not None:
        present = with_store(database, lambda store: measured(store, key, app))
        experiment, request = present.experiment, completed(request, present)
    found = plan(request)
    if as_json:
        print_json(found)
    else:
        _print(request, found, experiment)


COMMANDS = (plan_,)


def _weights(texts: Sequence[str]) -> tuple[Decimal, ...]:
    return tuple(parse_weight(text, f"--weight {place}") for place, text in enumerate(texts, start=1))


def _print(request: PlanRequest, found: Plan, experiment: Experiment | None) -> None:
    click.echo(found.sentence)
    if len(set(request.weights)) > 1:
        names = ["baseline", *(f"variant {place}" for place in range(2, len(request.weights) + 1))]
        rows = [
            [name, plain(weight), number(devices)]
            for name, weight, devices in zip(names, request.weights, found.per_variant, strict=True)
        ]
        click.echo()
        print_table(["VARIANT", "WEIGHT", "DEVICES"], rows, frozenset({1, 2}))
    if found.notes:
        click.echo()
    for note in found.notes:
        click.echo(click.wrap_text(note, WIDTH))
    if step := _next(request, found, experiment):
        click.echo(f"\nTry next:\n\n  {step}")


def _next(request: PlanRequest, found: Plan, experiment: Experiment | None) -> str:
    if experiment is None:
        return next_step(request, found)
    if experiment.enrolled:
        return ""
    return f"abtest experiments metrics {experiment.key} --planned {found.planned}{app_option(experiment.app)}"
