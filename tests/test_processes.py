"""The product as processes: several at once, killed for real, stopped in order."""

import json
import os
import signal
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from tests.processes import GONE, Abtest, Device, run, runs, wait_until_answering

ADD_COLOR = ("experiments", "add", "color", "--variant", "red=1", "--variant", "green=1", "--variant", "blue=1")


def serving(database: Path, processes: int = 1, port: int = 0) -> Abtest:
    return Abtest(database, "serve", "--port", str(port), "--processes", str(processes))


def ask(port: int, token: str) -> dict[str, str]:
    with closing(Device(port)) as device:
        return device.ask(token)


def test_a_new_token_in_50_requests_at_once_over_two_processes_gets_one_answer(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    assert run(database, *ADD_COLOR).returncode == 0
    with serving(database, processes=2) as server, ThreadPoolExecutor(50) as pool:
        port = server.port()
        wait_until_answering(port)
        for round in range(6):
            got = list(pool.map(ask, [port] * 50, [f"device-{round}"] * 50))
            assert all(answer == got[0] for answer in got)
            assert got[0]["color"] in {"red", "green", "blue"}
        values = Counter(answer["color"] for answer in pool.map(ask, [port] * 594, map(str, range(594))))
    assert values.total() == 594
    verified = json.loads(run(database, "verify", "--json").stdout)
    assert (verified["devices"], verified["assignments"], verified["broken"]) == (600, 600, 0)


def test_kill_9_under_load_loses_and_changes_nothing_that_was_answered(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR)
    answered: dict[str, dict[str, str]] = {}

    def load(port: int, name: str) -> None:
        with suppress(*GONE), closing(Device(port)) as device:
            for number in range(100_000):
                token = f"{name}-{number}"
                answered[token] = device.ask(token)

    for cycle in range(3):
        before = len(answered)
        with serving(database) as server, ThreadPoolExecutor(8) as pool:
            port = server.port()
            wait_until_answering(port)
            for client in range(8):
                pool.submit(load, port, f"{cycle}-{client}")
            while len(answered) < before + 300:
                time.sleep(0.01)
            assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    with serving(database) as server, closing(Device(server.port())) as device:
        assert {token: device.ask(token) for token in answered} == answered
    assert run(database, "verify").returncode == 0


def test_up_starts_a_child_again_that_dies_and_stops_all_on_sigterm(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    with Abtest(database, "up", "--port", "0", "--processes", "2", "--interval", "0.2") as up:
        port = up.port()
        first = ask(port, "device")
        assert set(first) == {"button_color", "price"}
        children = up.children()
        assert len(children) == 3
        for child in children:
            os.kill(child, signal.SIGKILL)
            up.wait_for(r"was killed by SIGKILL; starting it again in 0\.5 s")
        wait_until_answering(port)
        assert ask(port, "device") == first
        while len(up.children()) < 3:
            time.sleep(0.02)
        children = up.children()
        assert up.stop() == 0
        assert "stopped\n" in up.said
    assert not any(map(runs, children))
    assert run(database, "verify").returncode == 0


def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with Abtest(tmp_path / "abtest.db", "up", "--port", "0", "--processes", "1") as up:
        up.port()
        children = up.children()
        up.stop(signal.SIGKILL)
        while any(map(runs, children)):
            time.sleep(0.02)


def test_a_stopping_server_answers_what_it_accepted(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR)
    with serving(database) as server, closing(Device(server.port())) as device:
        answer = device.ask("device")
        assert server.stop() == 0
    with serving(database) as server, closing(Device(server.port())) as device:
        assert device.ask("device") == answer


def test_a_port_in_use_is_said_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = str(taken.getsockname()[1])
        for command in ("up", "serve"):
            failed = run(tmp_path / "abtest.db", command, "--port", port)
            assert failed.returncode == 2
            assert failed.stderr == f"abtest: cannot listen on 127.0.0.1, port {port}: Address already in use\n"


def test_a_change_reaches_every_process(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR)
    with serving(database, processes=2) as server:
        port = server.port()
        wait_until_answering(port)
        devices = [Device(port) for _ in range(8)]
        assert all(device.ask("device") for device in devices)
        run(database, "experiments", "archive", "color")
        waiting = list(devices)
        while waiting:
            waiting = [device for device in waiting if device.ask("device")]
        for device in devices:
            device.close()


def test_a_killed_worker_goes_on_where_it_was(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR)
    with serving(database) as server:
        port = server.port()
        for cycle in range(3):
            with Abtest(database, "worker", "--interval", "0.1") as worker:
                worker.wait_for("updating the statistics")
                seeded = run(database, "seed", "200", "--url", f"http://127.0.0.1:{port}", "--prefix", f"{cycle}-")
                assert seeded.returncode == 0, seeded.stderr
                worker.stop(signal.SIGKILL)
    assert run(database, "worker", "--once").returncode == 0
    stats = json.loads(run(database, "stats", "--json").stdout)
    assert [variant["devices"] for variant in stats["experiments"][0]["variants"]] == [200, 200, 200]
    assert run(database, "verify").returncode == 0


def test_seed_is_exact_and_the_same_devices_change_nothing(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    with Abtest(database, "up", "--port", "0", "--processes", "2", "--interval", "0.2") as up:
        url = f"http://127.0.0.1:{up.port()}"
        first = json.loads(run(database, "seed", "600", "--url", url, "--prefix", "a-", "--json").stdout)
        assert first["experiments"] == {
            "button_color": {"#0000FF": 200, "#00FF00": 200, "#FF0000": 200},
            "price": {"10": 450, "20": 60, "5": 60, "50": 30},
        }
        again = json.loads(run(database, "seed", "600", "--url", url, "--prefix", "a-", "--json").stdout)
        assert again["experiments"] == first["experiments"]
        run(database, *ADD_COLOR)
        later = json.loads(run(database, "seed", "630", "--url", url, "--prefix", "a-", "--json").stdout)
        assert later["experiments"]["color"] == {"blue": 10, "green": 10, "red": 10}
    assert run(database, "verify").returncode == 0


def test_seed_reports_what_failed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    failed = run(tmp_path / "abtest.db", "seed", "2", "--url", f"http://127.0.0.1:{port}")
    assert failed.returncode == 1
    assert "2 failed: ConnectionRefusedError" in failed.stderr
