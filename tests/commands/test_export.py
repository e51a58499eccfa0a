"""`abtest export`, as typed."""

import json
from pathlib import Path

import pytest
from pyarrow import parquet

from tests.conftest import Run
from tests.stores import run_without_a_database


@pytest.fixture
def filled(run: Run) -> Run:
    """In a folder with a database that has an experiment."""
    run("experiments", "add", "color", "--variant", "red=1", "--variant", "blue=1")
    return run


@pytest.mark.parametrize("table", ["devices", "assignments", "events"])
def test_a_file_is_written_as_its_ending_says(filled: Run, tmp_path: Path, table: str) -> None:
    for name in ("a.csv", "a.jsonl", "a.parquet", "a"):
        written = filled("export", table, name)
        assert (written.exit_code, written.stdout) == (0, "")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"device,")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "a.csv").read_bytes()
    assert (tmp_path / "a.jsonl").read_bytes() == b""
    assert parquet.read_table(tmp_path / "a.parquet").column_names[0] == "device"


def test_the_format_wins_over_the_ending(filled: Run, tmp_path: Path) -> None:
    filled("export", "devices", "devices.txt", "--format", "parquet")
    assert parquet.read_table(tmp_path / "devices.txt").num_rows == 0


def test_a_dash_is_standard_output(filled: Run, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    written = filled("export", "devices", "-", "--tokens")
    assert written.stdout_bytes == (
        b"device,token,first_seen,platform,country,language,app_version,os_version,holdout,test_device\r\n"
    )
    assert written.stderr == ""
    assert set(tmp_path.iterdir()) == before


def test_who_takes_tokens_is_in_the_audit_log(filled: Run) -> None:
    assert filled("export", "devices", "-").exit_code == 0
    assert filled("export", "devices", "-", "--tokens").exit_code == 0
    assert filled("audit").stdout.count("exported tokens of devices: file devices\n") == 1


def test_a_file_that_is_there_stays(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "devices.csv").write_text("mine")
    refused = filled("export", "devices", "devices.csv")
    assert refused.exit_code == 1
    assert (tmp_path / "devices.csv").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [
        ("tokens", "a.csv"),
        ("devices",),
        ("devices", "a.csv", "--format", "xlsx"),
        ("devices", "a.csv", "--since", "yesterday"),
        ("devices", "a.csv", "--app", "staging"),
    ],
)
def test_what_was_asked_wrongly_writes_nothing(filled: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    before = set(tmp_path.iterdir())
    assert filled("export", *words).exit_code != 0
    assert set(tmp_path.iterdir()) == before


@run_without_a_database
def test_a_missing_database_is_not_created(run: Run, tmp_path: Path) -> None:
    assert run("export", "devices", "devices.csv").exit_code == 1
    assert not list(tmp_path.iterdir())


def test_the_app_is_the_one_that_is_named(filled: Run) -> None:
    filled("apps", "add", "staging")
    filled("test-devices", "add", "phone", "--app", "staging")
    shown = filled("export", "assignments", "-", "--format", "jsonl", "--app", "staging")
    assert [json.loads(line) for line in shown.stdout.splitlines()] == []
