"""kill -9 under load, of servers, of the worker and of PostgreSQL: no answer and no event is lost or changed."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

from tests.faults import test_kills
from tests.faults.parts import Part
from tests.faults.postgres.clusters import alone, kill, kill_first
from tests.faults.servers import Process
from tests.faults.test_kills import VICTIMS
from tests.postgres import Server

LATE = {"synchronous_commit": "off", "wal_writer_delay": "10s"}
"""Settings with which a commit is durable only seconds after it was answered. The product refuses them."""


def kills(cycles: int, acknowledgements: int, seed: int = 1) -> dict[str, int]:
    """Kill as with SQLite, but PostgreSQL and its processes are among the victims."""
    with alone() as server:
        ways: dict[str, Callable[[Server], object]] = {
            "immediate_stop": Server.stop,
            "first_of_postgres": kill_first,
            "all_of_postgres": kill,
        }
        victims = {**VICTIMS, **{name: _and_start(server, way) for name, way in ways.items()}}
        victims["one_of_postgres"] = lambda running: os.kill(random.choice(server.processes()[1:]), signal.SIGKILL)
        return test_kills.kills(server.url, cycles, acknowledgements, seed, victims)


def control(cycles: int) -> dict[str, int]:
    """With a server that accepts settings with which PostgreSQL loses answers, answers must be lost."""
    with alone() as server:

        def kill_both(running: Process) -> None:
            running.stop(signal.SIGKILL)
            kill(server)
            server.start()

        def commit_late() -> None:
            server.configure(**LATE)
            ((writer,),) = server.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
            os.kill(int(str(writer)), signal.SIGSTOP)  # it writes every full page, which would survive the kill

        return test_kills.control(server.url, cycles, "accepts-any-settings", kill_both, commit_late)


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return kills(part.of(200), 600, part.seed) | control(5)


def test_answers_survive_kill_9_of_postgres() -> None:
    kills(8, acknowledgements=200)


def test_answers_that_postgres_has_not_synced_are_lost() -> None:
    control(1)


def _and_start(server: Server, way: Callable[[Server], object]) -> Callable[[Process], object]:
    def kill_and_start(running: Process) -> None:
        way(server)
        server.start()

    return kill_and_start
