"""Forgetting a device with many events: in pieces, yet as a whole for everyone who reads."""

import fcntl
import signal
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from abtest.store.relational import erasing
from abtest.store.sqlite.driver import open_raw
from abtest.trust import VerificationService
from tests.processes import Abtest, run
from tests.scenes import opened
from tests.store.relational.test_erasing import OF_THE_OTHERS, figures, one_busy_device

MANY = 20 * erasing.EVENTS_AT_ONCE


async def largest(path: Path, number: int) -> tuple[int, int]:
    """The most rows that a transaction changes, and the most steps it runs, while so many events are forgotten."""
    rows, steps = [0], [0]
    async with opened(path) as store:
        await one_busy_device(store, number)
        raw: Any = store._writer._conn

        def step() -> int:
            steps[-1] += 1
            return 0

        def trace(statement: str) -> None:
            if statement.startswith("BEGIN"):
                rows.append(raw.total_changes)
                steps.append(0)
            if statement == "COMMIT":
                rows[-1] = raw.total_changes - rows[-1]

        raw.set_trace_callback(trace)
        raw.set_progress_handler(step, 100)
        assert await store.forget(["busy"]) == 1
        raw.set_trace_callback(None)
        raw.set_progress_handler(None, 0)
        assert await figures(store) == OF_THE_OTHERS
    assert sum(rows) > number
    return max(rows), max(steps)


async def test_the_transactions_of_forgetting_do_not_grow_with_the_events(tmp_path: Path) -> None:
    few = await largest(tmp_path / "few.db", 3 * erasing.EVENTS_AT_ONCE)
    many = await largest(tmp_path / "many.db", 9 * erasing.EVENTS_AT_ONCE)
    assert few[0] == many[0] < erasing.EVENTS_AT_ONCE + 50
    assert many[1] <= 1.05 * few[1]


def events_left(database: Path) -> int:
    with closing(open_raw(database)) as connection:
        (left,) = connection.execute("SELECT count(*) FROM event WHERE device_id = 1").fetchone()
        return int(left)


def kill_in_the_middle(database: Path) -> None:
    """Kill `abtest forget` when it has deleted some events, and others are left."""
    with Abtest(database, "forget", "busy") as command:
        left = MANY
        while left == MANY:
            with Path(f"{database}.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # so that it can't delete more before it is killed
                left = events_left(database)
                if 0 < left < MANY:
                    command.stop(signal.SIGKILL)
        assert left


@pytest.mark.parametrize("finish", [("worker", "--once"), ("forget", "busy")])
async def test_after_a_killed_forget_the_device_is_gone_and_the_next_command_finishes(
    tmp_path: Path, finish: Sequence[str]
) -> None:
    database, copy = tmp_path / "abtest.db", tmp_path / "copy.db"
    async with opened(database) as store:
        await one_busy_device(store, MANY)
    kill_in_the_middle(database)
    async with opened(database) as store:
        assert await figures(store) == OF_THE_OTHERS
        assert (await store.find(["busy"])).variants == {}
    assert run(database, "verify").returncode == 0
    assert run(database, "backup", str(copy)).returncode == 0
    assert events_left(database)
    assert not events_left(copy)
    run(database, *finish)
    assert not events_left(database)
    async with opened(database) as store:
        assert await figures(store) == OF_THE_OTHERS
        assert (await VerificationService(store).verify()).findings == ()


async def test_no_copy_of_a_token_stays_where_its_page_was_before(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    many = [sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(5_000)]  # in no order, so that pages split
    async with opened(database) as store:
        for place in range(0, len(many), 100):
            await store.enrol(many[place : place + 100], 1)
        assert await store.forget(many[::50]) == 100
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [token for token in many[::50] if token.encode() in left] == []
    assert all(token.encode() in left for token in many[1::50])
