"""`python -m tests.faults`: the long form of every fault, with its figures. Exit 1 if a promise did not hold."""

import argparse
import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.parts import Part

FAULTS = (
    "kills",
    "power_loss",
    "double_fault",
    "first_requests",
    "changes",
    "journal",
    "clocks",
    "full_disk",
    "io_errors",
    "databases",
    "restarts",
    "slow_clients",
    "model",
    "schema",
    "bytes",
    "postgres.kills",
    "postgres.failovers",
    "postgres.network",
    "postgres.machines",
    "postgres.changes",
    "postgres.full_disk",
)


def main() -> int:
    """Run the named faults, or all; returns how many failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "faults", nargs="*", metavar="FAULT", help=f"a fault or a group; all if none is named: {', '.join(FAULTS)}"
    )
    parser.add_argument("--part", type=float, default=1.0, help="a fraction of the long form, such as 0.1")
    parser.add_argument("--seed", type=int, default=1, help="another seed runs another part")
    asked = parser.parse_args()
    chosen = {each: [name for name in FAULTS if f"{name}.".startswith(f"{each}.")] for each in asked.faults}
    if unknown := [each for each, names in chosen.items() if not names]:
        parser.error(f"no such fault: {', '.join(unknown)}")
    names = [name for each in chosen.values() for name in each] or FAULTS
    return sum(run(name, Part(asked.part, asked.seed)) for name in names)


def run(name: str, part: Part) -> int:
    """Run one fault and print its figures; returns how many failed."""
    folder, _, last = f"faults.{name}".rpartition(".")
    module = importlib.import_module(f"tests.{folder}.test_{last}")
    if reason := skipped(module):
        print(f"{name:<18} skipped: {reason}", flush=True)
        return 0
    began = time.monotonic()
    figures, failed = "FAILED", 1
    with TemporaryDirectory(prefix="abtest-faults-") as folder:
        try:
            figures, failed = json.dumps(module.measure(Path(folder), part)), 0
        except pytest.skip.Exception as reason:
            figures, failed = f"skipped: {reason}", 0
        except (Exception, BaseExceptionGroup):
            traceback.print_exc()
    print(f"{name:<18} {time.monotonic() - began:6.0f} s  {figures}", flush=True)
    return failed


def skipped(module: object) -> str:
    """Why a whole module can't run here; empty if it can."""
    mark = getattr(module, "pytestmark", None)
    return str(mark.kwargs["reason"]) if mark is not None and mark.args[0] else ""


if __name__ == "__main__":
    sys.exit(min(main(), 1))
