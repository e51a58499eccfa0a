"""seed: fake devices through real HTTP."""

import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
from click.core import ParameterSource

from abtest import clock
from abtest.commands.options import Whole, as_json, naming_options, of_app, option, own_server, print_json, say
from abtest.commands.seed.behaving import (
    DEFAULT_DAYS,
    DEFAULT_EFFECTS,
    DEFAULT_RATE,
    MOST_DAYS,
    Behaviour,
    Effects,
    parse_effects,
    parse_rate,
    parse_sigma,
)
from abtest.commands.seed.devices import Devices
from abtest.domain import KEY, LONGEST_TOKEN, check_token
from abtest.errors import InvalidSetting, InvalidToken
from abtest.language import number

BEHAVING = {
    "rate": "--rate",
    "effects": "--effect",
    "spend_effects": "--spend-effect",
    "spend_sigma": "--spend-sigma",
    "no_effect": "--no-effect",
    "days": "--days",
}


@click.command()
@click.argument("count", type=Whole(1, 100_000_000))
@option("--url", help="The server's URL; by default from ABTEST_ADDRESS, ABTEST_PORT and ABTEST_BASE_PATH.")
@option(
    "--prefix",
    help="Make each token from this text and a number, so that the same devices can ask again; by default each is a "
    "UUID.",
)
@option("--concurrency", default=32, type=Whole(1, 1000), help="Requests at the same time.")
@option("--events", is_flag=True, help="Send events too: devices report exposures, and some of them buy.")
@option("--rate", default=DEFAULT_RATE, metavar="PERCENT", help="The part of the devices that buys, without effects.")
@option(
    "--effect",
    "effects",
    multiple=True,
    envvar="ABTEST_SEED_EFFECT",  # ABTEST_EFFECT belongs to `abtest plan`
    metavar="KEY:VALUE=PERCENT",
    help="How much more or less often devices with this value buy; replaces the default effects. Can be repeated.",
)
@option(
    "--spend-effect",
    "spend_effects",
    multiple=True,
    metavar="KEY:VALUE=PERCENT",
    help="How much more or less buyers with this value pay. Can be repeated.",
)
@option(
    "--spend-sigma",
    metavar="NUMBER",
    help="Make amounts log-normal with this sigma, from 0 to 3: with 1 they are uneven, with 2 a few buyers pay most "
    "of the money.",
)
@option(
    "--no-effect",
    is_flag=True,
    help="All devices buy equally often and pay about 9.99, whatever their values: an A/A test.",
)
@option(
    "--days",
    default=DEFAULT_DAYS,
    type=Whole(0, MOST_DAYS),
    help="Spread the times of the events over this many days before now; 0 is now.",
)
@of_app
@as_json
@click.pass_context
@naming_options()
def seed(
    context: click.Context,
    /,
    count: int,
    url: str | None,
    prefix: str | None,
    concurrency: int,
    app: str,
    as_json: bool,
    **behaving: Any,
) -> None:
    """Send requests from COUNT fake devices to a running server, over HTTP.

    Each device asks for its experiments as an app does, and is enrolled, stored and counted like a real one. What it
    says about itself, such as platform and country, is made up, as on the page Simulate.

    With --events each device also reports an exposure for every experiment it is in, and some devices buy. --rate
    says how many buy; values that have an effect change that. Buyers pay the price that they were shown, or about
    9.99 if there is none. For the demo experiments the default effects are
    button_color:#00FF00=+30%, price:20=-25%, price:50=-80% and price:5=+40%.

    A verdict needs events on seven different days. To save you that wait, the events claim to have happened during
    the last 14 days, as if all devices had been offline. Only these times are made up; everything else goes through
    the server as usual.

    \b
    abtest seed 600
    abtest seed 600 --prefix phone-        the same 600 devices each time
    abtest seed 20000 --events             enough for a verdict on the demo experiments
    abtest seed 20000 --events --no-effect
    abtest seed 20000 --events --rate 5% --effect button_color:#0000FF=+50%
    abtest seed 60000 --events --no-effect --rate 5% --spend-sigma 2
    """
    if not KEY.fullmatch(app):
        raise InvalidSetting("must be the key of an app", field="app")
    if prefix is not None:
        _check_prefix(prefix, count)
    devices = Devices(url or own_server(), _behaviour(context, **behaving), app)
    for texts, name in ((behaving["effects"], "--effect"), (behaving["spend_effects"], "--spend-effect")):
        _check_effects(devices, parse_effects(texts, name), name)
    tokens = _tokens(count, prefix)
    began = time.monotonic()
    with (
        click.progressbar(length=count, label="asking", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar,
        ThreadPoolExecutor(concurrency) as pool,
    ):
        try:
            for asking in [
                pool.submit(devices.ask_all, tokens, lambda: bar.update(1)) for _ in range(min(concurrency, count))
            ]:
                asking.result()
        except KeyboardInterrupt:
            devices.stop()
    devices.close()
    seconds = time.monotonic() - began
    if as_json:
        print_json(devices.result(seconds))
    else:
        devices.print(seconds)
    for key, value in (*parse_effects(behaving["effects"]), *parse_effects(behaving["spend_effects"])):
        if not devices.answers.get(key, Counter())[value]:
            say(f"no device got {key}:{value}, so its effect changed nothing")
    if devices.stopped:
        say(f"stopped before the remaining {number(count - devices.asked - devices.unanswered)}")
    if devices.failures or devices.stopped:
        raise click.exceptions.Exit(1)


COMMANDS = (seed,)


def _behaviour(
    context: click.Context,
    events: bool,
    rate: str,
    effects: tuple[str, ...],
    spend_effects: tuple[str, ...],
    spend_sigma: str | None,
    no_effect: bool,
    days: int,
) -> Behaviour | None:
    """How the devices behave; None without --events. Raises UsageError, or InvalidSetting."""
    if not events:
        for name, option in BEHAVING.items():
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"{option} needs --events")
        return None
    if no_effect and (effects or spend_effects):
        raise click.UsageError("--no-effect can't be combined with --effect or --spend-effect")
    pay = parse_effects(spend_effects, "--spend-effect")
    often = parse_effects(effects) or ({} if no_effect or pay else DEFAULT_EFFECTS)
    sigma = None if spend_sigma is None else parse_sigma(spend_sigma)
    return Behaviour(parse_rate(rate), often, days, clock.now(), not no_effect, pay, sigma)


def _check_effects(devices: Devices, effects: Effects, name: str) -> None:
    """Raises InvalidSetting when no device can get a value that has an effect."""
    there = devices.values() if effects else None
    if there is None:
        return
    for place, (key, value) in enumerate(effects, start=1):
        where = f"{name} {place}"
        if key not in there:
            raise InvalidSetting(f"the server has no experiment {key!r}", field=where)
        if value not in there[key]:
            raise InvalidSetting(f"{key} has no value {value!r}; it has {', '.join(there[key])}", field=where)


def _check_prefix(prefix: str, count: int) -> None:
    try:
        check_token(f"{prefix}{count}")
    except InvalidToken:
        raise InvalidSetting(
            f"together with the number, it must be 1 to {LONGEST_TOKEN} visible ASCII characters (0x21-0x7E)",
            field="prefix",
        ) from None


def _tokens(count: int, prefix: str | None) -> Iterator[str]:
    for place in range(1, count + 1):
        yield str(uuid.uuid4()) if prefix is None else f"{prefix}{place}"
