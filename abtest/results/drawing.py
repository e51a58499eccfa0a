"""`python -m abtest.results.drawing`: draws fake devices with the real allocation, on throw-away seeds.

Reads `Draws` as JSON from its standard input and writes one `Drawn` per line."""

import fcntl
import os
import secrets
import sys
import time
from collections import Counter
from itertools import islice

import msgspec
from msgspec import Struct

from abtest import allocation
from abtest.domain import Attributes, Audience, failed
from abtest.results import mix

CHUNK = 10_000
"""So many devices are made up; what more devices say is the same again."""
REPORT_SECONDS = 0.1
BUSY = 75
"""Exit code of a process that finds another one at work (sysexits.h: try again)."""


class Deciding(Struct, frozen=True):
    """All that decides what an experiment gives a device. `weights`: what its positions are drawn from."""

    audience: Audience
    weights: allocation.Weights


class Draws(Struct, frozen=True):
    """How many devices, and the experiments that they meet. `lock` is held while it runs."""

    devices: int
    experiments: tuple[Deciding, ...]
    lock: str


class Counts(Struct, frozen=True):
    """Of one experiment: how many devices are outside its audience, fail each condition, and drew each weight."""

    outside: int
    failed: tuple[int, ...]
    drawn: tuple[int, ...]


class Said(Struct, frozen=True):
    """How many devices said this of an attribute; None of those that left it out."""

    attribute: str
    value: str | None
    devices: int


class Drawn(Struct, frozen=True):
    """Devices done, after how many seconds, and the counts of each experiment. `said`: at the end alone."""

    done: int
    seconds: float
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
    experiments = [_Experiment(each) for each in draws.experiments]
    made_up = mix.devices(each.audience for each in draws.experiments)
    devices = list(islice(made_up, min(CHUNK, draws.devices)))
    met: Counter[Attributes] = Counter()
    began = reported = time.monotonic()
    done = 0
    while done < draws.devices:
        profiles = Counter(devices[: draws.devices - done])
        for experiment in experiments:
            experiment.meet(profiles)
        met.update(profiles)
        done += profiles.total()
        if done == draws.devices or time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            said = _said(met) if done == draws.devices else ()
            step = Drawn(done, reported - began, tuple(each.counts for each in experiments), said)
            sys.stdout.buffer.write(msgspec.json.encode(step) + b"\n")
            sys.stdout.buffer.flush()


class _Experiment:
    """Decides about devices as enrolment does: the audience first, then a position for those in it."""

    def __init__(self, deciding: Deciding) -> None:
        self._audience, self._weights = deciding.audience, deciding.weights
        self._seed = secrets.token_bytes(allocation.SEED_BYTES)
        self._before_block = allocation.no_counts(deciding.weights)
        self._position = self._outside = 0
        self._failed: Counter[int] = Counter()
        self._drawn: Counter[int] = Counter()

    def meet(self, profiles: Counter[Attributes]) -> None:
        """Devices with these attributes come."""
        inside = 0
        for attributes, number in profiles.items():
            places = failed(self._audience, attributes)
            self._failed.update(dict.fromkeys(places, number))
            inside += 0 if places else number
        drawn, self._before_block = allocation.draw(
            self._seed, 1, self._weights, self._position, inside, self._before_block
        )
        self._drawn.update(drawn)
        self._position += inside
        self._outside += profiles.total() - inside

    @property
    def counts(self) -> Counts:
        """Of all devices so far."""
        return Counts(
            self._outside,
            tuple(self._failed[place] for place in range(len(self._audience))),
            tuple(self._drawn[place] for place in range(len(self._weights))),
        )


def _said(met: Counter[Attributes]) -> tuple[Said, ...]:
    """The values of each attribute, those of most devices first, and at last how many devices left it out."""
    values: dict[str, Counter[str]] = {attribute: Counter() for attribute in mix.MIX}
    for attributes, number in met.items():
        for attribute, value in attributes.pairs:
            values.setdefault(attribute, Counter())[value] += number
    return tuple(
        Said(attribute, value, number)
        for attribute, counts in values.items()
        for value, number in [*counts.most_common(), (None, met.total() - counts.total())]
    )
