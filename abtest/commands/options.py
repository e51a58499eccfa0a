"""What the commands share: options, the store, output."""

import asyncio
import os
import pwd
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, TypeVar, get_type_hints

import click
import msgspec

from abtest import bootstrap
from abtest.domain import DEFAULT_APP, By, Hand, Variant, parse_variant_weight
from abtest.errors import AbtestError, InvalidSetting
from abtest.settings import ADDRESS, BASE_PATH, LIMITS, PORT, PUBLIC_URL, SINGLE_SIGN_ON, Setting, Settings
from abtest.store import Store

T = TypeVar("T")
Command = Callable[..., Any]


class Whole(click.IntRange):
    """A whole number. An error about it says "integer", where click's own type says "integer range"."""

    name = "integer"


class Number(click.FloatRange):
    """A number with decimals, named likewise."""

    name = "number"


class Line(click.types.StringParamType):
    """A text of a repeatable option. Its environment variable has one text a line, since texts may have spaces."""

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [line for line in rv.splitlines() if line.strip()]


class Secret(click.Option):
    """An option that only its environment variable can set."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Leave it out of the command line."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Show the variable in place of an option."""
        return str(self.envvar), str(self.help)


class Text(click.Option):
    """An option for which an empty environment variable means an empty text.

    Click would take the default, which may open everything.
    """

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The text in the variable, if there is one."""
        return os.environ.get(str(self.envvar))


def option(*names: str, setting: Setting | None = None, **settings: Any) -> Callable[[Command], Command]:
    """A click option that ABTEST_NAME can set as well; a setting brings its variable, default and help."""
    longest = max(names, key=len)
    settings.setdefault("envvar", f"ABTEST_{longest.lstrip('-').replace('-', '_').upper()}")
    if setting is not None:
        settings = {"type": _type(setting)} | settings
        settings |= {"envvar": setting.variable, "default": setting.default, "help": setting.help}
    if settings.get("multiple"):
        settings["type"] = Line()
    shows_default = settings.get("default") is not None and not settings.get("is_flag")
    return click.option(*names, show_envvar=True, show_default=shows_default, **settings)


def limits(command: Command) -> Command:
    """Add the options of every limit and of single sign-on; the command gets their values by name."""
    for setting in reversed((*LIMITS, *SINGLE_SIGN_ON)):
        kind = Secret if setting.secret else Text if isinstance(setting.default, str) else click.Option
        command = option(f"--{setting.name.replace('_', '-')}", setting=setting, cls=kind)(command)
    return command


as_json = option("--json", "as_json", is_flag=True, envvar="ABTEST_JSON", help="Print JSON instead of text.")


of_app = option("--app", default=DEFAULT_APP, metavar="KEY", help="The app; `abtest apps list` shows every app.")


def variants(required: bool) -> Callable[[Command], Command]:
    """The option that gives values with their weights."""
    return option(
        "--variant",
        "variants",
        multiple=True,
        required=required,
        metavar="VALUE=WEIGHT",
        help="A value and its relative weight, split at the last '='; a trailing % is allowed. Repeat it for each "
        "variant.",
    )


coverage = option(
    "--coverage",
    metavar="PERCENT",
    help="The part of new devices (in the audience) that takes part, such as 20%; the others get no value.",
)


stop_at = option(
    "--stop-at",
    type=Whole(1),
    help="Stop enrolling at this number of devices, in all variants together; exactly so many get a value.",
)


def times(noun: str = "") -> Callable[[Command], Command]:
    """The options for a start and an end; `noun` says what can be given in place of a time."""
    start = option(
        "--start-at",
        metavar="TIME",
        help=f"When the worker starts the experiment, such as 2026-12-03T09:00:00Z{noun}.",
    )
    end = option("--end-at", metavar="TIME", help=f"When the worker finishes the experiment{noun}.")
    return lambda command: start(end(command))


@contextmanager
def naming_options() -> Iterator[None]:
    """Let an error about a field name the option that gave the field."""
    try:
        yield
    except AbtestError as error:
        options = {parameter.name: parameter.opts[0] for parameter in click.get_current_context().command.params}
        if error.field in options:
            raise type(error)(error.reason, field=options[error.field]) from None
        raise


def with_store(database: str, work: Callable[[Store], Awaitable[T]], create: bool = True) -> T:
    """Open the store and do this work; returns what the work returns."""
    return asyncio.run(in_store(database, work, create))


async def in_store(database: str, work: Callable[[Store], Awaitable[T]], create: bool = True) -> T:
    """The same inside a running event loop."""
    async with bootstrap.opened(database, create=create) as store:
        if store.created:  # the path may be a mistake
            say(f"created the database {store.name}")
        return await work(store)


async def require(database: str) -> None:
    """Open the database once before any process starts: raise what is wrong with it, or say that it was created."""
    await in_store(database, lambda store: store.config_version())


def own_server() -> str:
    """The URL, on this machine, of a server with the settings in the environment. Raises InvalidSetting."""
    settings = _own_settings()
    return settings.url(settings.port)


def _own_settings() -> Settings:
    found = {
        setting.name: os.environ.get(setting.variable, str(setting.default))
        for setting in (ADDRESS, PORT, BASE_PATH, PUBLIC_URL)
    }
    if not found["port"].isdecimal():
        raise InvalidSetting(f"{PORT.variable}: must be a number")
    return msgspec.convert(found, Settings, strict=False)


def _beginning(context: click.Context, option: click.Parameter, url: str | None) -> str:
    """What links begin with: this URL, or else the URL of a server with the settings in the environment."""
    if url:
        return url.rstrip("/")
    settings = _own_settings()
    settings.check_public_url()
    return settings.public(settings.url(settings.port))


url_option = option(
    "--url",
    callback=_beginning,
    help="What the link begins with; by default ABTEST_PUBLIC_URL, or else the URL of a server on this machine.",
)


def user() -> By:
    """The system's user who runs the command, by number if a container has no name for it.

    Anybody can set what variables say, so they don't count.
    """
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = ""
    return By(Hand.COMMAND_LINE, name if name and name.isprintable() else f"user {os.getuid()}")


def parse_variants(texts: Sequence[str]) -> tuple[Variant, ...]:
    """Variants from VALUE=WEIGHT. Raises click's UsageError, or InvalidExperiment."""
    return tuple(_variant(text, place) for place, text in enumerate(texts, start=1))


def print_json(value: Any) -> None:
    """The value as JSON on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: frozenset[int] = frozenset()
) -> None:
    """A table on standard output; the columns in `numbers` are aligned to the right."""
    lines = [list(headings), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def say(message: str) -> None:
    """Print a message to standard error. If that fails, go on, since a server must not stop for it."""
    with suppress(OSError):
        click.echo(message, err=True)


@contextmanager
def copying() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error. Call what it gives with how much is done, and how much there is."""
    with click.progressbar(length=1, label="copying", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield progress


def _type(setting: Setting) -> click.ParamType[Any] | type[str]:
    if setting.choices:
        return click.Choice(setting.choices)
    kind = get_type_hints(Settings)[setting.name]
    if kind is str:
        return str
    return Whole(min=int(setting.least)) if kind is int else Number(min=setting.least)


def _variant(text: str, place: int) -> Variant:
    value, separator, weight = text.rpartition("=")
    if not separator:
        raise click.UsageError(f"variant {place}: must look like VALUE=WEIGHT, such as '#FF0000=33.3'")
    return Variant(value, parse_variant_weight(weight, place))


def plain(weight: Decimal) -> str:
    """A weight without an exponent."""
    return f"{weight:f}"
