"""`abtest audit`, as typed: every command that changes something is in it."""

import asyncio
import csv
import io
import json
import os
import pwd
import re
from pathlib import Path

import click
import pytest

from abtest.commands import abtest
from abtest.domain import Action
from abtest.settings import DATABASE
from tests.conftest import Run
from tests.scenes import commands
from tests.stores import own_store

ADD = ("experiments", "add", "color", "--variant", "red=1", "--variant", "blue=1")
FILE = """
[[experiments]]
key = "shape"
variants = [{ value = "round", weight = 1 }, { value = "square", weight = 1 }]
"""
CHANGING: dict[str, list[tuple[str, ...]]] = {  # what is typed, and before it
    "experiments add": [ADD],
    "experiments load": [("experiments", "load", "shape.toml")],
    "experiments apply": [("experiments", "apply", "shape.toml", "--yes")],
    "experiments start": [("experiments", "start", "color"), (*ADD, "--draft")],
    "experiments pause": [("experiments", "pause", "color"), ADD],
    "experiments resume": [("experiments", "resume", "color"), ADD, ("experiments", "pause", "color")],
    "experiments finish": [("experiments", "finish", "color"), ADD],
    "experiments archive": [("experiments", "archive", "color"), ADD],
    "experiments weights": [("experiments", "weights", "color", "--coverage", "20%"), ADD],
    "experiments metrics": [("experiments", "metrics", "color", "--metric", "conversion:buy"), ADD],
    "experiments schedule": [("experiments", "schedule", "color", "--end-at", "2100-01-01T00:00:00Z"), ADD],
    "groups add": [("groups", "add", "checkout")],
    "groups join": [("groups", "join", "checkout", "color", "--share", "5%"), ADD, ("groups", "add", "checkout")],
    "groups leave": [
        ("groups", "leave", "checkout", "color"),
        ("groups", "add", "checkout"),
        (*ADD, "--group", "checkout", "--group-share", "5%"),
    ],
    "holdouts add": [("holdouts", "add", "q4", "--share", "5%")],
    "holdouts end": [("holdouts", "end", "q4"), ("holdouts", "add", "q4", "--share", "5%")],
    "holdouts metrics": [
        ("holdouts", "metrics", "q4", "--metric", "conversion:buy"),
        ("holdouts", "add", "q4", "--share", "5%"),
    ],
    "test-devices add": [("test-devices", "add", "secret-phone", "--value", "color=red", "--note", "secret"), ADD],
    "test-devices remove": [("test-devices", "remove", "secret-phone"), ("test-devices", "add", "secret-phone")],
    "apps add": [("apps", "add", "staging")],
    "people add": [("people", "add", "anna", "--role", "admin")],
    "people role": [
        ("people", "role", "ben", "editor"),
        ("people", "add", "anna", "--role", "admin"),
        ("people", "add", "ben", "--role", "viewer"),
    ],
    "people link": [("people", "link", "anna"), ("people", "add", "anna", "--role", "admin")],
    "people remove": [("people", "remove", "anna"), ("people", "add", "anna", "--role", "viewer")],
    "access-tokens add": [("access-tokens", "add", "ci", "--role", "editor", "--expires", "2100-01-01")],
    "access-tokens revoke": [("access-tokens", "revoke", "1"), ("access-tokens", "add", "ci", "--role", "viewer")],
    "shared-links add": [("shared-links", "add", "color", "--note", "for the board"), ADD],
    "shared-links revoke": [("shared-links", "revoke", "1"), ADD, ("shared-links", "add", "color")],
    "forget": [("forget", "secret-phone"), ("test-devices", "add", "secret-phone")],
    "restore": [("restore", "copy.db"), ADD, ("backup", "copy.db")],
    "db accept-loss": [("db", "accept-loss")],
}
READING = {
    "access-tokens list", "apps list", "audit", "backup", "db check", "experiments dump", "experiments list",
    "experiments show", "export", "groups list", "groups show", "holdouts list", "holdouts results", "people list",
    "plan", "results", "seed", "shared-links list", "stats", "status", "test-devices list", "verify", "why",
}  # fmt: skip
BY_ACCOUNT = {"people disconnect"}
"""It needs somebody who came by single sign-on: tests/management/test_accounts.py has it."""
RUNNING = {"db copy", "db migrate", "serve", "up", "worker"}
"""They change what somebody has planned, or make a database."""


def test_every_command_is_known_to_change_something_or_not() -> None:
    leaves = {path for path, command in commands(abtest, "") if not isinstance(command, click.Group)}
    assert {path.strip() for path in leaves} == CHANGING.keys() | BY_ACCOUNT | READING | RUNNING


