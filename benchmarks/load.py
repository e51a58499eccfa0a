"""Load from wrk, and what wrk measured."""

import itertools
import re
import subprocess
import time
from dataclasses import dataclass
from math import ceil
from statistics import median

from benchmarks.servers import HERE, Server

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
ENROLLING = 16
RUNS = itertools.count(int(time.time()) % 1_000_000)


@dataclass(frozen=True)
class Figures:
    """Requests per second, the 99th percentile of the latency in milliseconds, and the number of requests."""

    rate: float
    p99: float
    requests: int


def load(server: Server, case: str, connections: int, seconds: float, core: int | None = 1) -> Figures:
    """Run wrk against a server, with a script or as `mixed`. Raises AssertionError if any answer was an error.

    In `mixed`, 16 more connections enrol new devices. The rate counts all devices, the p99 only known ones.
    """
    if case != "mixed":
        return finish(start(server, case, connections, seconds, core))
    enrolling = start(server, "new", ENROLLING, seconds, core)
    known = finish(start(server, "known", connections, seconds, core))
    new = finish(enrolling)
    return Figures(known.rate + new.rate, known.p99, known.requests + new.requests)


def warm(server: Server, connections: int, core: int | None = 1) -> None:
    """Ask for the known devices until all of them are stored and cached.

    Each load takes longer than the one before, because each begins with the first device again.
    """
    seconds = 1
    while not server.warm():
        load(server, "known", connections, seconds, core)
        seconds *= 2


def start(
    server: Server, script: str, connections: int, seconds: float, core: int | None = 1
) -> "subprocess.Popen[str]":
    """Start wrk in the background. Each run of `new` makes its own devices."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    line = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{ceil(seconds)}",
        "--latency",
        "-s",
        str(HERE / f"{script}.lua"),
        server.url,
    ]
    return subprocess.Popen([*pinned, *line, f"{next(RUNS):08d}"], stdout=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> Figures:
    """Wait for wrk to end; returns what it measured. Raises AssertionError if any answer was an error."""
    output, _ = process.communicate()
    assert process.returncode == 0, output
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", output)
    assert not wrong, f"there were errors: {wrong[0] if wrong else ''}"
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    requests = re.search(r"(\d+) requests in", output)
    assert rate and p99 and requests, output
    return Figures(float(rate[1]), float(p99[1]) * UNITS[p99[2]], int(requests[1]))


@dataclass(frozen=True)
class Compared:
    """Rounds of A B A B: a yardstick and the product. A ratio is the product's figure divided by the yardstick's."""

    yardstick: tuple[Figures, ...]
    product: tuple[Figures, ...]

    @property
    def rate_ratio(self) -> float:
        """The ratio of the rates, as the median over the rounds."""
        return median(b.rate / a.rate for a, b in zip(self.yardstick, self.product, strict=True))

    @property
    def p99_ratio(self) -> float:
        """The ratio of the p99, as the median over the rounds."""
        return median(b.p99 / a.p99 for a, b in zip(self.yardstick, self.product, strict=True))

    @property
    def spread(self) -> float:
        """How far apart the yardstick's own rates are, relative to their median."""
        return _spread([figures.rate for figures in self.yardstick])

    @property
    def p99_spread(self) -> float:
        """The same for its p99."""
        return _spread([figures.p99 for figures in self.yardstick])

    @property
    def rate(self) -> float:
        """The product's median rate."""
        return median(figures.rate for figures in self.product)

    @property
    def p99(self) -> float:
        """The product's median p99 in milliseconds."""
        return median(figures.p99 for figures in self.product)


def _spread(figures: list[float]) -> float:
    return (max(figures) - min(figures)) / median(figures)
