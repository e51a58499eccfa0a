"""test-devices: a person chooses which values a token gets."""

import click

from abtest import clock
from abtest.commands.options import as_json, of_app, option, print_json, print_table, say, user, with_store
from abtest.management import TestDeviceService, app_option, described_test_device


@click.group("test-devices")
def test_devices() -> None:
    """Choose by hand which values a token gets, to see every variant on a phone. A test device is never counted."""


@test_devices.command()
@click.argument("token")
@option(
    "--value",
    "values",
    multiple=True,
    metavar="KEY=VALUE",
    help="A value that the token gets, split at the first '='. Repeat it for each experiment.",
)
@option("--note", default="", help="Whose phone it is, or what it is for.")
@of_app
@as_json
@click.pass_obj
def add(database: str, token: str, values: tuple[str, ...], note: str, app: str, as_json: bool) -> None:
    """Give a token exactly these values and no others, whatever the status of their experiments.

    Without any --value it gets nothing. If the token is a test device already, its values and its note are replaced.

    \b
    abtest test-devices add my-phone --value button_color='#00FF00' --value price=20 --note "Anna's phone"
    """
    chosen = _chosen(values)
    made, changed = with_store(
        database, lambda store: TestDeviceService(store, app, by=user()).add(token, chosen, note)
    )
    if as_json:
        print_json(described_test_device(made) | {"changed": changed})
        return
    gets = ", ".join(f"{key}={value}" for key, value in made.values.items())
    click.echo(f"{'changed' if changed else 'added'} the test device {token}: it gets {gets or 'nothing'}")
    if made.is_device:
        say("it is also a device: it keeps its place in the counts, but events that it sends from now on don't count")


@test_devices.command()
@click.argument("token")
@of_app
@as_json
@click.pass_obj
def remove(database: str, token: str, app: str, as_json: bool) -> None:
    """Make a token what it was before: a device with its own values, or unknown.

    \b
    abtest test-devices remove my-phone
    """
    is_device = with_store(database, lambda store: TestDeviceService(store, app, by=user()).remove(token))
    if as_json:
        print_json({"token": token, "is_device": is_device})
        return
    click.echo(f"removed the test device {token}")
    if is_device:
        say("it is a device, and gets its own values again")
    else:
        say("it is not a device yet; its next request makes it one")


@test_devices.command("list")
@of_app
@as_json
@click.pass_obj
def list_(database: str, app: str, as_json: bool) -> None:
    """List every test device with its values."""
    found = with_store(database, lambda store: TestDeviceService(store, app, by=user()).all())
    if as_json:
        print_json([described_test_device(each) for each in found])
        return
    if not found:
        line = f"abtest test-devices add TOKEN --value KEY=VALUE ...{app_option(app)}"
        click.echo(f"no test devices yet; add one with: {line}")
        return
    rows = [
        [
            each.token,
            ", ".join(f"{key}={value}" for key, value in each.values.items()) or "-",
            each.note or "-",
            each.made_by,
            clock.iso(each.made_at),
            "yes" if each.is_device else "no",
        ]
        for each in found
    ]
    print_table(["TOKEN", "VALUES", "NOTE", "MADE BY", "MADE", "DEVICE"], rows)


COMMANDS = (test_devices,)


def _chosen(texts: tuple[str, ...]) -> dict[str, str]:
    """Values by key. Raises UsageError."""
    chosen: dict[str, str] = {}
    for place, text in enumerate(texts, start=1):
        key, separator, value = text.partition("=")
        if not separator:
            raise click.UsageError(f"value {place}: must look like KEY=VALUE, such as 'button_color=#00FF00'")
        if key in chosen:
            raise click.UsageError(f"value {place}: {key} has a value already")
        chosen[key] = value
    return chosen
