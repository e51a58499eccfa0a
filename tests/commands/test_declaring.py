"""Experiments in files, from the command line as typed, in real processes where it matters."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from abtest.errors import Conflict
from tests import processes
from tests.conftest import Run

COLOR = """\
[[experiments]]
key = "color"
metrics = ["conversion:purchase"]
variants = [
  { value = "red", weight = 33.3 },
  { value = "green", weight = 33.3 },
]
"""
GREETING = """\
[[experiments]]
key = "greeting"
status = "draft"
description = "\\"hello\\" \\\\ or 👋?"
type = "json"
baseline = "\\"👋\\""
planned = 1500
audience = ["app_version>=3.10"]
coverage = "20%"
variants = [
  { value = "{\\"text\\": \\"hello\\"}", weight = 50 },
  { value = "\\"👋\\"", weight = 50.5 },
]
"""


def test_a_file_is_applied_once_and_dumped_as_it_was(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "declared.toml"
    file.write_text(f"{COLOR}\n{GREETING}", encoding="utf-8")
    applied = run("experiments", "apply", "declared.toml", "--yes")
    assert applied.stdout == "color: will be added, running\ngreeting: will be added, a draft\n"
    assert run("experiments", "apply", "declared.toml", "--yes").stdout == "nothing to change\n"
    assert run("experiments", "dump").stdout == file.read_text(encoding="utf-8")
    assert run("verify").exit_code == 0


def test_what_would_change_is_shown_and_done_only_when_it_may(run: Run, tmp_path: Path) -> None:
    run("experiments", "add", "other", "--variant", "a=1", "--variant", "b=1")
    (tmp_path / "declared.toml").write_text(COLOR)
    looked = run("experiments", "apply", "declared.toml", "--dry-run")
    assert (looked.exit_code, looked.stdout) == (
        0, "color: will be added, running\nother: not in the file, so it stays as it is\n",
    )  # fmt: skip
    refused = run("experiments", "apply", "declared.toml")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "there is no terminal to ask in; give --yes to apply the file, or --dry-run to only look" in refused.stderr
    assert [each["key"] for each in json.loads(run("experiments", "list", "--json").stdout)] == ["other"]


def test_new_weights_begin_a_phase_once(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "declared.toml"
    file.write_text(COLOR)
    run("experiments", "apply", "declared.toml", "--yes")
    file.write_text(COLOR.replace("33.3", "60", 1))
    now, before = (f"red with weight {red}, green with weight 33.3" for red in (60, 33.3))
    sentence = f"color: new weights begin phase 2: {now} (was {before})"
    told = json.loads(run("experiments", "apply", "declared.toml", "--yes", "--json").stdout)
    assert told == {
        "applied": True,
        "steps": [
            {
                "key": "color",
                "sentence": sentence,
                "field": "weights",
                "stored": before,
                "declared": now,
                "refused": False,
            }
        ],
        "not_in_file": [],
    }
    again = json.loads(run("experiments", "apply", "declared.toml", "--yes", "--json").stdout)
    assert again == {"applied": False, "steps": [], "not_in_file": []}
    assert len(json.loads(run("experiments", "show", "color", "--json").stdout)["phases"]) == 2


@pytest.mark.parametrize("how", ["--yes", "--dry-run"])
def test_what_is_refused_is_named_and_nothing_is_done(run: Run, tmp_path: Path, how: str) -> None:
    run("experiments", "add", "color", "--variant", "red=1", "--variant", "blue=1")
    (tmp_path / "declared.toml").write_text(f"{GREETING}\n{COLOR}")
    refused = run("experiments", "apply", "declared.toml", how)
    assert isinstance(refused.exception, Conflict)
    assert str(refused.exception) == (
        "nothing can be applied:\n"
        "  color: values can't be changed from red, blue to red, green: a device keeps the value it got"
    )
    told = run("experiments", "apply", "declared.toml", how, "--json")
    assert [step["refused"] for step in json.loads(told.stdout)["steps"]] == [False, True, False]
    assert [each["key"] for each in json.loads(run("experiments", "list", "--json").stdout)] == ["color"]


def test_a_metric_that_sounds_like_harm_is_asked_about_once(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "declared.toml"
    file.write_text(COLOR.replace("purchase", "refund"))
    assert "is less of refund better?" in run("experiments", "apply", "declared.toml", "--yes").stderr
    file.write_text(COLOR.replace("purchase", "refund").replace("33.3", "60", 1))
    assert "is less of refund better?" not in run("experiments", "apply", "declared.toml", "--yes").stderr


def test_a_dump_leaves_out_what_is_archived_and_all_seeds(run: Run, tmp_path: Path) -> None:
    for key in ("old", "new"):
        run("experiments", "add", key, "--variant", "a=1", "--variant", "b=1")
    run("experiments", "archive", "old")
    assert run("experiments", "dump", "--output", "new.toml").output == ""
    assert "old" not in (tmp_path / "new.toml").read_text()
    assert run("experiments", "apply", "new.toml", "--yes").stdout == "nothing to change\n"
    everything = run("experiments", "dump", "--all").stdout
    assert 'key = "old"\nstatus = "archived"\n' in everything
    assert "seed" not in everything
    assert run("experiments", "dump", "--output", "nowhere/new.toml").exit_code == 1


@contextmanager
def asked(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """`abtest experiments apply` at a terminal, once it asks; and the end on which a person types."""
    person, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "abtest", "experiments", "apply", "declared.toml", *arguments],
        cwd=folder,
        env={"ABTEST_DATABASE": f"sqlite:///{folder}/abtest.db"} | os.environ,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
    )
    try:
        said = b""
        while b"Apply these changes? [y/N]" not in said:
            said += os.read(person, 1024)
        yield process, person
    finally:
        process.kill()
        process.communicate()
        os.close(person)
        os.close(terminal)


def added(run: Run) -> list[str]:
    return [each["key"] for each in json.loads(run("experiments", "list", "--json").stdout)]


@pytest.mark.parametrize(("answer", "code", "keys"), [(b"y\n", 0, ["color"]), (b"\n", 1, []), (b"\x04", 1, [])])
def test_a_person_is_asked(run: Run, tmp_path: Path, answer: bytes, code: int, keys: list[str]) -> None:
    (tmp_path / "declared.toml").write_text(COLOR)
    with asked(tmp_path) as (process, person):
        assert added(run) == []
        os.write(person, answer)
        shown, _ = process.communicate(timeout=processes.SECONDS)
        assert (process.returncode, shown, added(run)) == (code, "color: will be added, running\n", keys)


def test_with_json_a_person_is_asked_beside_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "declared.toml").write_text(COLOR)
    with asked(tmp_path, "--json") as (process, person):
        os.write(person, b"y\n")
        shown, _ = process.communicate(timeout=processes.SECONDS)
        assert json.loads(shown)["applied"] is True


def test_a_change_while_a_person_thinks_keeps_everything_as_it_is(run: Run, tmp_path: Path) -> None:
    run("experiments", "add", "color", "--variant", "red=1", "--variant", "green=1")
    (tmp_path / "declared.toml").write_text(f"{GREETING}\n{COLOR.replace('33.3', '60', 1)}", encoding="utf-8")
    with asked(tmp_path) as (process, person):
        run("experiments", "weights", "color", "--variant", "red=2", "--variant", "green=1")
        os.write(person, b"y\n")
        process.communicate(timeout=processes.SECONDS)
        assert process.returncode == 1
        assert b"nothing was done: somebody changed the experiments" in os.read(person, 4096)
    assert added(run) == ["color"]
    assert len(json.loads(run("experiments", "show", "color", "--json").stdout)["phases"]) == 2


def test_who_is_killed_between_showing_and_doing_did_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "declared.toml").write_text(COLOR)
    with asked(tmp_path) as (process, _):
        process.kill()
        process.wait(processes.SECONDS)
    assert added(run) == []
    assert run("experiments", "apply", "declared.toml", "--yes").exit_code == 0
    assert added(run) == ["color"]


def test_two_that_apply_at_once_do_it_once(run: Run, tmp_path: Path) -> None:
    run("experiments", "add", "color", "--variant", "red=1", "--variant", "green=1")
    file = tmp_path / "declared.toml"
    file.write_text(f"{GREETING}\n{COLOR.replace('33.3', '60', 1)}", encoding="utf-8")
    command = [sys.executable, "-m", "abtest"]
    both = [
        subprocess.Popen([*command, "experiments", "apply", str(file), "--yes"], stdout=-1, stderr=-1, text=True)
        for _ in range(2)
    ]
    ended = [(*process.communicate(timeout=processes.SECONDS), process.returncode) for process in both]
    done = [shown for shown, _, code in ended if code == 0 and "phase 2" in shown]
    others = [(shown, said, code) for shown, said, code in ended if shown not in done or code]
    assert len(done) == 1
    assert all(shown == "nothing to change\n" or "somebody changed" in said for shown, said, _ in others)
    assert len(json.loads(run("experiments", "show", "color", "--json").stdout)["phases"]) == 2
    assert sorted(added(run)) == ["color", "greeting"]
