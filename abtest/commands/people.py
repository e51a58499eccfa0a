"""people, access-tokens: who signs in, and with which role."""

from typing import Any

import click
from msgspec import UNSET

from abtest import clock
from abtest.commands.options import (
    as_json,
    naming_options,
    option,
    print_json,
    print_table,
    say,
    url_option,
    user,
    with_store,
)
from abtest.domain import AccessToken, Person, Role
from abtest.management import (
    AccessTokenService,
    Link,
    PeopleService,
    described_access_token,
    described_person,
)

ROLES = click.Choice([role.value for role in Role])
EVERY_APP = "every app"

# Not ABTEST_APP: it says which app a command is about, and must not decide what somebody may do.
only_app = option("--app", metavar="KEY", envvar="ABTEST_ROLE_APP", help="The one app that the role is for.")
role_option = option("--role", type=ROLES, required=True, help="The role; see `abtest people` for what each allows.")


@click.group()
def people() -> None:
    """Say who may sign in: viewers look, editors change experiments, admins change people and access tokens too."""


@people.command()
@click.argument("name")
@role_option
@only_app
@url_option
@as_json
@click.pass_obj
@naming_options()
def add(database: str, name: str, role: str, app: str | None, url: str, as_json: bool) -> None:
    """Add a person, and print a link to set a password. The link works once, within a day.

    Without --app the role is for every app. Names that differ only in case are the same.

    \b
    abtest people add anna --role admin
    abtest people add 'Ben Olsen' --role editor --app staging
    """
    person, link = with_store(database, lambda store: PeopleService(store, by=user()).add(name, Role(role), app))
    told = f"added {name}, {_role(person)}; this link sets the password"
    _print_link(told, link, url, described_person(person), as_json)


@people.command("role")
@click.argument("name")
@click.argument("role", type=ROLES)
@only_app
@option("--all-apps", is_flag=True, help="The role is for every app from now on.")
@as_json
@click.pass_obj
def role_(database: str, name: str, role: str, app: str | None, all_apps: bool, as_json: bool) -> None:
    """Give a person another role, at once. Unless you say which app, it is for the same app or apps as the old role.

    \b
    abtest people role anna viewer
    abtest people role anna editor --app staging
    """
    if app is not None and all_apps:
        raise click.UsageError("--app can't be combined with --all-apps")
    where = None if all_apps else UNSET if app is None else app
    person = with_store(database, lambda store: PeopleService(store, by=user()).change(name, Role(role), where))
    if as_json:
        print_json(described_person(person))
    else:
        click.echo(f"{person.name} has the role {person.role} for {person.app or EVERY_APP}")


@people.command()
@click.argument("name")
@url_option
@as_json
@click.pass_obj
def link(database: str, name: str, url: str, as_json: bool) -> None:
    """Print another link to set a password, if somebody has forgotten it or was too late. It voids the older link.

    \b
    abtest people link anna
    """
    made = with_store(database, lambda store: PeopleService(store, by=user()).link(name))
    _print_link(f"this link sets the password of {name}", made, url, {"name": name}, as_json)


@people.command()
@click.argument("name")
@as_json
@click.pass_obj
def remove(database: str, name: str, as_json: bool) -> None:
    """Remove a person, and end that person's sessions at once. Access tokens stay.

    \b
    abtest people remove anna
    """
    with_store(database, lambda store: PeopleService(store, by=user()).remove(name))
    if as_json:
        print_json({"name": name})
    else:
        click.echo(f"removed {name}")


@people.command()
@click.argument("name")
@as_json
@click.pass_obj
def disconnect(database: str, name: str, as_json: bool) -> None:
    """Forget the account with which a person signs in by single sign-on, and end that person's sessions.

    Use it when a person got another account: the next account with this name is connected with the person.

    \b
    abtest people disconnect anna
    """
    accounts = with_store(database, lambda store: PeopleService(store, by=user()).disconnect(name))
    if as_json:
        print_json({"name": name, "accounts": accounts})
    elif accounts:
        click.echo(f"disconnected {name}: the next account with this name signs in as {name}")
    else:
        click.echo(f"{name} has not signed in by single sign-on")


