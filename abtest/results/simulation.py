"""Draws fake devices with the real allocation, on throw-away seeds, in a process of its own.

The parent writes a Plan as JSON to the standard input of `python -m abtest.results.simulation` and reads one
Progress per line; ending the process is how a simulation is cancelled.
"""

import asyncio
import fcntl
import os
import secrets
import sys
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec
from msgspec import Struct

from abtest import allocation
from abtest.domain.experiments import Experiment, Status
from abtest.errors import Conflict, InvalidSetting
from abtest.results.reports import ExperimentReport, PhaseReport
from abtest.store.catalogue import ExperimentStore

MOST_DEVICES = 1_000_000
CHUNK = 2_000
REPORT_SECONDS = 0.1
MEASURABLE_SECONDS = 0.01
BUSY = 75
"""Exit code of a process that finds another one at work (sysexits.h: try again)."""


class Plan(Struct, frozen=True):
    """How many devices, and the weights of each experiment in lowest terms. `lock` is held while it runs."""

    devices: int
    weights: tuple[allocation.Weights, ...]
    lock: str


class Progress(Struct, frozen=True):
    """Devices done, after how many seconds, and the counts per variant of each experiment."""

    done: int
    seconds: float
    counts: tuple[tuple[int, ...], ...]


class Simulated(Struct, frozen=True):
    """A step of a simulation, or its end when `done` equals `devices`."""

    devices: int
    done: int
    seconds: float
    experiments: tuple[ExperimentReport, ...]

    @property
    def per_second(self) -> int | None:
        """Devices per second; None when nothing was drawn, or too fast to be measured."""
        if not self.experiments or self.seconds < MEASURABLE_SECONDS:
            return None
        return round(self.done / self.seconds)


class SimulationService:
    """Runs one simulation at a time, in whatever process it was asked for. Real data are only read, once."""

    def __init__(self, store: ExperimentStore, lock: Path) -> None:
        self._store = store
        self._lock = lock

    async def run(self, devices: int) -> AsyncGenerator[Simulated, None]:
        """The steps, up to the last one. Closing the iterator ends the process.

        Raises InvalidSetting for a number out of range, Conflict while another simulation runs.
        """
        if not 1 <= devices <= MOST_DEVICES:
            raise InvalidSetting(f"devices: a whole number from 1 to {MOST_DEVICES:,}")
        experiments = [each for each in await self._store.experiments() if each.status == Status.RUNNING]
        plan = Plan(devices, tuple(each.phase.integers for each in experiments), str(self._lock))
        async with aclosing(_steps(plan)) as steps:
            async for step in steps:
                yield Simulated(devices, step.done, step.seconds, _reports(experiments, step))


async def _steps(plan: Plan) -> AsyncGenerator[Progress, None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "abtest.results.simulation", stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    done = -1
    try:
        process.stdin.write(msgspec.json.encode(plan))
        process.stdin.write_eof()
        async for line in process.stdout:
            step = msgspec.json.decode(line, type=Progress)
            done = step.done
            yield step
        if await process.wait() == BUSY:
            raise Conflict("another simulation is running; try again when it is done", code="simulation_running")
        if done < plan.devices:
            raise RuntimeError(f"the simulation ended with exit code {process.returncode}")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _reports(experiments: Sequence[Experiment], step: Progress) -> tuple[ExperimentReport, ...]:
    return tuple(
        ExperimentReport(
            experiment, (PhaseReport(msgspec.structs.replace(experiment.phase, enrolled=step.done), counts),)
        )
        for experiment, counts in zip(experiments, step.counts, strict=True)
    )


def main() -> None:
    """The process: draw, and report the counts as they grow."""
    os.nice(10)
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    lock = os.open(plan.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(BUSY)
    seeds = [secrets.token_bytes(allocation.SEED_BYTES) for _ in plan.weights]
    before_block = [allocation.no_counts(weights) for weights in plan.weights]
    counts: list[Counter[int]] = [Counter() for _ in plan.weights]
    began = reported = time.monotonic()
    done = 0
    while done < plan.devices:
        number = min(CHUNK, plan.devices - done)
        for i, weights in enumerate(plan.weights):
            drawn, before_block[i] = allocation.draw(seeds[i], 1, weights, done, number, before_block[i])
            counts[i].update(drawn)
        done += number
        if done == plan.devices or time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            totals = tuple(
                tuple(count[place] for place in range(len(weights)))
                for count, weights in zip(counts, plan.weights, strict=True)
            )
            step = Progress(done, reported - began, totals)
            sys.stdout.buffer.write(msgspec.json.encode(step) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
