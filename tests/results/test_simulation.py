"""Simulations: the real allocation in a process of its own, and nothing of it is kept."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import aclosing, closing
from decimal import Decimal
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from markupsafe import escape
from tornado.httpclient import HTTPResponse
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.domain import Kind, failed, new_group, new_holdout, parse_audience
from abtest.domain.experiments import Variant
from abtest.errors import Conflict, InvalidSetting
from abtest.language import forms
from abtest.management.experiments import DEMO, ExperimentService
from abtest.results import worker
from abtest.results.mix import devices
from abtest.results.simulation import MOST_DEVICES, Simulated, SimulationService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from abtest.web.pages.rendering import render
from tests.conftest import Client
from tests.scenes import ANNA, answers, experiment, new, tokens, until


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    """The demo experiments, with 100 devices in them."""
    store = SQLiteStore(new(tmp_path / "abtest.db"))

    async def fill() -> None:
        await store.open()
        await store.add(DEMO, 1)
        await answers(store, tokens("real", 100))
        await worker.tick(store)

    io_loop.run_sync(fill)
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SQLiteStore, tmp_path: Path) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{tmp_path}/abtest.db")))


@pytest.fixture
def simulation(store: SQLiteStore, tmp_path: Path) -> SimulationService:
    return SimulationService(store, tmp_path / "abtest.db.simulation.lock")


async def last(simulation: SimulationService, devices: int) -> Simulated:
    async with aclosing(simulation.run(devices)) as steps:
        return [step async for step in steps][-1]


def simulating() -> list[int]:
    """The simulations of this process that run, or are stopped."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [
        int(pid) for pid, parent, words in rows if parent == str(os.getpid()) and "abtest.results.drawing" in words
    ]


def hold() -> None:
    """Stop the simulation that runs, so that it can't come to its end."""
    (running,) = simulating()
    os.kill(running, signal.SIGSTOP)


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


async def test_the_counts_are_exact(simulation: SimulationService) -> None:
    simulated = await last(simulation, 600)
    assert (simulated.devices, simulated.done) == (600, 600)
    counts = {report.experiment.key: report.phases[0].counts for report in simulated.experiments}
    assert counts == {"button_color": (200, 200, 200), "price": (450, 60, 30, 60)}


async def test_the_present_weights_of_running_experiments_count(
    simulation: SimulationService, store: SQLiteStore
) -> None:
    service = ExperimentService(store, by=ANNA)
    await service.pause("button_color")
    weights = zip(("10", "20", "50", "5"), (0, 0, 1, 1), strict=True)
    await service.reweight("price", [Variant(value, Decimal(weight)) for value, weight in weights])
    simulated = await last(simulation, 10)
    assert [report.experiment.key for report in simulated.experiments] == ["price"]
    assert simulated.experiments[0].phases[0].counts == (0, 0, 5, 5)


async def test_audience_and_coverage_decide_and_the_shares_of_those_who_take_part_are_exact(
    simulation: SimulationService, store: SQLiteStore
) -> None:
    audience = ["country=ZZ,DE", "app_version>=3.10"]
    await store.add([experiment("checkout", "1", "1", audience=audience, coverage="0.2")], 1)
    (report,) = [each for each in (await last(simulation, 600)).experiments if each.experiment.key == "checkout"]
    met = list(islice(devices([parse_audience(audience)]), 600))
    outside = [failed(parse_audience(audience), each) for each in met]
    assert report.audience is not None
    assert report.audience.failed == tuple(sum(place in each for each in outside) for place in (0, 1))
    inside = 600 - report.audience.outside
    assert inside == outside.count(())
    assert 10 < inside < 590
    assert abs(report.devices - inside / 5) < 2
    assert report.devices + report.uncovered == inside
    assert report.exact
    assert str(report.strictest) == "country=ZZ,DE"


async def test_a_holdout_a_group_and_an_end_decide_as_they_do_about_real_devices(
    simulation: SimulationService, store: SQLiteStore, client: Client
) -> None:
    await store.add([new_holdout("year", Decimal("0.1"))], 1, kind=Kind.HOLDOUT)
    await store.add([new_group("screen")], 1, kind=Kind.GROUP)
    await store.add([experiment("one", "1", "1"), experiment("two", "1", "1", stop_at=50)], 1)
    for key, share in (("one", "0.3"), ("two", "0.2")):
        await store.join("screen", key, Decimal(share), 1)
    simulated = await last(simulation, 600)
    found = {report.experiment.key: report.devices for report in simulated.experiments}
    assert (simulated.held, found) == (60, {"button_color": 540, "price": 540, "one": 162, "two": 50})
    assert all(report.exact for report in simulated.experiments)
    page = (await client.fetch("/simulate?devices=600")).body.decode()
    assert "60 devices were held, so they are in no experiment." in page
    assert "gives it 30% of new devices" in page


async def test_the_devices_of_a_simulation_are_the_same_each_time(simulation: SimulationService) -> None:
    first, again = await last(simulation, 600), await last(simulation, 600)
    assert first.said == again.said
    assert sum(each.devices for each in first.said if each.attribute == "country") == 600
    assert all(each.devices for each in first.said if each.value is None)


