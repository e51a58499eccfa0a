"""Simulations: fake devices, drawn in a process of their own, and the reports that running experiments would have.

Ending that process is how a simulation is cancelled.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec
from msgspec import Struct

from abtest.domain import DEFAULT_APP, Experiment, Kind, Status
from abtest.errors import Conflict, InvalidSetting
from abtest.language import number
from abtest.results.drawing import BUSY, Counts, Deciding, Drawn, Draws, Said
from abtest.results.reports import ExperimentReport, PhaseReport
from abtest.store import AudienceCounts, ExperimentStore

MOST_DEVICES = 1_000_000
MEASURABLE_SECONDS = 0.01
DRAW = "from abtest.results.drawing import main; main()"
"""Not with -m: its package would import the module first, and Python would warn of that in the server's terminal."""


class Simulated(Struct, frozen=True):
    """A step of a simulation, or its end when `done` equals `devices`.

    `held`: devices that a holdout holds. `said`: the mix, only at the end.
    """

    devices: int
    done: int
    seconds: float
    held: int
    experiments: tuple[ExperimentReport, ...]
    said: tuple[Said, ...]

    @property
    def per_second(self) -> int | None:
        """Devices per second; None when nothing was drawn, or too fast to be measured."""
        if not self.experiments or self.seconds < MEASURABLE_SECONDS:
            return None
        return round(self.done / self.seconds)


class SimulationService:
    """Runs one simulation at a time, whichever app and process asks for it. Real data are only read, once."""

    def __init__(self, store: ExperimentStore, lock: Path, app: str = DEFAULT_APP) -> None:
        self._store = store
        self._lock = lock
        self._app = app

    async def run(self, devices: int) -> AsyncGenerator[Simulated, None]:
        """The steps, up to the last one. Closing the iterator ends the process.

        Raises InvalidSetting for a number out of range, Conflict while another simulation runs.
        """
        if not 1 <= devices <= MOST_DEVICES:
            raise InvalidSetting(f"must be a whole number from 1 to {number(MOST_DEVICES)}", field="devices")
        experiments, holdouts, groups = [
            [each for each in await self._store.experiments(self._app, kind) if each.status == Status.RUNNING]
            for kind in (Kind.EXPERIMENT, Kind.HOLDOUT, Kind.GROUP)
        ]
        draws = Draws(
            devices,
            tuple(each.phase.drawn for each in holdouts),
            tuple(each.phase.drawn for each in groups),
            tuple(_deciding(each, groups) for each in experiments),
            str(self._lock),
        )
        async with aclosing(_steps(draws)) as steps:
            async for step in steps:
                yield Simulated(devices, step.done, step.seconds, step.held, _reports(experiments, step), step.said)


def _deciding(experiment: Experiment, groups: Sequence[Experiment]) -> Deciding:
    phase = experiment.phase
    group = next((place for place, each in enumerate(groups) if each.key == experiment.group), None)
    return Deciding(
        experiment.audience,
        phase.drawn,
        outside=phase.outside,
        stop_at=phase.stop_at,
        group=None if group is None else (group, groups[group].values.index(experiment.key)),
    )


async def _steps(draws: Draws) -> AsyncGenerator[Drawn, None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DRAW, stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    done = -1
    try:
        process.stdin.write(msgspec.json.encode(draws))
        process.stdin.write_eof()
        async for line in process.stdout:
            step = msgspec.json.decode(line, type=Drawn)
            done = step.done
            yield step
        if await process.wait() == BUSY:
            raise Conflict("another simulation is running; try again when it is done", code="simulation_running")
        if done < draws.devices:
            raise RuntimeError(f"the simulation ended with exit code {process.returncode}")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _reports(experiments: Sequence[Experiment], step: Drawn) -> tuple[ExperimentReport, ...]:
    return tuple(_report(experiment, counts) for experiment, counts in zip(experiments, step.counts, strict=True))


def _report(experiment: Experiment, counts: Counts) -> ExperimentReport:
    variants = len(experiment.values)
    phase = PhaseReport(experiment.phase, counts.drawn[:variants], sum(counts.drawn[variants:]))
    audience = AudienceCounts(counts.came, counts.outside, counts.failed) if experiment.audience else None
    return ExperimentReport(experiment, (phase,), audience=audience)
