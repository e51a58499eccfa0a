"""The product as processes: several at once, killed for real, stopped in order."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.request import urlopen

import pytest

from abtest import clock
from abtest.store.sqlite.driver import open_raw
from tests.processes import SECONDS, Abtest, Device, run, runs, wait_until_answering
from tests.scenes import figure

ROOT = Path(__file__).parent.parent
ADD_COLOR = ("experiments", "add", "color", "--variant", "red=1", "--variant", "green=1", "--variant", "blue=1")


def serving(database: Path, processes: int = 1, port: int = 0) -> Abtest:
    return Abtest(database, "serve", "--port", str(port), "--processes", str(processes))


def ask(port: int, token: str) -> dict[str, str]:
    with closing(Device(port)) as device:
        return device.ask(token)


def status(port: int, token: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with closing(connection):
        connection.request("GET", "/api/v1/experiments", headers={"Device-Token": token})
        return connection.getresponse().status


def metrics(port: int) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as page:
        return bytes(page.read())


def close_standard_error() -> None:
    os.close(2)


def test_up_invites_the_first_admin_to_the_public_url(tmp_path: Path) -> None:
    up = Abtest(tmp_path / "abtest.db", "up", "--port", "0", "--public-url", "https://ab.example.com/")
    up.wait_for(r"server     http://127\.0\.0\.1:\d+, ")
    up.wait_for(r"open https://ab\.example\.com/ in a browser, and https://ab\.example\.com/demo ")
    up.wait_for(r"  https://ab\.example\.com/sign-in/first/[\w-]{43}")
    assert up.stop() == 0


@pytest.mark.parametrize("before", [None, close_standard_error])
def test_up_goes_on_without_a_standard_error(tmp_path: Path, before: Callable[[], None] | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    line = [
        sys.executable,
        "-m",
        "abtest",
        "--database",
        f"sqlite:///{tmp_path}/abtest.db",
        "up",
        "--port",
        str(port),
    ]
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen([*line, "--processes", "1"], stderr=full, preexec_fn=before)  # noqa: PLW1509  # one thread
    wait_until_answering(port)
    first = ask(port, "device")
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    for child in children.stdout.split():
        os.kill(int(child), signal.SIGKILL)
    assert ask(port, "device") == first
    process.terminate()
    assert process.wait(SECONDS) == 0


@pytest.mark.parametrize("number", ["x", "0", "9999"])
def test_numbers_of_no_open_sockets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    monkeypatch.setenv("ABTEST_LISTENING", number)
    ended = run(tmp_path / "abtest.db", "serve", "--processes", "1")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "ABTEST_LISTENING: must list the numbers of open sockets" in ended.stderr


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("address", "ipv4", "ipv6"),
    [("::", True, True), ("0.0.0.0", True, False), ("::1", False, True), ("127.0.0.1, ::1", True, True)],
)
def test_a_server_listens_on_what_its_address_says(tmp_path: Path, address: str, ipv4: bool, ipv6: bool) -> None:
    with Abtest(tmp_path / "abtest.db", "serve", "--port", "0", "--processes", "1", "--address", address) as server:
        port = int(server.wait_for(r"listening on http://.*:(\d+)")[1])
        assert (connects("127.0.0.1", port), connects("::1", port)) == (ipv4, ipv6)


@pytest.mark.parametrize("address", ["", "..", "a" * 64])
def test_an_invalid_address_is_refused(tmp_path: Path, address: str) -> None:
    ended = run(tmp_path / "abtest.db", "up", "--address", address)
    assert ended.returncode == 2
    assert "address: " in ended.stderr
    assert "Traceback" not in ended.stderr


@contextmanager
def held(database: Path) -> Iterator[None]:
    """Another program has the lock on which writers queue."""
    with Path(f"{database}.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
            up.wait_for(r"was killed by SIGKILL; starting it again in 0\.25 s")
        assert ask(port, "device") == first  # waits, and is not refused
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


def test_a_signal_to_make_run_reaches_what_it_started(tmp_path: Path) -> None:
    settings = {"ABTEST_DATABASE": f"sqlite:///{tmp_path}/abtest.db", "ABTEST_PORT": "0", "ABTEST_PROCESSES": "1"}
    make = ["make", "--old-file=.venv/.installed", f"BIN={Path(sys.executable).parent}", "run"]
    with subprocess.Popen(
        make, cwd=ROOT, env=os.environ | settings, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as making:
        assert making.stderr is not None
        while "server" not in making.stderr.readline():
            assert making.poll() is None
        making.terminate()
        try:
            _, said = making.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(making.pid, signal.SIGKILL)
            raise
    assert said.endswith("stopped\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopping_server_answers_what_it_accepted(tmp_path: Path, number: signal.Signals) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR)
    patient = ("serve", "--port", "0", "--processes", "1", "--deadline", "60")
    with Abtest(database, *patient) as server, ThreadPoolExecutor(5) as pool:
        port = server.port()
        with held(database):
            asked = [pool.submit(ask, port, f"device-{n}") for n in range(5)]
            while figure(metrics(port), "abtest_waiting_devices") < 5:
                time.sleep(0.02)
            server.process.send_signal(number)
            time.sleep(0.1)
            assert not any(future.done() for future in asked)
        values = Counter(future.result(SECONDS)["color"] for future in asked)
        assert server.process.wait(10) == 0
    assert sorted(values.values()) == [1, 2, 2]


def test_a_process_ends_though_the_database_is_held_by_another_program(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR)
    with serving(database) as server, Abtest(database, "worker", "--interval", "0.1") as worker:
        port = server.port()
        worker.wait_for("updating the statistics")
        with held(database), ThreadPoolExecutor(1) as pool:
            refused = pool.submit(status, port, "device")
            assert refused.result(SECONDS) == 503
            server.process.terminate()
            worker.process.terminate()
            assert (server.process.wait(10), worker.process.wait(10)) == (1, 1)


def test_a_scrape_sees_all_processes(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    with Abtest(database, "up", "--port", "0", "--processes", "2", "--interval", "0.2") as up:
        port = up.port()
        for number in range(40):
            ask(port, f"device-{number}")
        os.kill(up.children()[0], signal.SIGKILL)
        up.wait_for("starting it again")
        wait_until_answering(port)
        assert {figure(metrics(port), "abtest_new_devices_total") for _ in range(10)} == {40}


def test_a_port_in_use_is_reported_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = str(taken.getsockname()[1])
        for command in ("up", "serve"):
            failed = run(tmp_path / "abtest.db", command, "--port", port)
            assert failed.returncode == 1
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


def test_a_killed_worker_resumes_where_it_was(tmp_path: Path) -> None:
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


def test_seeded_devices_say_something_about_themselves(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, "experiments", "add", "tap", "--variant", "a=1", "--variant", "b=1", "--audience", "platform=ios")
    with Abtest(database, "serve", "--port", "0") as serve:
        url = f"http://127.0.0.1:{serve.port()}"
        asked = json.loads(run(database, "seed", "100", "--url", url, "--prefix", "a-", "--json").stdout)
    told = [json.loads(run(database, "why", f"a-{place}", "--json").stdout)["attributes"] for place in range(1, 6)]
    assert any("country" in each for each in told)
    assert 20 < sum(asked["experiments"]["tap"].values()) < 60


def test_seeded_devices_behave_once_and_their_results_are_shown(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    with Abtest(database, "up", "--port", "0", "--processes", "2", "--interval", "0.2") as up:
        url = f"http://127.0.0.1:{up.port()}"
        seed: tuple[str, ...] = ("seed", "600", "--url", url, "--prefix", "a-", "--events", "--rate", "50%")
        seed += ("--effect", "button_color:#00FF00=+90%", "--effect", "price:50=-100%")
        first = run(database, *seed, "--json")
        counts = json.loads(first.stdout)["events"]
        assert counts == {"accepted": 1200 + counts["purchases"], "duplicates": 0, "purchases": counts["purchases"]}
        again = run(database, *seed)
        assert f"0 events accepted, {counts['accepted']:,} duplicates; {counts['purchases']:,} devices bought" in (
            again.stdout
        )
        assert "true effects: button_color:#00FF00 +90%, price:50 -100%\n" in again.stdout
        one = run(database, "seed", "1", *seed[2:], "--rate", "0%", "--effect", "price:10=+1%")
        told = json.loads(run(database, "why", "a-1", "--json").stdout)["experiments"]
        got = {f"{each['key']}:{each['value']}" for each in told}
        idle = [each for each in ("button_color:#00FF00", "price:50", "price:10") if each not in got]
        said = [line for line in one.stderr.splitlines() if line.startswith("no device got ")]
        assert said == [f"no device got {each}, so its effect changed nothing" for each in idle]
    assert run(database, "worker", "--once").returncode == 0
    results = json.loads(run(database, "results", "button_color", "--json").stdout)
    assert sum(variant["converters"] for variant in results["metrics"][0]["variants"]) == counts["purchases"]
    assert results["verdict"]["sentence"].startswith(
        "button_color #00FF00 beats #FF0000: conversion of purchase up by "
    )
    assert run(database, "verify").returncode == 0


def test_an_effect_of_what_nobody_can_get_is_refused_before_a_device_is_made(tmp_path: Path) -> None:
    with Abtest(tmp_path / "abtest.db", "up", "--port", "0", "--processes", "1") as up:
        seed: tuple[str, ...] = ("seed", "600", "--url", f"http://127.0.0.1:{up.port()}", "--events")
        unknown = run(tmp_path / "abtest.db", *seed, "--effect", "price:5=+1%", "--effect", "prise:5=+1%")
        mistyped = run(tmp_path / "abtest.db", *seed, "--spend-effect", "price:7=+1%")
    assert unknown.stderr == "abtest: --effect 2: the server has no experiment 'prise'\n"
    assert mistyped.stderr == "abtest: --spend-effect 1: price has no value '7'; it has 10, 20, 50, 5\n"
    assert (unknown.returncode, mistyped.returncode) == (2, 2)
    assert run(tmp_path / "abtest.db", "verify").stdout.startswith("0 devices, ")


def test_seed_says_on_ctrl_c_what_it_did_even_when_the_server_is_silent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as pool:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Abtest(tmp_path / "abtest.db", "seed", "1000", "--url", url) as seed:
            accepted = pool.submit(silent.accept)
            connection, _ = accepted.result(SECONDS)
            assert seed.stop(signal.SIGINT) == 1
            seed.wait_for("stopped before the remaining 1,000")
            assert not any("Traceback" in line for line in seed.said)
        connection.close()


def test_the_server_and_seed_say_when_the_disk_is_too_full(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR)
    with Abtest(database, "serve", "--port", "0", "--processes", "2", "--free-disk", "1000000000") as server:
        url = f"http://127.0.0.1:{server.port()}"
        server.wait_for("new devices and events are refused: .* less than the 1,000,000,000 MB of ABTEST_FREE_DISK")
        seeded = run(database, "seed", "1", "--url", url)
    assert seeded.stderr.endswith("answered 503 storage_full: the disk is nearly full\n")
    assert sum("are refused" in line for line in server.said) == 1


def test_a_worker_that_is_killed_between_the_start_and_the_end_keeps_both(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR, "--start-at", "2020-01-01T00:00:00Z")
    with Abtest(database, "worker", "--interval", "0.1") as first:
        first.wait_for("^started color as planned$")
        first.stop(signal.SIGKILL)
    with serving(database) as server:
        port = server.port()
        assert ask(port, "early") != {}
        with closing(open_raw(database)) as connection:  # a person planned an end, and time went by
            connection.execute("UPDATE experiment SET end_at = ?", (clock.now() - 60 * 60_000,))
        assert ask(port, "after-the-end-without-a-worker") != {}
        with Abtest(database, "worker", "--interval", "0.1") as second:
            second.wait_for("^finished color 1 hour late: no worker was running$")
        assert ask(port, "late") == {}
    shown = json.loads(run(database, "experiments", "show", "color", "--json").stdout)
    assert (shown["status"], shown["phases"][0]["enrolled"]) == ("finished", 2)
    assert shown["schedule"] == ["ended 1 hour late: no worker was running"]
    (broken,) = re.findall(r"BROKEN +(.*)", run(database, "verify").stdout)
    assert re.fullmatch(r"experiment color: end_at is .*, but the journal says none", broken)


def test_many_clients_of_many_processes_fill_an_experiment_exactly(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR, "--stop-at", "100", "--coverage", "50%")

    def enrol(port: int, client: int) -> list[str]:
        with closing(Device(port)) as device:
            values = (device.ask(f"device-{client}-{n}").get("color") for n in range(50))
            return [value for value in values if value is not None]

    with serving(database, processes=4) as server, ThreadPoolExecutor(8) as pool:
        port = server.port()
        asked = [pool.submit(enrol, port, client) for client in range(8)]
        given = Counter(value for future in asked for value in future.result(SECONDS))
        assert ask(port, "later") == {}
        run(database, "experiments", "weights", "color", "--stop-at", "101")
        assert sum(ask(port, f"more-{n}") != {} for n in range(10)) == 1
    assert given.total() == 100
    assert max(given.values()) - min(given.values()) <= 1
    shown = json.loads(run(database, "experiments", "show", "color", "--json").stdout)
    assert shown["schedule"] == ["has its 101 devices and takes no more"]
    assert run(database, "verify").returncode == 0
