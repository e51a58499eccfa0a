"""Fake devices that behave: what they report, and what of it reaches a server."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from math import log
from pathlib import Path
from statistics import fmean, stdev
from threading import Thread

import pytest

from abtest import clock
from abtest.commands.seed import devices
from abtest.commands.seed.behaving import DEFAULT_EFFECTS, Behaviour, Effects, parse_effects, parse_rate
from abtest.errors import InvalidSetting
from abtest.inference import rule
from tests.processes import run

NOW = 1_000 * clock.DAY
RED, GREEN = {"button_color": "#FF0000", "price": "10"}, {"button_color": "#00FF00", "price": "10"}


def behaviour(rate: float = 0.2, effects: Effects = DEFAULT_EFFECTS, days: int = 14) -> Behaviour:
    return Behaviour(rate, effects, days, NOW)


def bought(behaviour: Behaviour, values: dict[str, str], devices: int = 4_000) -> float:
    """The part of the devices that buys."""
    sent = [behaviour.sending(f"device-{number}", values) for number in range(devices)]
    return sum(each.events[-1].name == "purchase" for each in sent) / devices


def test_a_device_reports_each_experiment_and_buys_at_the_price_it_was_shown() -> None:
    *exposures, purchase = behaviour(rate=1).sending("phone", GREEN).events
    assert [(each.name, each.experiment, each.value) for each in exposures] == [
        ("exposure", "button_color", "#00FF00"),
        ("exposure", "price", "10"),
    ]
    assert (purchase.name, purchase.amount, purchase.experiment) == ("purchase", "10", None)


@pytest.mark.parametrize("price", [{}, {"price": "free"}, {"price": "-5"}, {"price": "1e9"}, {"price": "9" * 200}])
def test_without_a_price_that_is_a_number_it_pays_about_9_99(price: dict[str, str]) -> None:
    paid = [behaviour(rate=1).sending(f"phone-{number}", price).events[-1].amount or "" for number in range(500)]
    assert all(text[-3] == "." for text in paid)
    assert 9.5 < sum(map(float, paid)) / 500 < 10.5
    assert len(set(paid)) > 300


def test_a_device_does_the_same_each_time_and_no_two_do() -> None:
    first, again = (behaviour().sending("phone", RED) for _ in range(2))
    assert first == again
    other = behaviour().sending("tablet", RED)
    assert not {each.id for each in first.events} & {each.id for each in other.events}


def test_values_change_how_many_buy_and_effects_multiply() -> None:
    both: Effects = {("button_color", "#00FF00"): 0.5, ("price", "10"): -0.5}
    assert behaviour().buying(RED) == 0.2
    assert behaviour().buying(GREEN) == pytest.approx(0.26)
    assert behaviour(effects=both).buying(GREEN) == pytest.approx(0.15)
    assert bought(behaviour(effects=both), GREEN) == pytest.approx(0.15, abs=0.02)
    assert bought(behaviour(effects={}), RED) == bought(behaviour(effects={}), GREEN)


def test_without_effects_the_price_does_not_tell_what_is_paid() -> None:
    same = Behaviour(1, {}, 14, NOW, by_price=False)
    first, second = (same.sending("phone", {"price": price}).events[-1] for price in ("5", "50"))
    assert first == second


def paid(behaviour: Behaviour, values: dict[str, str], devices: int = 3_000) -> list[float]:
    return [float(behaviour.sending(f"phone-{each}", values).events[-1].amount or 0) for each in range(devices)]


def test_what_is_paid_may_be_log_normal_around_the_price() -> None:
    uneven = Behaviour(1, {}, 14, NOW, sigma=2.0)
    logs = [log(each) for each in paid(uneven, {"price": "1000"})]
    assert fmean(logs) == pytest.approx(log(1_000), abs=0.15)
    assert stdev(logs) == pytest.approx(2.0, abs=0.1)
    assert uneven.sending("phone", RED) == uneven.sending("phone", RED)
    same = Behaviour(1, {}, 14, NOW, by_price=False, sigma=2.0)
    assert paid(same, RED) == paid(same, {"price": "50"}) != paid(same, RED)[::-1]


def test_a_value_may_change_how_much_is_paid() -> None:
    dearer: Effects = {("button_color", "#00FF00"): 0.5}
    plain, uneven = (Behaviour(1, {}, 14, NOW, spend_effects=dearer, sigma=sigma) for sigma in (None, 1.0))
    assert paid(plain, RED, 1) == [10.0]
    assert paid(plain, GREEN, 1) == [15.0]
    assert [green / red for green, red in zip(paid(uneven, GREEN, 50), paid(uneven, RED, 50), strict=True)] == [
        pytest.approx(1.5, rel=0.02)
    ] * 50


def test_no_rate_leaves_its_bounds() -> None:
    assert behaviour(effects={("price", "10"): 30.0}).buying(RED) == 1
    assert behaviour(effects={("price", "10"): -1.0}).buying(RED) == 0


def test_events_lie_on_more_days_than_a_verdict_needs_and_none_in_the_future() -> None:
    times = [event.at for number in range(300) for event in behaviour(rate=1).sending(f"device-{number}", RED).events]
    assert clock.iso(NOW - 14 * clock.DAY) <= min(times)
    assert max(times) <= clock.iso(NOW)
    assert len({time[:10] for time in times}) > rule.FEWEST_DAYS
    assert {each.at for each in behaviour(days=0, rate=1).sending("phone", RED).events} == {clock.iso(NOW)}


def test_effects_and_rates_are_read_as_they_are_written() -> None:
    assert parse_effects(["a:b:c=d=+30%", "price:5=-100%"]) == {("a", "b:c=d"): 0.3, ("price", "5"): -1.0}
    assert (parse_rate("10%"), parse_rate("0.1"), parse_rate("0%")) == (0.1, 0.1, 0)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["price=+5%"], "--effect 1: must look like KEY:VALUE=PERCENT"),
        (["price:5=+5%", "price:5"], "effect 2: must look like"),
        (["price:5=+30"], "--effect 1: must look like"),
        (["price:=+30%"], "--effect 1: must look like"),
        (["Price:5=+30%"], "--effect 1: must look like"),
        (["price:5=more%"], "--effect 1: must be a percentage"),
        (["price:5=-101%"], "--effect 1: must be -100% or more"),
        (["price:5=1%", "price:5=2%"], "effect 2: price:5 has an effect already"),
    ],
)
def test_an_effect_that_can_not_be_understood_is_named(texts: list[str], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        parse_effects(texts)


@pytest.mark.parametrize("rate", ["10", "-1%", "101%", "many"])
def test_a_rate_is_from_0_to_100_percent(rate: str) -> None:
    with pytest.raises(InvalidSetting, match="rate: "):
        parse_rate(rate)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rate", "5%"), "--rate needs --events"),
        (("--no-effect",), "--no-effect needs --events"),
        (("--events", "--no-effect", "--effect", "a:b=5%"), "--no-effect can't be combined with --effect"),
        (("--events", "--effect", "button_color=5%"), "--effect 1: must look like"),
        (("--events", "--no-effect", "--spend-effect", "a:b=5%"), "--no-effect can't be combined with --effect"),
        (("--events", "--spend-effect", "a:b=5"), "--spend-effect 1: must look like"),
        (("--spend-sigma", "2"), "--spend-sigma needs --events"),
        (("--events", "--spend-sigma", "3.1"), "--spend-sigma: must be from 0 to 3"),
        (("--events", "--spend-sigma", "much"), "--spend-sigma: must be a decimal number"),
    ],
)
def test_what_is_asked_wrongly_is_said_before_anything_is_sent(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = run(tmp_path / "abtest.db", "seed", "1", "--url", "http://127.0.0.1:9", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr


class Flaky(BaseHTTPRequestHandler):
    """A server that is busy when events come for the first time, and loses the answer to the second."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]

    def do_GET(self) -> None:
        self._answer(200, b'{"price":"5"}')

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        if len(self.bodies) == 2:
            self.close_connection = True
            return
        self._answer(503 if len(self.bodies) == 1 else 202, b'{"accepted":0,"duplicates":2}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def flaky() -> Iterator[str]:
    Flaky.bodies = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def failing(status: int, always: bool = False) -> Iterator[str]:
    """A server that answers every other device with this status, or every one."""
    turn = count()

    class Failing(Flaky):
        def do_GET(self) -> None:
            self._answer(status if always or next(turn) % 2 else 200, b"{}")

    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def nowhere() -> str:
    """The URL of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        return f"http://127.0.0.1:{nobody.getsockname()[1]}"


@pytest.mark.parametrize("form", [(), ("--json",), ("--concurrency", "1")])
def test_a_server_that_is_not_there_is_said_once_and_soon(tmp_path: Path, form: tuple[str, ...]) -> None:
    url = nowhere()
    ended = run(tmp_path / "abtest.db", "seed", "100000", "--url", url, *form)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"abtest: no server answers at {url}: connection refused; start one with: abtest up\n"


def test_a_server_that_is_gone_for_long_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "LONGEST_REFUSAL", 0)
    with failing(400) as url, closing(devices.Devices(url, None)) as asking:
        asking.ask_all(iter(["a", "b", "c"]), lambda: None)
    assert (asking.asked, asking.stopped, asking.failures.total()) == (1, True, 1)


def test_a_server_whose_disk_stays_full_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "LONGEST_REFUSAL", 0)
    monkeypatch.setattr(devices, "LONGEST_PAUSE", 0)
    with failing(503, always=True) as url, closing(devices.Devices(url, None)) as asking:
        asking.ask_all(map(str, count()), lambda: None)
    assert (asking.asked, asking.stopped) == (0, True)
    assert asking.failures == {f"GET {url}/api/v1/experiments answered 503": 1}


def test_only_devices_that_were_answered_are_counted(tmp_path: Path) -> None:
    with failing(400) as url:
        told = run(tmp_path / "abtest.db", "seed", "10", "--url", url)
        counted = run(tmp_path / "abtest.db", "seed", "10", "--url", url, "--json")
    assert told.stdout.startswith("5 devices asked in ")
    assert told.stderr == f"5 devices failed: GET {url}/api/v1/experiments answered 400\n"
    assert (told.returncode, counted.returncode) == (1, 1)
    assert (json.loads(counted.stdout)["devices"], json.loads(counted.stdout)["failed"]) == (5, 5)


def test_one_device_is_one_device(tmp_path: Path) -> None:
    with flaky() as url:
        seeded = run(tmp_path / "abtest.db", "seed", "1", "--url", url, "--events", "--rate", "100%")
    assert seeded.stdout.startswith("1 device asked in ")
    assert "0 events accepted, 2 duplicates; 1 device bought\n" in seeded.stdout


def test_events_that_got_no_answer_are_sent_again_as_they_were(tmp_path: Path) -> None:
    with flaky() as url:
        seeded = run(tmp_path / "abtest.db", "seed", "1", "--url", url, "--events", "--rate", "100%", "--json")
    assert seeded.returncode == 0
    assert json.loads(seeded.stdout)["events"] == {"accepted": 0, "duplicates": 2, "purchases": 1}
    assert len(Flaky.bodies) == 3
    assert len(set(Flaky.bodies)) == 1
