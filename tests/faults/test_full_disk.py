"""The disk is full: known devices are answered, new ones are refused, and all goes on without a restart."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.faults.clients import Ledger, ask_all, connected, load, more, named
from tests.faults.parts import Part
from tests.faults.servers import create, free_port, read, serve, verify

MEGABYTES = 64
"""Enough for all devices of the long form: each cycle stores some hundreds."""
BACK_SECONDS = 5
REFUSED = 50
"""How many new devices must be refused each time. By then no part of the log is left to be reused."""
MOST_ASKED = 2_000
"""After so many new devices it stops, even if too few were refused: the log has room for some hundreds."""


@contextmanager
def small_disk(folder: Path, megabytes: int = MEGABYTES) -> Iterator[Path]:
    """A file system of so many megabytes; skips the test if it can't be mounted."""
    path = folder / "small"
    path.mkdir(exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
    mounted = subprocess.run(line, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system can't be mounted: {mounted.stderr.splitlines()[0]}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def full_disks(folder: Path, cycles: int, defect: str = "") -> tuple[dict[str, int], Ledger]:
    """Fill and free the disk of SQLite; see fill_and_free."""
    with small_disk(folder) as disk:
        create(disk / "abtest.db")
        return fill_and_free(disk, disk / "abtest.db", cycles, defect)


def fill_and_free(disk: Path, database: Path | str, cycles: int, defect: str = "") -> tuple[dict[str, int], Ledger]:
    """Fill and free the disk of a database again and again; returns the figures and the answers."""
    ledger, port = Ledger(), free_port()
    # The limit on free disk is off, so that SQLite itself meets the full disk.
    with serve(database, port, "--free-disk", "0", "--cache", "50", defect=defect) as server:
        played = [asyncio.run(_cycle(disk, port, ledger, cycle)) for cycle in range(cycles)]
        assert server.code is None, server.messages()
        asyncio.run(ask_all(port, ledger, list(ledger.answers)))
    assert verify(database) == ""
    slowest = max(seconds for _, seconds in played)
    assert slowest <= BACK_SECONDS
    figures = {"cycles": cycles, "devices": len(ledger.answers), "refused": _refusals(ledger)}
    figures["fewest_refused"] = min(refused for refused, _ in played)
    return figures | {"back_after_ms": int(1000 * slowest)}, ledger


def check(figures: dict[str, int], ledger: Ledger) -> dict[str, int]:
    """New devices must be refused each time, and nothing may be lost."""
    assert figures["fewest_refused"] >= REFUSED
    assert (ledger.lost, ledger.changed) == ([], [])
    assert set(map(_code, ledger.refused)) == {"storage_full"}
    return figures


def sound(folder: Path, cycles: int) -> dict[str, int]:
    """See check."""
    return check(*full_disks(folder, cycles))


def control(folder: Path) -> dict[str, int]:
    """With a server that answers after a failed commit, answers must be lost."""
    _, ledger = full_disks(folder, 1, defect="ignores-failed-commits")
    assert ledger.lost
    return {"control_lost": len(ledger.lost)}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return sound(folder, part.of(100)) | control(folder)


def test_a_full_disk_refuses_new_devices_only_and_passes(tmp_path: Path) -> None:
    sound(tmp_path, 3)


def test_a_server_that_starts_on_a_full_disk_answers_known_devices_only(tmp_path: Path) -> None:
    ledger, port = Ledger(), free_port()
    with small_disk(tmp_path) as disk:
        create(disk / "abtest.db")
        with serve(disk / "abtest.db", port, "--free-disk", "0") as server:
            asyncio.run(load(port, ledger, named("before"), more(ledger, 100)))
            _fill(disk / "filling")
            assert asyncio.run(_refused(port, ledger, "full")) >= REFUSED
            assert "ready" in read(port, "/readyz")  # known devices are answered, and no other process has more room
            server.stop(signal.SIGKILL)
        with serve(disk / "abtest.db", port, "--free-disk", "0"):
            asyncio.run(ask_all(port, ledger, list(ledger.answers)))
            assert asyncio.run(_refused(port, ledger, "again")) >= REFUSED
    assert (ledger.lost, ledger.changed) == ([], [])
    assert set(map(_code, ledger.refused)) == {"storage_full"}


def test_answers_of_failed_commits_are_lost(tmp_path: Path) -> None:
    control(tmp_path)


async def _cycle(disk: Path, port: int, ledger: Ledger, cycle: int) -> tuple[int, float]:
    """Fill the disk, check that new devices are refused and known ones answered, and free it.

    Returns how many new devices were refused, and how many seconds it took until one was answered again.
    """
    await load(port, ledger, named(f"{cycle}-before"), more(ledger, 30))
    filling = disk / "filling"
    _fill(filling)
    refused = await _refused(port, ledger, f"{cycle}-full")
    known = list(ledger.answers)[-100:]
    acknowledged = ledger.acknowledged
    await ask_all(port, ledger, known)
    assert ledger.acknowledged == acknowledged + len(known), "a known device was refused"
    filling.unlink()
    freed = time.monotonic()
    async with connected(port) as connection:
        for token in named(f"{cycle}-after"):
            reply = await connection.ask(token)
            ledger.note(token, reply)
            back = time.monotonic() - freed
            if reply.status == 200 or back > BACK_SECONDS:
                break
    return refused, back


async def _refused(port: int, ledger: Ledger, prefix: str) -> int:
    """Send new devices until enough of them are refused; returns how many were refused."""
    asked, before = len(ledger.asked), _refusals(ledger)
    await load(
        port,
        ledger,
        named(prefix),
        lambda: _refusals(ledger) >= before + REFUSED or len(ledger.asked) >= asked + MOST_ASKED,
    )
    return _refusals(ledger) - before


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def _refusals(ledger: Ledger) -> int:
    return sum(ledger.refused.values())


def _code(body: bytes) -> str:
    return str(msgspec.json.decode(body)["code"])
