"""`python -m abtest.results.drawing`: draws fake devices with the real allocation and throw-away seeds.

Reads `Draws` as JSON from its standard input and writes one `Drawn` per line.
"""

import fcntl
import os
import secrets
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice

import msgspec
from msgspec import Struct

from abtest import allocation
from abtest.domain import HELD_PLACE, Attributes, Audience, failed
from abtest.results import mix

CHUNK = 10_000
"""So many devices are made up; after these, the same ones come again."""
REPORT_SECONDS = 0.1
BUSY = 75
"""Exit code of a process that finds another one at work (sysexits.h: try again)."""


class Deciding(Struct, frozen=True):
    """All that decides what an experiment gives a device.

    `weights`: what its positions are drawn from. `outside`: the place among the weights that stands for devices
    outside the coverage, if there is one. `stop_at`: how many devices it may have. `group`: the number of its group,
    and its own place in that group.
    """

    audience: Audience
    weights: allocation.Weights
    outside: int | None = None
    stop_at: int | None = None
    group: tuple[int, int] | None = None


class Draws(Struct, frozen=True):
    """How many devices to draw, and what they meet: holdouts and groups by their weights. `lock`: held while it
    runs."""

    devices: int
    holdouts: tuple[allocation.Weights, ...]
    groups: tuple[allocation.Weights, ...]
    experiments: tuple[Deciding, ...]
    lock: str


class Counts(Struct, frozen=True):
    """How many devices came to an experiment, are outside its audience, fail each condition, and drew each weight.

    A device that is held, or that its group gave to another experiment, does not come to it.
    """

    came: int
    outside: int
    failed: tuple[int, ...]
    drawn: tuple[int, ...]


class Said(Struct, frozen=True):
    """How many devices have this value of an attribute; the value is None for those that left it out."""

    attribute: str
    value: str | None
    devices: int


class Drawn(Struct, frozen=True):
    """Devices done, after how many seconds, how many are held, and the counts of each experiment.

    `said`: only at the end.
    """

    done: int
    seconds: float
    held: int
    counts: tuple[Counts, ...]
    said: tuple[Said, ...] = ()


def main() -> None:
    """The process: draw, and report the counts as they grow."""
    os.nice(10)
    draws = msgspec.json.decode(sys.stdin.buffer.read(), type=Draws)
    lock = os.open(draws.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(BUSY)
    server = _Server(draws)
    made_up = mix.devices(each.audience for each in draws.experiments)
    devices = list(islice(made_up, min(CHUNK, draws.devices)))
    met: Counter[Attributes] = Counter()
    began = reported = time.monotonic()
    done = 0
    while done < draws.devices:
        come = devices[: draws.devices - done]
        server.meet(come)
        met.update(come)
        done += len(come)
        if done == draws.devices or time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            said = _said(met) if done == draws.devices else ()
            counts = tuple(each.counts for each in server.experiments)
            step = Drawn(done, reported - began, server.held, counts, said)
            sys.stdout.buffer.write(msgspec.json.encode(step) + b"\n")
            sys.stdout.buffer.flush()


class _Positions:
    """Draws one position after another, until no more devices are taken."""

    def __init__(self, weights: allocation.Weights, stop_at: int | None = None, outside: int | None = None) -> None:
        self._weights, self._stop_at, self._outside = weights, stop_at, outside
        self._seed = secrets.token_bytes(allocation.SEED_BYTES)
        self._before_block = allocation.no_counts(weights)
        self.drawn: Counter[int] = Counter()

    def draw(self, number: int) -> list[int]:
        """The outcomes of so many devices; fewer when no more are taken."""
        places, before_block = self._ahead(number)
        if self._stop_at is not None:
            had = self.drawn.total() - (0 if self._outside is None else self.drawn[self._outside])
            most = allocation.positions_until(places, self._stop_at - had, self._outside)
            places, before_block = self._ahead(most)
        self._before_block = before_block
        self.drawn.update(places)
        return places

    def _ahead(self, number: int) -> tuple[list[int], allocation.Counts]:
        return allocation.draw(self._seed, 1, self._weights, self.drawn.total(), number, self._before_block)


class _Experiment:
    """Decides about devices as enrolment does: the audience first, then a position for those in it."""

    def __init__(self, deciding: Deciding) -> None:
        self.group = deciding.group
        self._audience, self._weights = deciding.audience, deciding.weights
        self._positions = _Positions(deciding.weights, deciding.stop_at, deciding.outside)
        self._came = self._outside = 0
        self._failed: Counter[int] = Counter()

    def meet(self, profiles: Counter[Attributes]) -> None:
        """Devices with these attributes come."""
        inside = 0
        for attributes, number in profiles.items():
            places = failed(self._audience, attributes)
            self._failed.update(dict.fromkeys(places, number))
            inside += 0 if places else number
        self._positions.draw(inside)
        self._came += profiles.total()
        self._outside += profiles.total() - inside

    @property
    def counts(self) -> Counts:
        """Of all devices so far."""
        return Counts(
            self._came,
            self._outside,
            tuple(self._failed[place] for place in range(len(self._audience))),
            tuple(self._positions.drawn[place] for place in range(len(self._weights))),
        )


class _Server:
    """What devices meet: holdouts, then groups, then experiments."""

    def __init__(self, draws: Draws) -> None:
        self._holdouts = [_Positions(weights) for weights in draws.holdouts]
        self._groups = [_Positions(weights) for weights in draws.groups]
        self.experiments = [_Experiment(each) for each in draws.experiments]

    def meet(self, devices: Sequence[Attributes]) -> None:
        """Devices with these attributes come."""
        for holdout in self._holdouts:
            outcomes = holdout.draw(len(devices))
            devices = [device for device, outcome in zip(devices, outcomes, strict=True) if outcome != HELD_PLACE]
        given: dict[tuple[int, int], list[Attributes]] = defaultdict(list)
        for number, group in enumerate(self._groups):
            for device, outcome in zip(devices, group.draw(len(devices)), strict=True):
                given[number, outcome].append(device)
        free = Counter(devices)
        for experiment in self.experiments:
            experiment.meet(free if experiment.group is None else Counter(given[experiment.group]))

    @property
    def held(self) -> int:
        """How many devices a holdout holds."""
        return sum(holdout.drawn[HELD_PLACE] for holdout in self._holdouts)


def _said(met: Counter[Attributes]) -> tuple[Said, ...]:
    """The values of each attribute, the most frequent first, and last how many devices left it out."""
    values: dict[str, Counter[str]] = {attribute: Counter() for attribute in mix.MIX}
    for attributes, number in met.items():
        for attribute, value in attributes.pairs:
            values.setdefault(attribute, Counter())[value] += number
    return tuple(
        Said(attribute, value, number)
        for attribute, counts in values.items()
        for value, number in [*counts.most_common(), (None, met.total() - counts.total())]
    )
