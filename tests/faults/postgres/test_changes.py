"""Experiments change under load in PostgreSQL: no device is enrolled wrongly."""

from pathlib import Path

from tests.faults import test_changes
from tests.faults.parts import Part
from tests.faults.postgres.clusters import alone


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    with alone() as server, alone() as other:
        return test_changes.sound(server.url, part.of(200), part.seed) | test_changes.control(other.url, 20)


def test_changes_under_load_enrol_no_device_wrongly() -> None:
    with alone() as server:
        test_changes.sound(server.url, 20)


def test_processes_that_notice_no_change_enrol_wrongly() -> None:
    with alone() as server:
        test_changes.control(server.url, 6)
