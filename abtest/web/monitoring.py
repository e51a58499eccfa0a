"""The figures for Prometheus at /metrics: counts, times, refused requests, and the state of the database.

Server processes that share a port share their counts through files in the folder PROMETHEUS_MULTIPROC_DIR, so a
scrape sees the counts of all processes, whichever process answers it. The library reads the variable when it is
imported.

The library maps these files into memory before their space is allocated: on a full disk the first count would kill
the process. So the space is allocated here. If there is none, each process counts for itself.
"""

import fcntl
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import time

import prometheus_client
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from abtest.results import Report
from abtest.store import Condition

CONTENT_TYPE = CONTENT_TYPE_LATEST
COUNTS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "abtest-counts-"
SETTLED_SECONDS = 60
"""A folder younger than this may not be locked by its process yet."""
FILE_BYTES = 1 << 20
"""The size that the library gives these files."""
SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
DEVICES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
log = logging.getLogger("abtest.web")


class Monitoring:
    """The counts of this process, and the page with the counts of all processes.

    `refusals`: how many requests this process answered with an error, by its code.
    """

    def __init__(self) -> None:
        self._shared = COUNTS_FOLDER in os.environ and _room_is_there()
        self._registry = CollectorRegistry()
        answers = Histogram(
            "abtest_answer_seconds",
            "Time to answer a device, by where the answer came from: the cache, or a transaction.",
            ["source"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.cached: Callable[[float], None] = answers.labels("cache").observe
        self.stored: Callable[[float], None] = answers.labels("store").observe
        self.refusals: Counter[str] = Counter()
        self._refused = prometheus_client.Counter(
            "abtest_refused",
            "Requests that were answered with an error, by its code.",
            ["code"],
            registry=self._registry,
        )
        self._requests = Histogram(
            "abtest_request_seconds",
            "Time of every other request, by handler and status.",
            ["handler", "status"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "abtest_batch_seconds",
            "Time of a transaction of first requests, including the wait for other writers.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._sizes = Histogram(
            "abtest_batch_devices",
            "Devices that were decided in one transaction.",
            buckets=DEVICES,
            registry=self._registry,
        )
        self._enrolled = prometheus_client.Counter(
            "abtest_new_devices", "Devices that came for the first time.", registry=self._registry
        )
        self._connections = self._gauge("abtest_connections", "Open connections.")
        self._waiting = self._gauge("abtest_waiting_devices", "Requests that are waiting for a transaction.")
        self._kept = self._gauge("abtest_cached_devices", "Devices whose answer is kept in memory.")
        if self._shared:
            _forget_ended()

    def refused(self, code: str) -> None:
        """Count a request that was answered with this error code."""
        self.refusals[code] += 1
        self._refused.labels(code).inc()

    def answered(self, handler: str, status: int, seconds: float) -> None:
        """Count an answered request of any other kind."""
        self._requests.labels(handler, str(status)).observe(seconds)

    def decided(self, asked: int, new: int, seconds: float) -> None:
        """Count a batch: the devices that asked, how many were new, and its time."""
        self._sizes.observe(asked)
        self._batches.observe(seconds)
        self._enrolled.inc(new)

    def holds(self, connections: int, waiting: int, cached: int) -> None:
        """Record how much this process holds at the moment."""
        self._connections.set(connections)
        self._waiting.set(waiting)
        self._kept.set(cached)

    def page(self, condition: Condition, report: Report) -> bytes:
        """The whole page, in the text format of Prometheus."""
        registry = self._registry
        if self._shared and Path(os.environ[COUNTS_FOLDER]).is_dir():  # somebody may have cleaned up
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
        figures = CollectorRegistry()
        figures.register(_Database(condition, report))
        return generate_latest(registry) + generate_latest(figures)

    def _gauge(self, name: str, help: str) -> Gauge:
        return Gauge(name, help, registry=self._registry, multiprocess_mode="livesum")


class _Database(Collector):
    """The figures that are the same in every process."""

    def __init__(self, condition: Condition, report: Report) -> None:
        self._condition = condition
        self._report = report

    def collect(self) -> Iterable[Metric]:
        """One gauge for each figure that exists already."""
        for name, help, value in (
            ("abtest_database_bytes", "Size of the database file.", self._condition.database_bytes),
            ("abtest_log_bytes", "Size of its write-ahead log.", self._condition.log_bytes),
            ("abtest_free_disk_bytes", "Free space on the database's disk.", self._condition.free_bytes),
            ("abtest_counted_devices", "Devices of all apps in the statistics.", self._report.devices_of_all),
            ("abtest_statistics_age_seconds", "Time since the worker wrote them.", self._report.age_seconds),
        ):
            if value is not None:
                yield GaugeMetricFamily(name, help, value=value)


@contextmanager
def counts_folder() -> Iterator[str]:
    """A folder through which server processes share their counts. It is removed when this process ends.

    Folders that killed processes left behind are removed first: the kernel has released their locks.
    """
    _sweep()
    with TemporaryDirectory(prefix=PREFIX) as folder:
        held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(held)


def _sweep() -> None:
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's folder, or one that is already gone
            if time() - folder.stat().st_mtime < SETTLED_SECONDS:
                continue
            held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(held)


def _room_is_there() -> bool:
    """Allocate the files of this process; if that fails, let the library count in memory."""
    try:
        for kind in ("counter", "histogram", "gauge_livesum"):
            with Path(os.environ[COUNTS_FOLDER], f"{kind}_{os.getpid()}.db").open("ab") as file:
                file.write(bytes(max(0, FILE_BYTES - file.tell())))
    except OSError as error:
        log.error("/metrics shows the counts of only one process: %s: %s", os.environ[COUNTS_FOLDER], error.strerror)
        values.ValueClass = values.MutexValue
        return False
    return True


def _forget_ended() -> None:
    """Remove the gauges of processes that have ended; their counts stay."""
    for path in Path(os.environ[COUNTS_FOLDER]).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            continue
        path.unlink(missing_ok=True)