@pytest.mark.parametrize("command", CHANGING)
def test_a_command_that_changes_something_leaves_one_entry(run: Run, tmp_path: Path, command: str) -> None:
    if command == "restore" and DATABASE.variable in os.environ:
        pytest.skip("PostgreSQL has its own tools for that")
    if command == "db accept-loss" and DATABASE.variable not in os.environ:
        assert "only PostgreSQL fails over" in str(run(*command.split()).exception)
        return
    (tmp_path / "shape.toml").write_text(FILE)
    typed, *before = CHANGING[command]
    for each in before:
        assert run(*each).exit_code == 0, each
    there = json.loads(run("audit", "--json").stdout)
    done = run(*typed)
    assert done.exit_code == 0
    newest, *others = json.loads(run("audit", "--json").stdout)
    assert others == there
    user = pwd.getpwuid(os.getuid()).pw_name
    assert newest["by"] == {"kind": "command line", "name": user, "address": None}
    assert newest["action"] in set(Action)
    assert "secret" not in str(newest)
    assert not set(re.findall(r"[\w-]{43}", done.stdout)) & set(re.findall(r"[\w-]{43}", str(newest)))
    assert run("verify").exit_code == 0


def test_the_newest_change_comes_first(run: Run) -> None:
    assert run("audit").stdout == "no such changes\n"
    run(*ADD)
    run("experiments", "pause", "color")
    run("experiments", "resume", "color")
    shown = run("audit", "--limit", "2")
    assert re.fullmatch(
        r"WHEN +BY +APP +WHAT\n"
        r"20\S+Z  \w+, command line  default  changed color: status running \(was paused\)\n"
        r"20\S+Z  \w+, command line  default  changed color: status paused \(was running\)\n",
        shown.stdout,
    )
    assert shown.stderr == "there are older changes; --limit shows more of them\n"
    assert run("audit", "--limit", "3").stderr == ""


def test_changes_are_found(run: Run) -> None:
    run(*ADD)
    run("apps", "add", "staging")
    for options, actions in (
        (("--app", "staging"), ["app.add"]),
        (("--about", "color"), ["experiment.add"]),
        (("--by", "command line"), ["app.add", "experiment.add"]),
        (("--by", "\udcff"), []),
        (("--since", "2100-01-01T00:00:00Z"), []),
    ):
        found = json.loads(run("audit", "--json", *options).stdout)
        assert [each["action"] for each in found] == actions, options
    assert "there is no app 'nothing'" in str(run("audit", "--app", "nothing").exception)
    assert json.loads(run("audit", "--json", "--since", "2100-01-01").stdout) == []
    assert len(json.loads(run("audit", "--json", "--since", "2000-01-01").stdout)) == 2
    assert "since: must be a day" in str(run("audit", "--since", "yesterday").exception)


def test_a_spreadsheet_reads_it_as_texts(run: Run) -> None:
    run(*ADD, "--description", '=1+1, "red"')
    run("access-tokens", "add", "=cmd()", "--role", "viewer")
    shown = run("audit", "--csv", "--limit", "2")
    token, added = csv.DictReader(io.StringIO(shown.stdout, newline=""))
    programs = json.loads(run("audit", "--json").stdout)
    assert (token["subject"], added["subject"]) == ("'=cmd()", "color")
    assert json.loads(added["after"]) == programs[1]["after"]
    assert [each["hash"] for each in (token, added)] == [each["hash"] for each in programs]
    assert (added["by_kind"], added["by_address"], added["app"]) == ("command line", "", "default")
    assert run("audit", "--csv", "--about", "nothing").stdout.startswith("id,at,by_kind,")
    assert run("audit", "--csv", "--json").exit_code == 2


def test_programs_read_what_it_was_before_and_after(run: Run) -> None:
    run(*ADD, "--description", 'which "red"?')
    run("experiments", "finish", "color", "--winner", "red")
    finished, added = json.loads(run("audit", "--json").stdout)
    assert (finished["subject"], finished["app"], finished["id"]) == ("color", "default", 2)
    assert finished["before"] == {"status": "running", "winner": None}
    assert finished["after"] == {"status": "finished", "winner": "red"}
    assert added["before"] == {}
    assert added["after"]["description"] == 'which "red"?'
    assert added["after"]["weights"] == {"red": "1", "blue": "1"}


def test_an_entry_can_not_write_into_the_terminal(run: Run) -> None:
    """Whatever is accepted is harmless; here somebody put it into the file by hand."""

    async def write() -> None:
        async with own_store() as store:
            entry = (1, 0, "person", "a\x1b[2J", None, None, "x\r", "y\n2026 forged", "{}", '{"d":"\\u202e"}', "")
            row = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            await store.write(lambda connection: connection.execute(row, entry) and None)

    asyncio.run(write())
    shown = run("audit").stdout
    assert shown.endswith("a\\x1b[2J  -    x\\r y\\n2026 forged: d \\u202e\n")
    assert run("verify").exit_code == 1