async def test_the_page_says_how_many_of_made_up_devices_took_part(client: Client, store: SQLiteStore) -> None:
    audience = ["platform=ios", "country=ZZ"]
    await store.add([experiment("checkout", "1", "1", audience=audience, coverage="0.2")], 1)
    page = await client.fetch("/simulate?devices=600")
    shown = re.sub(r"(<[^>]*>|\s)+", " ", page.body.decode())
    assert "The attributes of these devices are made up" in shown
    assert re.search(r"country ZZ [0-9.]+% , US [0-9.]+% ,.*, missing [0-9.]+% language", shown)
    told = re.search(
        r"In the audience (\d+) platform is ios, country is ZZ; “country is ZZ” kept out the most: (\d+) "
        r"Covered (\d+) 20% of those in the audience",
        shown,
    )
    assert told
    inside, kept_out, covered = map(int, told.groups())
    assert 0 < covered < inside < 600 - kept_out


async def test_an_audience_without_fake_devices_is_said(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("checkout", "1", "1", audience=["platform=android"])], 1)
    assert b"No fake device took part." in (await client.fetch("/simulate?devices=1")).body


async def test_the_process_that_draws_says_nothing(
    simulation: SimulationService, capfd: pytest.CaptureFixture[str]
) -> None:
    await last(simulation, 600)
    assert capfd.readouterr() == ("", "")


async def test_progress_is_told_until_the_end(simulation: SimulationService) -> None:
    async with aclosing(simulation.run(MOST_DEVICES)) as steps:
        done = [step.done async for step in steps]
    assert len(done) > 1
    assert done == sorted(done)
    assert done[-1] == MOST_DEVICES


async def test_real_data_stay_as_they_are(simulation: SimulationService, tmp_path: Path) -> None:
    before = content(tmp_path / "abtest.db")
    assert any("real-99" in line for line in before)
    await last(simulation, 5000)
    assert content(tmp_path / "abtest.db") == before


@pytest.mark.parametrize("devices", [-1, 0, MOST_DEVICES + 1])
async def test_a_number_out_of_range_is_refused(simulation: SimulationService, devices: int) -> None:
    with pytest.raises(InvalidSetting, match="1 to 1,000,000"):
        await last(simulation, devices)


async def test_a_second_simulation_is_refused_while_one_runs(simulation: SimulationService, client: Client) -> None:
    async with aclosing(simulation.run(MOST_DEVICES)) as steps:
        await anext(steps)
        hold()
        with pytest.raises(Conflict, match="another simulation is running"):
            await last(simulation, 1)
        page = await client.fetch("/simulate?devices=1")
        events = await client.fetch("/simulate/run?devices=1")
    assert (page.code, b"Another simulation is running" in page.body) == (409, True)
    assert b'"status":409' in events.body
    assert (await last(simulation, 1)).done == 1


async def test_closing_the_steps_ends_the_process(simulation: SimulationService) -> None:
    async with aclosing(simulation.run(MOST_DEVICES)) as steps:
        await anext(steps)
        hold()
    assert not simulating()


@pytest.mark.parametrize("path", ["/simulate", "/simulate/run"])
async def test_a_client_that_goes_away_ends_its_simulation(client: Client, path: str) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(client.address.rpartition(":")[2]))
    writer.write(f"GET {path}?devices={MOST_DEVICES} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await until(simulating)
    hold()
    writer.close()
    await until(lambda: not simulating())


async def test_the_page_works_without_scripts(client: Client) -> None:
    empty, simulated = await client.fetch("/simulate"), await client.fetch("/simulate?devices=600")
    assert (empty.code, b"nothing was stored" in empty.body) == (200, False)
    assert (simulated.code, b"Simulated with 600 devices; nothing was stored" in simulated.body) == (200, True)
    assert simulated.body.count(b'data-devices="200"') == 3


async def test_the_stream_ends_with_the_tables(client: Client) -> None:
    answer = await client.fetch("/simulate/run?devices=600")
    assert answer.headers["Content-Type"] == "text/event-stream"
    events = [event.partition(b"\n") for event in answer.body.split(b"\n\n") if event]
    assert [name for name, _, _ in events][-2:] == [b"event: progress", b"event: result"]
    assert events[-1][2].count(b'data-devices="200"') == 3


@pytest.mark.parametrize("path", ["/simulate", "/simulate/run"])
async def test_a_planned_effect_is_judged_with_the_devices_of_the_simulation(client: Client, path: str) -> None:
    answer = await client.fetch(f"{path}?devices=600&base=5&effect=20")
    shown = answer.body.decode()
    assert "+20% on a base rate of 5% would be found in 7.2% of such tests; 80% needs about 24,429" in shown
    assert "for every variant" in shown
    assert "Found in" in shown
    plain = await client.fetch(f"{path}?devices=600&base=&effect=")
    assert (plain.code, b"would be found" in plain.body) == (200, False)


@pytest.mark.parametrize("path", ["/simulate", "/simulate/run"])
@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("base=5&effect=", "effect", "must be a percentage, such as 20"),
        ("base=&effect=20", "base", "must be a percentage, such as 5"),
        ("base=x&effect=20", "base", "must be a percentage"),
        ("base=0&effect=20", "base", "must be a rate between 0 and 100%"),
        ("base=50&effect=200", "effect", "+200% turns a rate of 50% into 150%"),
        ("base=5&effect=1e999", "effect", "must be a percentage"),
        ("base=" + "9" * 500 + "&effect=1", "base", "must be a percentage"),
    ],
)
async def test_an_effect_that_can_not_be_planned_is_422_before_anything_is_drawn(
    client: Client, path: str, query: str, field: str, message: str
) -> None:
    answer = await client.fetch(f"{path}?devices=600&{query}")
    assert (answer.code, f"{forms.SIMULATION_LABELS[field]}: {message}" in answer.body.decode()) == (422, True)
    assert b"data-devices" not in answer.body
    assert not simulating()


