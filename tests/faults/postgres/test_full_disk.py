"""The disk of PostgreSQL is full: known devices are answered, new ones are refused, and all goes on afterwards."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.parts import Part
from tests.faults.servers import create
from tests.faults.test_full_disk import check, fill_and_free, small_disk
from tests.postgres import USER, Server, new_folder

MEGABYTES = 256


@contextmanager
def on_a_small_disk() -> Iterator[Server]:
    """A server whose folder is a small file system; skips the test if it can't be mounted."""
    with new_folder() as folder, small_disk(folder, MEGABYTES) as disk:
        shutil.chown(disk, USER)
        server = Server(disk).make()
        server.start()
        try:
            create(server.url)
            yield server
        finally:
            server.stop()


def sound(cycles: int) -> dict[str, int]:
    """New devices must be refused each time, and nothing may be lost."""
    with on_a_small_disk() as server:
        return check(*fill_and_free(server.folder, server.url, cycles))


def control() -> dict[str, int]:
    """With a server that answers after a failed commit, answers must be lost."""
    with on_a_small_disk() as server:
        _, ledger = fill_and_free(server.folder, server.url, 1, "ignores-failed-commits")
        assert ledger.lost
        return {"control_lost": len(ledger.lost)}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return sound(part.of(50)) | control()


def test_a_full_disk_of_postgres_refuses_new_devices_only_and_passes() -> None:
    sound(3)


def test_answers_of_failed_commits_are_lost() -> None:
    control()
