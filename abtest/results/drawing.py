"""`python -m abtest.results.drawing`: draws fake devices with the real allocation, on throw-away seeds.

Reads `Draws` as JSON from its standard input and writes one `Drawn` per line."""

import fcntl
import os
import secrets
import sys
import time
from collections import Counter

import msgspec
from msgspec import Struct

from abtest import allocation

CHUNK = 2_000


REPORT_SECONDS = 0.1


BUSY = 75
"""Exit code of a process that finds another one at work (sysexits.h: try again)."""


class Draws(Struct, frozen=True):
    """How many devices, and the weights of each experiment in lowest terms. `lock` is held while it runs."""

    devices: int
    weights: tuple[allocation.Weights, ...]
    lock: str


class Drawn(Struct, frozen=True):
    """Devices done, after how many seconds, and the counts per variant of each experiment."""

    done: int
    seconds: float
    counts: tuple[tuple[int, ...], ...]


def main() -> None:
    """The process: draw, and report the counts as they grow."""
    os.nice(10)
    draws = msgspec.json.decode(sys.stdin.buffer.read(), type=Draws)
    lock = os.open(draws.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(BUSY)
    seeds = [secrets.token_bytes(allocation.SEED_BYTES) for _ in draws.weights]
    before_block = [allocation.no_counts(weights) for weights in draws.weights]
    counts: list[Counter[int]] = [Counter() for _ in draws.weights]
    began = reported = time.monotonic()
    done = 0
    while done < draws.devices:
        number = min(CHUNK, draws.devices - done)
        for i, weights in enumerate(draws.weights):
            drawn, before_block[i] = allocation.draw(seeds[i], 1, weights, done, number, before_block[i])
            counts[i].update(drawn)
        done += number
        if done == draws.devices or time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            totals = tuple(
                tuple(count[place] for place in range(len(weights)))
                for count, weights in zip(counts, draws.weights, strict=True)
            )
            step = Drawn(done, reported - began, totals)
            sys.stdout.buffer.write(msgspec.json.encode(step) + b"\n")
            sys.stdout.buffer.flush()
