"""Apps on the command line, as typed."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from abtest.domain import scoped
from abtest.errors import Conflict, InvalidField, UnknownApp, UnknownDevice, UnknownExperiment, UnknownTestDevice
from abtest.results import worker
from tests.conftest import Run
from tests.processes import Abtest, run
from tests.stores import own_store

COLOR = ("--variant", "red=1", "--variant", "blue=1")
STAGING = ("--app", "staging")


async def ask(token: str, app: int) -> None:
    """The first request of a device, in the database of this folder."""
    async with own_store() as store:
        await store.enrol([scoped(app, token)], 1)
        await worker.tick(store)


def test_an_app_is_added_and_listed(run: Run) -> None:
    added = run("apps", "add", "staging")
    assert (added.exit_code, added.stdout) == (
        0,
        "added staging: its devices ask for /apps/staging/api/v1/experiments\n",
    )
    assert re.fullmatch(r"KEY +CREATED\ndefault +20\S+\nstaging +20\S+\n", run("apps", "list").stdout)
    assert [each["key"] for each in json.loads(run("apps", "list", "--json").stdout)] == ["default", "staging"]
    assert json.loads(run("apps", "add", "other", "--json").stdout)["key"] == "other"


@pytest.mark.parametrize(
    ("key", "error", "told"),
    [
        ("staging", Conflict, "the app 'staging' already exists"),
        ("default", Conflict, "the app 'default' already exists"),
        ("Staging", InvalidField, "key: must be 1 to 64 characters from a-z, 0-9"),
        ("a/b", InvalidField, "key: must be 1 to 64 characters from a-z, 0-9"),
    ],
)
def test_an_app_that_can_not_be_added_is_refused(run: Run, key: str, error: type[Exception], told: str) -> None:
    run("apps", "add", "staging")
    refused = run("apps", "add", key).exception
    assert isinstance(refused, error)
    assert told in str(refused)


def test_experiments_are_those_of_an_app(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("apps", "add", "staging")
    assert run("experiments", "add", "color", *COLOR).exit_code == 0
    added = run("experiments", "add", "color", *COLOR, "--draft", "--metric", "conversion:refund", *STAGING)
    assert added.stdout == "added color, a draft: start it with: abtest experiments start color --app staging\n"
    assert added.stderr.endswith("abtest experiments metrics color --metric 'conversion:refund less' --app staging\n")
    monkeypatch.setenv("ABTEST_APP", "staging")
    assert "color is a draft" in run("experiments", "show", "color").stdout
    assert "color is running" in run("experiments", "show", "color", "--app", "default").stdout
    assert run("experiments", "start", "color").stdout.startswith("color is running")
    assert isinstance(run("experiments", "show", "price").exception, UnknownExperiment)
    for app in ("nothing", "\udcff", ""):
        assert isinstance(run("experiments", "list", "--app", app).exception, UnknownApp)


def test_groups_and_holdouts_are_those_of_an_app(run: Run) -> None:
    run("apps", "add", "staging")
    run("groups", "add", "checkout", *STAGING)
    run("holdouts", "add", "q4", "--share", "5%", *STAGING)
    run("experiments", "add", "color", *COLOR, *STAGING)
    joined = run("groups", "join", "checkout", "color", "--share", "30%", *STAGING)
    assert joined.stdout == "checkout: color 30%; 70% of new devices are in none of them\n"
    assert json.loads(run("groups", "list", "--json").stdout) == json.loads(run("holdouts", "list", "--json").stdout)
    assert isinstance(run("groups", "join", "checkout", "color", "--share", "1%").exception, UnknownExperiment)


def test_a_file_is_applied_to_an_app_and_dumped_from_it(run: Run, tmp_path: Path) -> None:
    run("apps", "add", "staging")
    run("experiments", "add", "color", *COLOR, *STAGING, "--description", "which?")
    (tmp_path / "staged.toml").write_text(run("experiments", "dump", *STAGING).stdout.replace("which?", "what?"))
    assert run("experiments", "dump").stdout == ""
    for app in (STAGING, ()):
        assert run("experiments", "apply", "staged.toml", "--yes", *app).exit_code == 0
    assert "what?" in run("experiments", "show", "color", *STAGING).stdout
    assert run("experiments", "dump").stdout == run("experiments", "dump", *STAGING).stdout


def test_figures_and_devices_are_those_of_an_app(run: Run) -> None:
    run("apps", "add", "staging")
    for app in ("default", "staging"):
        run("experiments", "add", "color", *COLOR, "--app", app)
    asyncio.run(ask("phone", 1))
    assert isinstance(run("why", "phone", *STAGING).exception, UnknownDevice)
    asyncio.run(ask("phone", 2))
    assert json.loads(run("why", "phone", "--json").stdout)["number"] == 1
    assert json.loads(run("why", "phone", *STAGING, "--json").stdout)["number"] == 2
    assert json.loads(run("stats", *STAGING, "--json").stdout)["devices"] == 1
    assert json.loads(run("results", "color", *STAGING, "--json").stdout)["devices"] == 1
    assert run("results", "color", *STAGING).stderr.endswith(" --metric conversion:EVENT --app staging\n")
    assert run("forget", "phone", *STAGING).exit_code == 0
    assert run("forget", "phone", *STAGING).exit_code == 1
    assert json.loads(run("why", "phone", "--json").stdout)["number"] == 1
    assert run("verify").exit_code == 0


def test_a_plan_is_of_the_experiment_of_an_app(run: Run) -> None:
    run("apps", "add", "staging")
    run("experiments", "add", "color", *COLOR, "--metric", "conversion:buy", *STAGING)
    planned = run("plan", "--experiment", "color", "--base", "5%", "--effect", "20%", *STAGING)
    assert re.search(r"abtest experiments metrics color --planned \d+ --app staging\n", planned.stdout)
    assert isinstance(run("plan", "--experiment", "color", "--base", "5%").exception, UnknownExperiment)


def test_fake_devices_are_those_of_an_app(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, "apps", "add", "staging")
    run(database, "experiments", "add", "shape", *COLOR, *STAGING)
    with Abtest(database, "serve", "--port", "0", "--processes", "1", "--base-path", "/abtest") as server:
        server.port()
        url = f"http://127.0.0.1:{server.port_number}/abtest/"
        seeded = run(database, "seed", "10", "--url", url, "--events", "--json", *STAGING)
        assert json.loads(seeded.stdout)["experiments"] == {"shape": {"blue": 5, "red": 5}}
        unknown = run(database, "seed", "1", "--url", url, "--app", "nothing")
        assert "/abtest/apps/nothing/api/v1/experiments answered 404 unknown_app" in unknown.stderr
        refused = run(database, "seed", "1", "--url", url, "--app", "a b")
        assert (refused.returncode, refused.stderr) == (2, "abtest: --app: must be the key of an app\n")
    run(database, "worker", "--once")
    devices = [json.loads(run(database, "stats", "--json", *app).stdout)["devices"] for app in ((), STAGING)]
    assert devices == [0, 10]


def test_test_devices_are_those_of_an_app(run: Run) -> None:
    run("apps", "add", "staging")
    run("experiments", "add", "color", *COLOR, *STAGING)
    assert run("test-devices", "add", "phone", "--value", "color=red", *STAGING).exit_code == 0
    assert json.loads(run("test-devices", "list", "--json").stdout) == []
    assert [each["token"] for each in json.loads(run("test-devices", "list", *STAGING, "--json").stdout)] == ["phone"]
    assert json.loads(run("why", "phone", *STAGING, "--json").stdout)["test_device"]["values"] == {"color": "red"}
    assert isinstance(run("why", "phone").exception, UnknownDevice)
    assert run("forget", "phone", *STAGING).exit_code == 0
    assert isinstance(run("test-devices", "remove", "phone", *STAGING).exception, UnknownTestDevice)