def rates(events: HTTPResponse) -> list[int | None]:
    """What the progress of a stream says."""
    return [json.loads(line)["rate"] for line in re.findall(rb"event: progress\ndata: (.*)", events.body)]


async def test_where_nothing_is_drawn_there_is_no_speed(client: Client, store: SQLiteStore) -> None:
    for key in ("button_color", "price"):
        await ExperimentService(store, by=ANNA).pause(key)
    page, events = await client.fetch("/simulate?devices=600"), await client.fetch("/simulate/run?devices=600")
    assert b"No experiment is running, so these devices got nothing." in page.body
    for shown in (page.body, events.body):
        assert b"per second" not in shown
        assert b"0.00 s" not in shown
    assert set(rates(events)) == {None}


@pytest.mark.parametrize(
    ("seconds", "per_second", "said"),
    [
        (0.0, None, '<p class="quiet">Each run'),
        (0.004, None, '<p class="quiet">Each run'),
        (0.5, 1200, '<p class="quiet">0.5 seconds, 1,200 devices per second. Each run'),
    ],
)
async def test_a_time_too_short_to_measure_gives_no_speed(
    simulation: SimulationService, seconds: float, per_second: int | None, said: str
) -> None:
    simulated = msgspec.structs.replace(await last(simulation, 600), seconds=seconds)
    assert simulated.per_second == per_second
    assert said in render("_simulated.html", result=simulated, outlooks={})


async def test_what_was_entered_stays_in_the_form(client: Client) -> None:
    answer = await client.fetch("/simulate?devices=600&base=%22%3E%3Cb%3E&effect=7")
    assert b'value="&#34;&gt;&lt;b&gt;"' in answer.body
    assert b'value="7"' in answer.body


@pytest.mark.parametrize("devices", ["abc", "", "1e3", "-5", "700.5", '"><script>alert(1)</script>'])
async def test_a_number_that_can_not_be_used_stays_in_the_form_beside_what_is_wrong(
    client: Client, devices: str
) -> None:
    shown = (await client.fetch(f"/simulate?{urlencode({'devices': devices, 'effect': '7'})}")).body.decode()
    field = re.search('<input id="devices"[^>]*>', shown)
    assert field
    assert f'value="{escape(devices)}"' in field[0]
    assert ('type="text"' in field[0], 'aria-invalid="true"' in field[0]) == (True, True)
    assert '<p id="message" role="alert">Devices: must be a whole number from 1 to 1,000,000.</p>' in shown
    assert shown.count("aria-invalid") == 1
    assert 'value="7"' in shown


async def test_a_number_that_can_be_used_is_not_marked(client: Client) -> None:
    for query, value in (("", "600"), ("?devices=12", "12"), ("?devices=12&base=5", "12")):
        shown = (await client.fetch(f"/simulate{query}")).body.decode()
        assert re.search(f'<input id="devices"[^>]* value="{value}"[^>]*>', shown)
        assert ("aria-invalid" in shown) == ("base" in query)


@pytest.mark.parametrize("devices", ["0", "1000001", "-5", "x", "", "1e3", "%D9%A3", "9" * 5000])
async def test_what_is_not_a_number_in_range_is_422(client: Client, devices: str) -> None:
    page = await client.fetch(f"/simulate?devices={devices}")
    assert (page.code, b"whole number from 1 to 1,000,000" in page.body) == (422, True)
    events = await client.fetch(f"/simulate/run?devices={devices}" if devices else "/simulate/run")
    assert (events.code, b"whole number from 1 to 1,000,000" in events.body) == (422, True)
    assert not simulating()


async def test_the_page_of_another_site_can_not_start_one(client: Client) -> None:
    for path in ("/simulate", "/simulate/run"):
        answer = await client.fetch(f"{path}?devices=1", headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.code == 403


async def test_a_simulation_that_cannot_begin_is_not_taken_for_a_second_one(
    store: SQLiteStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    service = SimulationService(store, tmp_path / "missing" / "lock")
    with pytest.raises(RuntimeError, match="ended with exit code 1"):
        async for _ in service.run(600):
            pass
    assert "FileNotFoundError" in capfd.readouterr().err
