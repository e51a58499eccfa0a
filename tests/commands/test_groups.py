"""Groups and holdouts, as typed."""

import json

from tests.conftest import Run

VARIANTS = ("--variant", "a=1", "--variant", "b=1")


def test_experiments_share_a_group(run: Run) -> None:
    assert run("groups", "list").stdout == "no groups yet; add one with: abtest groups add KEY\n"
    run("groups", "add", "screen", "--description", "one at a time")
    run("experiments", "add", "one", *VARIANTS, "--group", "screen", "--group-share", "30%")
    run("experiments", "add", "two", *VARIANTS)
    refused = run("groups", "join", "screen", "two", "--share", "70.1%")
    assert str(refused.exception) == "group share: the group screen has only 70% left, not 70.1%"
    joined = run("groups", "join", "screen", "two", "--share", "50%")
    assert joined.stdout.startswith("screen: one 30%, two 50%; 20% of new devices are in none of them\n")
    assert run("groups", "list").stdout.splitlines()[1] == "screen  one 30%, two 50%  20%"
    assert "  in the group screen, which gives it 30% of new devices\n" in run("experiments", "show", "one").stdout
    run("groups", "leave", "screen", "one")
    shown = json.loads(run("groups", "show", "screen", "--json").stdout)
    assert (shown["experiments"], shown["free"]) == ([{"key": "two", "share": "50%"}], "50%")
    assert json.loads(run("experiments", "show", "one", "--json").stdout)["group"] is None


def test_a_group_is_refused_what_makes_no_sense(run: Run) -> None:
    run("groups", "add", "screen")
    assert "the group 'screen' already exists" in str(run("groups", "add", "screen").exception)
    assert "there is no group 'other'" in str(run("groups", "show", "other").exception)
    assert "there is no experiment 'one'" in str(run("groups", "join", "screen", "one", "--share", "5%").exception)
    alone = run("experiments", "add", "one", *VARIANTS, "--group", "screen")
    assert "a group and a group share must be given together" in str(alone.exception)
    run("experiments", "add", "one", *VARIANTS)
    assert "share: must be above 0%" in str(run("groups", "join", "screen", "one", "--share", "0%").exception)
    assert "one is not in the group screen" in str(run("groups", "leave", "screen", "one").exception)
    run("groups", "join", "screen", "one", "--share", "5%")
    run("groups", "add", "other")
    again = run("groups", "join", "other", "one", "--share", "5%")
    assert "one is in the group screen already" in str(again.exception)


def test_a_holdout_is_added_measured_and_ended(run: Run) -> None:
    assert run("holdouts", "list").stdout.startswith("no holdouts yet")
    added = run("holdouts", "add", "year", "--share", "5%", "--metric", "conversion:buy")
    assert added.stdout == (
        "year, running: holds 5% of new devices out of every experiment; 0 new devices so far\n  conversion:buy\n"
    )
    for share in ("0%", "100%", "x"):
        assert "must be above 0%" in str(run("holdouts", "add", "other", "--share", share).exception)
    changed = json.loads(run("holdouts", "metrics", "year", "--metric", "amount:buy", "--json").stdout)
    assert (changed["metrics"], changed["share"], changed["status"]) == (["amount:buy"], "5%", "running")
    asked = run("holdouts", "metrics", "year", "--metric", "conversion:refund").stderr
    assert "if so, run: abtest holdouts metrics year --metric 'conversion:refund less'" in asked
    run("worker", "--once")
    results = run("holdouts", "results", "year")
    assert results.stderr == asked
    assert results.stdout.startswith("year: Not enough data")
    assert "reported exposure" not in results.stdout
    assert "0 devices, 0 assignments, 0 experiments" in run("verify").stdout
    assert run("holdouts", "end", "year").stdout.startswith("year, ended: held 5% of new devices")
    run("worker", "--once")
    assert "ended, 0 devices" in run("holdouts", "results", "year").stdout
    assert "the holdout year has ended already" in str(run("holdouts", "end", "year").exception)
    assert run("holdouts", "list").stdout.splitlines()[1].split() == ["year", "ended", "5%", "0"]
    assert run("experiments", "list").stdout.startswith("no experiments yet")