@people.command("list")
@as_json
@click.pass_obj
def list_people(database: str, as_json: bool) -> None:
    """List everybody who may sign in."""
    found = with_store(database, lambda store: PeopleService(store, by=user()).all())
    if as_json:
        print_json([described_person(each) for each in found])
        return
    if not found:
        click.echo("nobody yet; add the first one with: abtest people add NAME --role admin")
        return
    rows = [
        [
            each.name,
            each.role,
            each.app or EVERY_APP,
            *map(_time, (each.created_at, each.seen_at)),
            "yes" if each.has_password else "no",
            "yes" if each.is_connected else "no",
        ]
        for each in found
    ]
    print_table(["NAME", "ROLE", "APP", "ADDED", "SEEN", "PASSWORD", "CONNECTED"], rows)


@click.group("access-tokens")
def access_tokens() -> None:
    """Make and revoke access tokens, with which programs sign in. They have the same roles as people."""


@access_tokens.command("add")
@click.argument("name")
@role_option
@only_app
@option(
    "--expires",
    metavar="DATE",
    help="The last day on which it works, in UTC, such as 2026-12-31, or a time; by default it never expires.",
)
@as_json
@click.pass_obj
@naming_options()
def add_token(database: str, name: str, role: str, app: str | None, expires: str | None, as_json: bool) -> None:
    """Make an access token, and print it. It is shown only once, since only its hash is kept.

    Without --app it is for every app.

    \b
    abtest access-tokens add deploy --role editor --expires 2030-12-31
    """
    made, token = with_store(
        database, lambda store: AccessTokenService(store).add(name, Role(role), app, expires, by=user())
    )
    if as_json:
        print_json(described_access_token(made) | {"token": token})
        return
    say(f"added access token {made.id}, {name}, {_role(made)}; it is shown only once:")
    click.echo(token)


@access_tokens.command()
@click.argument("id", type=int)
@as_json
@click.pass_obj
def revoke(database: str, id: int, as_json: bool) -> None:
    """End an access token at once and for good. `abtest access-tokens list` shows the ID of each.

    \b
    abtest access-tokens revoke 1
    """
    with_store(database, lambda store: AccessTokenService(store).revoke(id, by=user()))
    if as_json:
        print_json({"id": id})
    else:
        click.echo(f"revoked access token {id}")


@access_tokens.command("list")
@as_json
@click.pass_obj
def list_tokens(database: str, as_json: bool) -> None:
    """List the access tokens that were not revoked, without their secrets."""
    found = with_store(database, lambda store: AccessTokenService(store).all())
    if as_json:
        print_json([described_access_token(each) for each in found])
        return
    if not found:
        click.echo("no access tokens yet; make one with: abtest access-tokens add NAME --role ROLE")
        return
    rows = [
        [str(each.id), each.name, each.role, each.app or EVERY_APP, *map(_time, (each.expires_at, each.used_at))]
        for each in found
    ]
    print_table(["ID", "NAME", "ROLE", "APP", "EXPIRES", "USED"], rows, frozenset({0}))


COMMANDS = (people, access_tokens)


def _print_link(told: str, link: Link, url: str, described: dict[str, Any], as_json: bool) -> None:
    there = f"{url}/sign-in/link/{link.secret}"
    if as_json:
        print_json(described | {"link": there, "link_expires_at": clock.iso(link.expires_at)})
        return
    say(f"{told}, once, until {clock.iso(link.expires_at)}:")
    click.echo(there)


def _role(who: Person | AccessToken) -> str:
    return f"{who.role} of {who.app or EVERY_APP}"


def _time(at: int | None) -> str:
    return "-" if at is None else clock.iso(at)
