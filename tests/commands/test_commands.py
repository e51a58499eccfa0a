"""The command line, as typed."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from abtest.commands import abtest, main
from abtest.errors import AbtestError
from abtest.language.counts import counted
from abtest.settings import DATABASE, without_password
from abtest.store.sqlite import migrations
from abtest.store.sqlite.driver import open_raw
from tests.conftest import Run
from tests.scenes import commands
from tests.stores import by_hand, own_store, run_in_sqlite, run_without_a_database

COLOR = ("--variant", "red=33.3", "--variant", "green=33.3%", "--variant", "a=b=33.3")


def test_an_experiment_is_added_listed_and_shown(run: Run) -> None:
    added = run("experiments", "add", "color", *COLOR, "--description", "which?", "--metric", "conversion:buy")
    assert (added.exit_code, added.stdout) == (0, "added color, running\n")
    assert re.search(r"color +running +20.* string +red, green, a=b", run("experiments", "list").stdout)
    shown = json.loads(run("experiments", "show", "color", "--json").stdout)
    assert shown["variants"] == [{"value": value, "weight": "33.3"} for value in ("red", "green", "a=b")]
    assert (shown["status"], shown["metrics"], shown["description"]) == ("running", ["conversion:buy"], "which?")


def test_an_experiment_shows_its_baseline_and_its_plan(run: Run) -> None:
    run("experiments", "add", "color", *COLOR)
    shown = run("experiments", "show", "color").stdout
    assert "  baseline red\n" in shown
    assert "planned for" not in shown
    changed = run("experiments", "metrics", "color", "--baseline", "green", "--planned", "1500")
    assert "  baseline green\n  planned for 1,500 devices\n" in changed.stdout


def test_an_experiment_shows_when_it_was_started_and_when_it_ended(run: Run) -> None:
    run("experiments", "add", "color", *COLOR)
    assert "started" not in run("experiments", "show", "color").stdout
    run("experiments", "add", "later", *COLOR, "--draft")
    time.sleep(0.002)  # so that it starts after it was made
    assert re.search(r"\n  started 20\S+Z\n", run("experiments", "start", "later").stdout)
    assert re.search(r"\n  ended 20\S+Z\n", run("experiments", "finish", "later").stdout)


def test_an_experiment_has_a_type_and_its_values_are_of_it(run: Run) -> None:
    prices = ("--variant", "9.5=1", "--variant", "10=1")
    assert run("experiments", "add", "price", *prices, "--type", "number").exit_code == 0
    shown = json.loads(run("experiments", "show", "price", "--json").stdout)
    assert (shown["type"], [each["value"] for each in shown["variants"]]) == ("number", ["9.5", "10"])
    assert "  type number\n" in run("experiments", "show", "price").stdout
    refused = run("experiments", "add", "other", "--variant", "3,5=1", "--variant", "10=1", "--type", "number")
    assert str(refused.exception) == "variant 1: the value can't be used as a number: write 3.5"


def test_an_audience_is_given_shown_and_refused(run: Run) -> None:
    add = ("experiments", "add", "greeting", "--variant", "a=1", "--variant", "b=1")
    assert run(*add, "--audience", "platform=ios,android", "--audience", "app_version>=3.10").exit_code == 0
    assert (
        "  audience platform is ios or android, app_version at least 3.10\n"
        in run("experiments", "show", "greeting").stdout
    )
    shown = json.loads(run("experiments", "show", "greeting", "--json").stdout)
    assert shown["audience"] == ["platform=ios,android", "app_version>=3.10"]


def test_a_coverage_is_given_changed_and_shown(run: Run) -> None:
    assert (
        run("experiments", "add", "ramp", "--variant", "a=1", "--variant", "b=1", "--coverage", "1%").exit_code == 0
    )
    assert run("experiments", "weights", "ramp", "--coverage", "12.5%").exit_code == 0
    assert "(coverage)               1%    12.5%\n" in run("experiments", "show", "ramp").stdout
    shown = json.loads(run("experiments", "show", "ramp", "--json").stdout)
    assert (shown["coverage"], [phase["coverage"] for phase in shown["phases"]]) == ("12.5%", ["1%", "12.5%"])
    assert run("experiments", "weights", "ramp").exit_code == 2


def test_a_start_an_end_and_a_stop_are_given_changed_and_shown(run: Run) -> None:
    plan = ("--start-at", "2999-12-03T10:00:00+01:00", "--end-at", "2999-12-10T09:00:00Z", "--stop-at", "600")
    added = run("experiments", "add", "color", *COLOR, *plan)
    assert added.stdout == (
        "added color, a draft: starts 3 Dec 2999, 09:00 UTC; ends 10 Dec 2999, 09:00 UTC; "
        "stops at 600 devices, 0 so far\n"
    )
    assert "color  draft, starts 3 Dec  " in run("experiments", "list").stdout
    run("experiments", "schedule", "color", "--start-at", "none")
    run("experiments", "weights", "color", "--stop-at", "12000")
    shown = json.loads(run("experiments", "start", "color", "--json").stdout)
    assert (shown["start_at"], shown["end_at"], shown["stop_at"]) == (None, "2999-12-10T09:00:00Z", 12_000)
    assert [phase["stop_at"] for phase in shown["phases"]] == [600, 12_000]
    assert shown["schedule"] == ["ends 10 Dec 2999, 09:00 UTC", "stops at 12,000 devices, 0 so far"]
    text = run("experiments", "show", "color").stdout
    assert "  ends 10 Dec 2999, 09:00 UTC\n  stops at 12,000 devices, 0 so far\n" in text
    assert re.search(r"^\(stops at\) +600 +12,000$", text, re.MULTILINE)
    assert run("experiments", "schedule", "color").exit_code == 2


def test_a_full_experiment_says_so_where_it_is_listed(run: Run) -> None:
    run("experiments", "add", "color", *COLOR, "--stop-at", "2")
    asyncio.run(_enrolled("a", "b", "c"))
    full = "has its 2 devices and takes no more"
    assert f"color  running, {full}  " in run("experiments", "list").stdout
    assert f"  {full}\n" in run("experiments", "show", "color").stdout
    assert "the experiment already had its 2 devices when the device was first seen" in run("why", "c").stdout


async def _enrolled(*asked: str) -> None:
    async with own_store() as store:
        await store.enrol(asked, 1)


def test_the_worker_says_what_it_started(run: Run) -> None:
    run("experiments", "add", "color", *COLOR, "--start-at", "2020-01-01T00:00:00Z")
    assert run("worker", "--once").stderr == "started color as planned\nfolded 0 new devices into the statistics\n"


def test_a_repeated_option_stands_one_a_line_in_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABTEST_METRIC", "conversion:buy\nconversion:refund less\n")
    monkeypatch.setenv("ABTEST_VARIANT", "Buy now=1\nBuy later=1")
    shown = json.loads(run("experiments", "add", "offer", "--json").stdout)
    assert shown["metrics"] == ["conversion:buy", "conversion:refund less"]
    assert [variant["value"] for variant in shown["variants"]] == ["Buy now", "Buy later"]


def test_no_variable_means_one_thing_here_and_another_there() -> None:
    forms: dict[str, set[tuple[str | None, bool]]] = {}
    for _, command in commands(abtest, "abtest"):
        for each in command.params:
            if isinstance(each, click.Option) and isinstance(each.envvar, str):
                forms.setdefault(each.envvar, set()).add((each.metavar, each.multiple))
    assert {variable: found for variable, found in forms.items() if len(found) > 1} == {}


def test_the_life_of_an_experiment(run: Run) -> None:
    run("experiments", "add", "color", *COLOR, "--draft")
    for action, status in (("start", "running"), ("pause", "paused"), ("resume", "running")):
        assert run("experiments", action, "color").stdout.startswith(f"color is {status}\n")
    weighed = run(
        "experiments", "weights", "color", "--variant", "red=1", "--variant", "green=2", "--variant", "a=b=0"
    )
    assert "PHASE 2" in weighed.stdout
    assert "winner red" in run("experiments", "finish", "color", "--winner", "red").stdout
    assert json.loads(run("experiments", "archive", "color", "--json").stdout)["status"] == "archived"


def test_a_decision_is_told_with_its_reason_and_survives_a_restored_backup(run: Run) -> None:
    run("experiments", "add", "color", *COLOR)
    run("experiments", "finish", "color", "--winner", "red", "--because", "people buy more")
    decided = json.loads(run("experiments", "show", "color", "--json").stdout)
    assert (decided["because"], decided["decided_by"]["kind"]) == ("people buy more", "command line")
    told = f"decided by {decided['decided_by']['name']} on the command line on "
    run("backup", "kept.db")
    run("restore", "kept.db")
    assert json.loads(run("experiments", "show", "color", "--json").stdout) == decided
    for lines in (run("experiments", "show", "color").stdout, run("results", "color").stdout):
        assert "  winner red\n  because: people buy more\n  " + told in lines
    said = json.loads(run("audit", "--about", "color", "--json").stdout)
    assert "because “people buy more” (was none)" in said[0]["said"]


def test_a_file_is_loaded_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    one = '[[experiments]]\nkey = "{}"\nvariants = [{{ value = "1", weight = 1 }}, {{ value = "2", weight = 1.5 }}]\n'
    (tmp_path / "new.toml").write_text(one.format("first") + one.format("second"))
    assert run("experiments", "load", "new.toml").stdout == "added first, running\nadded second, running\n"
    (tmp_path / "again.toml").write_text(one.format("third") + one.format("first"))
    assert "already exists" in str(run("experiments", "load", "again.toml").exception)
    assert len(json.loads(run("experiments", "list", "--json").stdout)) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("experiments", "add", "Color", *COLOR), 2, "abtest: key: must be 1 to 64 characters from a-z"),
        (("experiments", "add", "color", "--variant", "red"), 2, "must look like VALUE=WEIGHT"),
        (("experiments", "add", "color", "--variant", "red=-1"), 2, "weight of variant 1: must be a decimal"),
        (
            ("experiments", "add", "color", "--variant", "red=0.00001"),
            2,
            "weight of variant 1: must have at most 4 decimals",
        ),
        (("experiments", "add", "color", "--variant", "red= 1"), 2, "weight of variant 1: must be a decimal"),
        (
            ("experiments", "add", "color", *COLOR, "--metric", "conversion:exposure"),
            2,
            "metric 1: the event can't be exposure",
        ),
        (
            ("experiments", "add", "color", *COLOR, *2 * ("--metric", "amount:buy")),
            2,
            "metrics: the same metric is given twice",
        ),
        (
            ("experiments", "metrics", "color", *2 * ("--metric", "amount:buy")),
            2,
            "metrics: the same metric is given twice",
        ),
        (("experiments", "add", "color", "--variant", "red=1"), 2, "variants: must be 2 to 20, not 1"),
        (("experiments", "add", "color", *COLOR, "--audience", "plattform=ios"), 2, "did you mean platform?"),
        (
            ("experiments", "add", "color", *COLOR, "--coverage", "120%"),
            2,
            "coverage: must be above 0% and at most 100%",
        ),
        (
            ("experiments", "add", "color", *COLOR, "--coverage", "20"),
            2,
            "coverage: the percent sign is missing: write 20%",
        ),
        (
            ("experiments", "add", "color", *COLOR, "--end-at", "2026-12-03T10:00:00"),
            2,
            "abtest: end_at: must be a time with its time zone, such as 2026-11-23T10:00:00Z",
        ),
        (("experiments", "add", "color", *COLOR, "--end-at", "2020-01-01T00:00:00Z"), 2, "color: end_at: 2020-01-01"),
        (("experiments", "pause", "nothing"), 1, "abtest: there is no experiment 'nothing'"),
        (("results", "nothing"), 1, "abtest: there is no experiment 'nothing'"),
        (("experiments", "load", "nothing.toml"), 1, "abtest: there is no experiment 'nothing'"),
        (("why", "nobody"), 1, "abtest: no device has asked for its experiments with this token in {database}"),
        (("why", "no body"), 2, "Device-Token must be"),
        (("--database", "postgresql://me:p/ss@host/db", "stats"), 2, "database: can't be read as postgresql://"),
        (("--database", "abtest.db", "stats"), 2, "database: must look like sqlite:///abtest.db"),
        (("--database", "sqlite:////tmp", "stats"), 2, "database: /tmp is a folder; name a file in it"),
        (("--database", "sqlite:////nowhere/abtest.db", "stats"), 1, "abtest: there is no folder /nowhere"),
        (("serve", "--port", "70000"), 2, "70000"),
        (("serve", "--port", "http"), 2, "'http' is not a valid integer.\n"),
        (("worker", "--interval", "soon"), 2, "'soon' is not a valid number.\n"),
        (("seed", "1", "--url", "localhost"), 2, "url: must look like"),
        (("seed", "1", "--prefix", "a b"), 2, "abtest: --prefix: together with the number, it must be 1 to 128"),
        (("worker", "--json"), 2, "--json needs --once"),
        (("nothing",), 2, "No such command 'nothing'"),
    ],
)
def test_what_goes_wrong_is_said_with_its_exit_code(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    (tmp_path / "nothing.toml").write_text('[metrics]\nnothing = ["conversion:buy"]\n')
    monkeypatch.setattr("sys.argv", ["abtest", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (code, "")
    database = os.environ.get(DATABASE.variable, f"{tmp_path}/abtest.db")
    assert message.replace("{database}", without_password(database)) in said.err
    assert "Traceback" not in said.err


def test_stats_say_when_there_are_none_and_then_what_they_are(run: Run) -> None:
    assert "no figures yet" in run("stats").stderr
    assert json.loads(run("stats", "--json").stdout) == {
        "as_of": None,
        "age_seconds": None,
        "devices": 0,
        "experiments": [],
    }
    run("experiments", "add", "color", *COLOR)
    run("worker", "--once")
    assert re.search(r"red +0 +0\.00% +1/3 +0\n", run("stats").stdout)


@run_without_a_database
@pytest.mark.parametrize(
    "arguments",
    [("stats",), ("verify",), ("db", "check"), ("experiments", "list", "--json"), ("worker", "--once")],
)
def test_a_command_that_creates_a_database_says_which(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    first, second = run(*arguments), run(*arguments)
    assert (first.exit_code, second.exit_code) == (0, 0)
    created = without_password(os.environ.get(DATABASE.variable, f"{tmp_path}/abtest.db"))
    assert first.stderr.startswith(f"created the database {created}\n")
    assert "created the database" not in first.stdout + second.stderr


@run_in_sqlite
def test_a_backup_needs_a_database(run: Run, tmp_path: Path) -> None:
    assert str(run("backup", "copy.db").exception) == f"there is no database at {tmp_path}/abtest.db"


def test_results_before_the_first_tick_say_so(run: Run) -> None:
    run("experiments", "add", "color", *COLOR, "--metric", "conversion:buy")
    assert "running, 0 devices, before the worker's first tick\n" in run("results", "color").stdout


def test_a_draft_is_called_one(run: Run) -> None:
    run("experiments", "add", "color", *COLOR, "--draft")
    assert run("experiments", "show", "color").stdout.startswith("color is a draft\n")
    assert (
        str(run("experiments", "pause", "color").exception) == "the experiment color is a draft and can't be paused"
    )


def test_verify_tells_what_broke_and_exits_1(run: Run) -> None:
    async def damage() -> None:
        async with own_store() as store:
            by_hand(store, "UPDATE phase SET next_position = 3")

    run("experiments", "add", "color", *COLOR)
    assert (run("verify").exit_code, json.loads(run("verify", "--json").stdout)["broken"]) == (0, 0)
    asyncio.run(damage())
    broken = run("verify")
    assert broken.exit_code == 1
    assert "BROKEN  phase 1 of color: the next position is 3, but 0 were given" in broken.stdout


@run_in_sqlite
def test_db_check_finds_damage_and_migrate_names_the_schema(run: Run, tmp_path: Path) -> None:
    assert run("db", "migrate").stdout == f"abtest.db has schema {migrations.newest()}\n"
    assert run("db", "check").stdout == "the database is sound\n"
    run("experiments", "add", "color", *COLOR)
    connection = open_raw(Path("abtest.db"))
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("DELETE FROM experiment")
    connection.close()
    damaged = run("db", "check", "--json")
    assert (damaged.exit_code, json.loads(damaged.stdout)["sound"]) == (1, False)


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ("me\n\nyou\n", 1, "tokens.txt, line 2: skipped, because the line is empty\n"),
        ("me\n\ny ou\n", 2, "tokens.txt, line 3: Device-Token must be 1 to 128 visible ASCII characters"),
        ("me\n\udce9\n", 2, "tokens.txt, line 2: Device-Token must be 1 to 128 visible ASCII characters"),
        ("\n", 2, "tokens.txt: the file contains no token\n"),
    ],
)
def test_a_line_of_a_file_of_tokens_is_named(run: Run, tmp_path: Path, lines: str, code: int, said: str) -> None:
    (tmp_path / "tokens.txt").write_text(lines, errors="surrogateescape")
    forgotten = run("forget", "--from-file", "tokens.txt")
    assert (forgotten.exit_code, said in forgotten.stderr) == (code, True), forgotten.stderr


def test_settings_come_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ABTEST_DATABASE", f"sqlite:///{tmp_path}/other.db")
    run("experiments", "add", "color", *COLOR)
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "abtest.db").exists()


def test_every_command_and_option_explains_itself() -> None:
    for path, command in commands(abtest, "abtest"):
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "version":
                assert parameter.help, f"{path} {parameter.name}"
                assert str(parameter.envvar).startswith("ABTEST_"), f"{path} {parameter.name}"


def test_errors_are_told_apart_from_accidents(run: Run) -> None:
    assert isinstance(run("experiments", "pause", "nothing").exception, AbtestError)


def test_one_is_not_counted_in_the_plural() -> None:
    assert [counted(number, "device") for number in (0, 1, 1_200)] == ["0 devices", "1 device", "1,200 devices"]


@pytest.mark.parametrize(
    ("module", "loaded"), [("abtest.commands", "set()"), ("abtest.commands.serving", "{'tornado'}")]
)
def test_only_what_serves_loads_the_web(module: str, loaded: str) -> None:
    code = f"import sys, {module}; print(sys.modules.keys() & {{'tornado'}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{loaded}\n"
