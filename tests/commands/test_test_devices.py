"""`abtest test-devices`, as typed."""

import json
import os
import pwd
import re

import pytest

from tests.conftest import Run

COLOR = ("experiments", "add", "color", "--variant", "red=1", "--variant", "a=b=1")
ADD = ("test-devices", "add", "my-phone")


def named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The system's user has this name."""
    there = list(pwd.getpwuid(os.getuid()))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: pwd.struct_passwd([name, *there[1:]]))


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "anna")


def test_a_test_device_is_added_changed_listed_and_removed(run: Run) -> None:
    run(*COLOR)
    assert "no test devices yet" in run("test-devices", "list").stdout
    added = run(*ADD, "--value", "color=a=b", "--note", "Anna's phone")
    assert (added.exit_code, added.stdout) == (0, "added the test device my-phone: it gets color=a=b\n")
    listed = run("test-devices", "list").stdout
    assert re.search(r"my-phone +color=a=b +Anna's phone +anna +20\S+Z +no\n", listed)
    changed = run(*ADD)
    assert (changed.exit_code, changed.stdout) == (0, "changed the test device my-phone: it gets nothing\n")
    assert re.search(r"my-phone +- +- +anna", run("test-devices", "list").stdout)
    removed = run("test-devices", "remove", "my-phone")
    assert (removed.stdout, removed.stderr) == (
        "removed the test device my-phone\n",
        "it is not a device yet; its next request makes it one\n",
    )
    again = run("test-devices", "remove", "my-phone")
    assert (again.exit_code, str(again.exception)) == (1, "no test device has this token")


def test_programs_read_json(run: Run) -> None:
    run(*COLOR)
    added = json.loads(run(*ADD, "--value", "color=red", "--note", "x", "--json").stdout)
    assert added.pop("changed") is False
    assert json.loads(run("test-devices", "list", "--json").stdout) == [added]
    assert re.fullmatch(r"20.*Z", added.pop("made_at"))
    assert added == {
        "token": "my-phone", "values": {"color": "red"}, "note": "x", "made_by": "anna", "is_device": False,
    }  # fmt: skip
    assert json.loads(run(*ADD, "--json").stdout)["changed"] is True
    removed = run("test-devices", "remove", "my-phone", "--json")
    assert json.loads(removed.stdout) == {"token": "my-phone", "is_device": False}


def test_why_says_first_that_it_is_one(run: Run) -> None:
    run(*COLOR)
    run(*ADD, "--value", "color=red", "--note", "Anna's phone")
    told = run("why", "my-phone").stdout
    assert re.fullmatch(
        r"a test device \(Anna's phone, made by anna on \d+ \w+ 20\d\d\): gets the values chosen by hand; "
        r"never counted\n\nEXPERIMENT  VALUE\ncolor       red\n",
        told,
    )
    explained = json.loads(run("why", "my-phone", "--json").stdout)
    assert explained["test_device"].pop("made_at").startswith("20")
    assert explained == {
        "test_device": {"values": {"color": "red"}, "note": "Anna's phone", "made_by": "anna"},
        "number": None, "first_seen": None, "attributes": {}, "holdouts": [], "groups": [], "experiments": [],
    }  # fmt: skip
    run(*ADD)
    assert run("why", "my-phone").stdout.endswith("never counted\nno value was chosen, so the token gets none\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--value", "color"), "value 1: must look like KEY=VALUE"),
        (("--value", "color=red", "--value", "color=red"), "value 2: color has a value already"),
    ],
)
def test_a_value_has_a_key_and_a_key_one_value(run: Run, arguments: tuple[str, ...], words: str) -> None:
    run(*COLOR)
    refused = run(*ADD, *arguments)
    assert (refused.exit_code, words in refused.stderr) == (2, True)


def test_who_made_it_is_a_number_where_there_are_no_names(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "root")  # which anybody can set
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    assert json.loads(run(*ADD, "--json").stdout)["made_by"] == f"user {os.getuid()}"


def test_who_made_it_cannot_write_into_the_terminal_of_others(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "anna\x1b[2J\u202e")
    assert json.loads(run(*ADD, "--json").stdout)["made_by"] == f"user {os.getuid()}"
