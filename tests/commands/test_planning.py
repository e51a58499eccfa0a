"""abtest plan, as typed."""

import asyncio
import json
from math import sqrt
from pathlib import Path

import pytest

from abtest import clock
from abtest.commands import main
from abtest.domain.events import Event
from tests.conftest import Run
from tests.scenes import answers, tokens
from tests.stores import own_store

TWO = ("--variant", "red=75", "--variant", "green=25")
FOUND = "With 400 devices, the smallest difference found in 4 of 5 tests is about "


async def sell(devices: int, buyers: int, *amounts: int) -> None:
    """That many devices in the experiment, of which so many with the value red buy, once for each amount."""
    async with own_store() as store:
        asked = tokens("device", devices)
        values = await answers(store, asked)
        red = [token for token, each in zip(asked, values, strict=True) if each["color"] == "red"]
        bought = [Event(str(place), "buy", amount=amount) for place, amount in enumerate(amounts or [None])]
        await store.track([(token, bought) for token in red[:buyers]], clock.now())


def test_devices_and_days_are_planned_and_the_next_step_is_told(run: Run) -> None:
    planned = run("plan", "--base", "5%", "--effect", "+20%", "--per-day", "2000")
    assert (planned.exit_code, planned.stderr) == (0, "")
    assert planned.stdout.startswith("8,143 devices per variant, 16,286 in all, find a difference of +20%")
    assert "that takes 9 days" in planned.stdout
    assert "abtest experiments add KEY" in planned.stdout
    assert planned.stdout.endswith("--metric conversion:EVENT --planned 16286\n")


def test_the_reverse_says_what_the_devices_find(run: Run) -> None:
    planned = run("plan", "--base", "0.05", "--devices", "600", "--variants", "3")
    assert planned.stdout.startswith("With 600 devices, the smallest difference found in 4 of 5 tests is about +156%")


def test_an_amount_and_a_decrease_can_be_planned(run: Run) -> None:
    planned = run("plan", "--mean", "9.5", "--deviation", "30", "--effect", "-10%", "--power", "90%")
    assert "-10% (a mean of 9.5 that becomes 8.55) in 9 of 10 tests" in planned.stdout
    assert "--metric amount:EVENT" in planned.stdout


def test_unequal_weights_are_tabled_with_their_devices(run: Run) -> None:
    weights = [word for weight in ("75%", "10", "5", "10") for word in ("--weight", weight)]
    planned = run("plan", "--base", "5%", "--effect", "20%", *weights).stdout
    assert "VARIANT    WEIGHT  DEVICES\nbaseline       75   65,144\n" in planned
    assert "variant 3       5    4,343\n" in planned


def test_json_is_the_plan_and_nothing_else_and_no_database_is_made(run: Run, tmp_path: Path) -> None:
    planned = json.loads(run("plan", "--base", "5%", "--effect", "20%", "--json").stdout)
    assert (planned["devices"], planned["per_variant"], planned["planned"]) == (16_286, [8_143, 8_143], 16_286)
    assert planned["effect"] == 0.2
    assert planned["rule_power"] == pytest.approx(0.773, abs=0.001)
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_brings_its_weights_and_is_planned_while_it_is_empty(run: Run) -> None:
    run("experiments", "add", "color", *TWO, "--baseline", "green", "--metric", "conversion:buy")
    planned = run("plan", "--experiment", "color", "--base", "5%", "--effect", "20%").stdout
    assert "baseline       25 " in planned
    assert "variant 2      75 " in planned
    assert "variant 3" not in planned
    assert "abtest experiments metrics color --planned " in planned


def test_without_a_conversion_the_rate_must_be_given(run: Run) -> None:
    run("experiments", "add", "color", *TWO, "--metric", "conversion:buy")
    asyncio.run(sell(400, buyers=0))
    run("worker", "--once")
    assert "color has no conversions yet" in str(run("plan", "--experiment", "color").exception)


