"""verify, why, audit: proof."""

import sys

import click

from abtest import clock
from abtest.commands.options import Whole, as_json, of_app, option, print_json, print_table, say, with_store
from abtest.domain import Sought, check_token, parse_since
from abtest.enrolment import ChosenByHand, Explanation, ExplanationService
from abtest.errors import UnknownDevice
from abtest.language import by_said, counted, entry_said, number, test_device_said
from abtest.management import JournalService, described_entry, table_of_entries
from abtest.store import Store
from abtest.trust import VerificationService, Verified

CHECKS = (
    "every stored value is the one that its position gives",
    "positions have no gaps and no repeats",
    "every count is as close to its share as promised",
    "no device is in an experiment that was created after its first request, took no devices, or was not for it",
    "no device is in two experiments of a group, and no held device is in any experiment",
    "the statistics match the raw rows",
    "no entry of the audit log was changed or is missing",
    "every experiment, group and holdout is as the audit log says",
)


@click.command()
@as_json
@click.pass_obj
def verify(database: str, as_json: bool) -> None:
    """Check every promise against the raw rows.

    Exit code 1 if one is broken; the output says which, and where.
    """

    async def run(store: Store) -> Verified:
        with click.progressbar(length=1, label="verifying", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

            def progress(done: int, total: int) -> None:
                bar.length = total
                bar.update(done - bar.pos)

            return await VerificationService(store).verify(progress)

    verified = with_store(database, run)
    if as_json:
        print_json(verified)
    else:
        _print(verified)
    if verified.broken:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("token")
@of_app
@as_json
@click.pass_obj
def why(database: str, token: str, app: str, as_json: bool) -> None:
    """Show which values a device has, and why.

    \b
    abtest why my-phone
    """
    check_token(token)

    async def explained(store: Store) -> Explanation:
        try:
            return await ExplanationService(store, app).why(token)
        except UnknownDevice as error:
            raise UnknownDevice(f"{error} in {store.name}") from None

    explanation = with_store(database, explained)
    if as_json:
        print_json(explanation)
        return
    if explanation.test_device is not None:
        _print_chosen(explanation.test_device)
    if explanation.number is None:
        return
    if explanation.test_device is not None:
        click.echo("\nit is also a device, and gets its own values again once it is no longer a test device:")
    click.echo(
        f"device {number(explanation.number)} in the order of first requests, first seen {explanation.first_seen}"
    )
    if explanation.attributes:
        click.echo("attributes: " + ", ".join(f"{name}={value}" for name, value in explanation.attributes.items()))
    for what, reasons in (
        ("HOLDOUT", explanation.holdouts),
        ("GROUP", explanation.groups),
        ("EXPERIMENT", explanation.experiments),
    ):
        if reasons:
            click.echo()
            rows = [[each.key, "-" if each.value is None else each.value, each.reason] for each in reasons]
            print_table([what, "VALUE", "WHY"], rows)


@click.command()
@option("--app", metavar="KEY", help="Only changes in this app.")
@option("--by", metavar="TEXT", help="Only changes made by somebody whose name, kind or address contains this.")
@option(
    "--about",
    metavar="KEY",
    help="Only changes of the experiment, group, holdout or app with this key, or of the person or access token with "
    "this name.",
)
@option(
    "--since",
    metavar="TIME",
    help="Only changes since this time or day, such as 2026-12-03T09:00:00Z or 2026-12-03.",
)
@option("--limit", type=Whole(1, 1_000_000), default=50, help="Show at most this many changes.")
@option("--csv", "as_csv", is_flag=True, help="Print CSV instead of text.")
@as_json
@click.pass_obj
def audit(
    database: str,
    app: str | None,
    by: str | None,
    about: str | None,
    since: str | None,
    limit: int,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show who changed what, and when, with the newest change first.

    \b
    abtest audit
    abtest audit --about price --since 2026-12-03T09:00:00Z
    """
    if as_csv and as_json:
        raise click.UsageError("--csv can't be combined with --json")
    sought = Sought(app, by, about, None if since is None else parse_since(since))
    # One more tells whether there are more.
    found = with_store(database, lambda store: JournalService(store).newest(sought, limit + 1))
    shown = found[:limit]
    if as_json:
        print_json([described_entry(each) for each in shown])
    elif as_csv:
        click.echo(table_of_entries(shown), nl=False)
    elif not shown:
        click.echo("no such changes")
    else:
        rows = [[clock.iso(each.at), by_said(each.by), each.app or "-", entry_said(each)] for each in shown]
        print_table(["WHEN", "BY", "APP", "WHAT"], rows)
    if len(found) > limit:
        say("there are older changes; --limit shows more of them")


COMMANDS = (verify, why, audit)


def _print_chosen(chosen: ChosenByHand) -> None:
    click.echo(test_device_said(chosen.note, chosen.made_by, chosen.made_at))
    if chosen.values:
        click.echo()
        print_table(["EXPERIMENT", "VALUE"], list(chosen.values.items()))
    else:
        click.echo("no value was chosen, so the token gets none")


def _print(verified: Verified) -> None:
    click.echo(
        f"{counted(verified.devices, 'device')}, {counted(verified.assignments, 'assignment')}, "
        f"{counted(verified.experiments, 'experiment')}"
    )
    if not verified.broken:
        for check in CHECKS:
            click.echo(f"  ok  {check}")
        return
    for finding in verified.findings:
        click.echo(f"  BROKEN  {finding}")
    if verified.broken > len(verified.findings):
        click.echo(f"  and {number(verified.broken - len(verified.findings))} more")
    click.echo(f"{number(verified.broken)} broken")
