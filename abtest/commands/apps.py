"""apps: several apps in one server."""

import click

from abtest import clock
from abtest.commands.options import as_json, print_json, print_table, user, with_store
from abtest.domain import path_of
from abtest.management import AppService, described_app


@click.group()
def apps() -> None:
    """Add apps: one server can serve several, each with its own devices and experiments."""


@apps.command()
@click.argument("key")
@as_json
@click.pass_obj
def add(database: str, key: str, as_json: bool) -> None:
    """Add an app: another mobile app, or another environment of one. It can't be removed again.

    Its devices send their requests to paths under /apps/KEY. Commands take --app KEY to work on this app.

    \b
    abtest apps add staging
    """
    added = with_store(database, lambda store: AppService(store, by=user()).add(key))
    if as_json:
        print_json(described_app(added))
    else:
        click.echo(f"added {key}: its devices ask for {path_of(key)}/api/v1/experiments")


@apps.command("list")
@as_json
@click.pass_obj
def list_(database: str, as_json: bool) -> None:
    """List every app. The app default is always there."""
    found = with_store(database, lambda store: AppService(store, by=user()).all())
    if as_json:
        print_json([described_app(each) for each in found])
    else:
        print_table(["KEY", "CREATED"], [[each.key, clock.iso(each.created_at)] for each in found])


COMMANDS = (apps,)