def test_an_experiment_brings_its_rate_and_its_devices(run: Run) -> None:
    run("experiments", "add", "color", *TWO, "--metric", "conversion:buy")
    asyncio.run(sell(400, buyers=30))
    run("worker", "--once")
    planned = run("plan", "--experiment", "color")
    assert planned.stdout.startswith(FOUND + "+")
    assert "a rate of 10% that becomes" in planned.stdout
    assert "--planned" not in planned.stdout


def test_an_experiment_brings_its_mean_and_its_deviation(run: Run) -> None:
    """Of 300 devices 30 pay 10 and 15: a mean of 2.5, a variance of 30 * 22.5^2 + 270 * 2.5^2 over 299."""
    run("experiments", "add", "color", *TWO, "--metric", "amount:buy")
    asyncio.run(sell(400, 30, 100_000, 150_000))
    run("worker", "--once")
    asked = ("--effect", "20%", "--json")
    deviation = str(sqrt((30 * 22.5**2 + 270 * 2.5**2) / 299))
    typed = run("plan", "--mean", "2.5", "--deviation", deviation, "--weight", "75", "--weight", "25", *asked)
    planned = run("plan", "--experiment", "color", *asked)
    assert "a mean of 2.5 that becomes 3" in planned.stdout
    assert [json.loads(each.stdout)["per_variant"] for each in (planned, typed)] == [[7_088, 2_363]] * 2
    assert run("plan", "--experiment", "color").stdout.startswith(FOUND + "+")


def test_an_amount_of_which_less_is_better_is_planned_as_a_decrease(run: Run) -> None:
    run("experiments", "add", "color", *TWO, "--metric", "amount:buy less")
    asyncio.run(sell(400, 290, 100_000))
    run("worker", "--once")
    assert run("plan", "--experiment", "color").stdout.startswith(FOUND + "-")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--base", "5", "--effect", "20%"), 2, "abtest: --base: must be a rate between 0 and 100%, such as 5%"),
        (("--base", "5%", "--effect", "20"), 2, "--effect: +2,000% turns a rate of 5% into 105%"),
        (("--base", "5%", "--effect", "0"), 2, "--effect: must be a difference"),
        (("--base", "nan", "--effect", "20%"), 2, "base: must be a percentage such as 5%"),
        (("--base", "5%"), 2, "--effect: give the effect to find or the number of devices"),
        (("--effect", "20%"), 2, "base: give a rate, or a mean with its deviation"),
        (("--mean", "5%", "--deviation", "1", "--effect", "20%"), 2, "mean: must be a decimal number"),
        (("--base", "5%", "--effect", "20%", "--per-day", "0"), 2, "per-day"),
        (("--base", "5%", "--effect", "20%", "--variants", "21"), 2, "--variants: from 2 to 20"),
        (("--base", "5%", "--effect", "20%", "--weight", "1"), 2, "--weight: give 2 to 20"),
        (("--base", "5%", "--effect", "20%", "--weight", "x"), 2, "--weight 1: must be a decimal number"),
        (
            ("--base", "5%", "--effect", "20%", "--weight", "1", "--variants", "2"),
            2,
            "only one of --variants, --weight",
        ),
        (("--experiment", "nothing"), 1, "there is no experiment 'nothing'"),
        (("--experiment", "empty", "--effect", "20%"), 2, "--base: give the rate; empty has no conversions yet"),
        (
            ("--experiment", "price", "--effect", "20%"),
            2,
            "--mean: give it and --deviation; price has no amounts yet",
        ),
    ],
)
def test_what_can_not_be_planned_is_said_with_its_exit_code(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    run("experiments", "add", "empty", *TWO)
    run("experiments", "add", "price", *TWO, "--metric", "amount:buy")
    run("worker", "--once")
    monkeypatch.setattr("sys.argv", ["abtest", "plan", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (code, "")
    assert message in said.err
    assert "Traceback" not in said.err
