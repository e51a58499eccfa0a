"""The servers under load: how to start them, pinned to a core or not, measure them and check their answers."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

import psycopg

HERE = Path(__file__).parent
VARIANTS = (("#FF0000=33.3", "#00FF00=33.3", "#0000FF=33.3"), ("10=75", "20=10", "50=5", "5=10"))
AUDIENCE = ("platform=ios,android", "country!=US", "app_version>=3.2")
"""At least nine of ten devices of attributes.lua fulfil these."""

KNOWN = 10_000
"""How many devices known.lua has."""
MOST_OFF = 4
"""More than the bound of every experiment below: the bounds are 0.67 for thirds and 3.75 for 75/10/5/10."""

Database = Path | str
"""The file of an SQLite database, or the URL of a PostgreSQL database."""


class Server:
    """A running server: where it listens, its first process, its database.

    `tokens`: the table with the tokens of its devices. `caches`: how many processes keep answers in memory.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        port: int,
        database: Database | None = None,
        tokens: str = "",
        caches: int = 0,
    ) -> None:
        self.process = process
        self.port = port
        self.database = database
        self.tokens = tokens
        self.caches = caches

    @property
    def url(self) -> str:
        """The URL that apps call."""
        return f"http://127.0.0.1:{self.port}/api/v1/experiments"

    def memory(self) -> int:
        """Resident bytes of the process, as the system counts them."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def metric(self, name: str) -> float:
        """The value of a line of /metrics."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics") as page:
            lines = page.read().decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))

    def count(self, rows: str) -> int:
        """How many such rows its database has."""
        if isinstance(self.database, Path):
            connection: Any = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        else:
            connection = psycopg.connect(str(self.database))
        try:
            ((number,),) = connection.execute(f"SELECT count(*) FROM {rows}")
        finally:
            connection.close()
        return int(number)

    def warm(self) -> bool:
        """Whether all known devices are stored, and in the cache of every process that has one."""
        if self.count(f"{self.tokens} WHERE token LIKE 'known-%'") < KNOWN:
            return False
        return not self.caches or self.metric("abtest_cached_devices") >= self.caches * KNOWN


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def abtest(database: Database, *arguments: str) -> str:
    """Run a command that ends by itself; returns what it printed. Raises CalledProcessError if it fails."""
    line = [*_abtest(database), *arguments]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


def create(database: Database, experiments: int = 2, metrics: Sequence[str] = ()) -> None:
    """Make a database with so many experiments, like the two of the demo in turn, each judged by these metrics."""
    for number in range(experiments):
        options = [word for variant in VARIANTS[number % 2] for word in ("--variant", variant)]
        options += [word for metric in metrics for word in ("--metric", metric)]
        abtest(database, "experiments", "add", f"experiment-{number}", *options)


def create_with_audiences(database: Path, experiments: int, together: bool) -> None:
    """Make a database with so many experiments, each with an audience of three conditions.

    `together`: they share a group, and a holdout of 5% comes before it.
    """
    if together:
        abtest(database, "holdouts", "add", "year", "--share", "5%")
        abtest(database, "groups", "add", "screen")
    for number in range(experiments):
        options = [word for variant in VARIANTS[number % 2] for word in ("--variant", variant)]
        options += [word for condition in AUDIENCE for word in ("--audience", condition)]
        options += ["--group", "screen", "--group-share", f"{100 // experiments}%"] if together else []
        abtest(database, "experiments", "add", f"experiment-{number}", *options)


def fill(database: Path, size: int) -> dict[str, Any]:
    """Grow it to this size and by the devices of a few more ticks of the worker; returns what fill.py prints."""
    line = [sys.executable, "-m", "benchmarks.fill", str(database), str(size)]
    done = subprocess.run(line, check=True, capture_output=True, text=True, cwd=HERE.parent)
    filled: dict[str, Any] = json.loads(done.stdout)
    return filled


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder on the disk of the checkout, because /tmp may be a file system in memory."""
    path = Path(tempfile.mkdtemp(prefix=".benchmark-", dir=HERE.parent))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def bare(core: int | None = 0) -> Iterator[Server]:
    """Run yardstick (a), the bare handler."""
    with _constant("bare", core) as server:
        yield server


@contextmanager
def limit() -> Iterator[Server]:
    """Run yardstick (c), the limit."""
    with _constant("limit", 0) as server:
        yield server


@contextmanager
def obvious(path: Path, core: int | None = 0, slow: bool = False) -> Iterator[Server]:
    """Run yardstick (b), the obvious implementation, on its own database."""
    port = free_port()
    database = path / f"obvious-{port}.db"
    line = [sys.executable, "-m", "benchmarks.yardsticks.obvious", str(port), str(database)]
    with _running(line, port, core, slow) as process:
        yield Server(process, port, database, tokens="device")


@contextmanager
def product(database: Database, core: int | None = 0, processes: int = 1, slow: bool = False) -> Iterator[Server]:
    """Run abtest itself."""
    port = free_port()
    line = [*_abtest(database), "serve"]
    line += ["--port", str(port), "--processes", str(processes)]
    with _running(line, port, core, slow) as process:
        yield Server(process, port, database, tokens="device_token", caches=processes)


@contextmanager
def counting(database: Path) -> Iterator[None]:
    """Run the stats worker beside a server."""
    process = subprocess.Popen([*_abtest(database), "worker"], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextmanager
def checked(server: Server) -> Iterator[None]:
    """Check a load: devices get the same answer after it as before, shares are exact, and `abtest verify` passes.

    Raises AssertionError. That no answer under load was an error is checked by `finish`, which reads wrk's output.
    """
    asked = [f"checked-{server.port}-{number}" for number in range(50)]
    before = [ask(server, token) for token in asked]
    yield
    assert before == [ask(server, token) for token in asked], "an answer changed"
    assert server.database is not None
    abtest(server.database, "worker", "--once")
    for experiment in json.loads(abtest(server.database, "stats", "--json"))["experiments"]:
        for variant in experiment["variants"]:
            off = abs(variant["devices"] - variant["expected"])
            assert off < MOST_OFF, f"{variant['value']} of {experiment['key']} is {off} devices off its share"
    verified = json.loads(abtest(server.database, "verify", "--json"))
    assert verified["broken"] == 0, verified["findings"]


def ask(server: Server, token: str) -> dict[str, str]:
    """The values that a device gets."""
    with urlopen(Request(server.url, headers={"Device-Token": token})) as answer:
        got: dict[str, str] = json.load(answer)
    return got


def _abtest(database: Database) -> list[str]:
    url = f"sqlite:///{database}" if isinstance(database, Path) else database
    return [sys.executable, "-m", "abtest", "--database", url]


@contextmanager
def _constant(name: str, core: int | None) -> Iterator[Server]:
    port = free_port()
    with _running([sys.executable, "-m", f"benchmarks.yardsticks.{name}", str(port)], port, core) as process:
        yield Server(process, port)


@contextmanager
def _running(line: list[str], port: int, core: int | None, slow: bool = False) -> Iterator["subprocess.Popen[bytes]"]:
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    with TemporaryDirectory() as path:
        environment = os.environ | ({"LD_PRELOAD": str(slow_disk(Path(path)))} if slow else {})
        yield from _answering([*pinned, *line], port, environment)


def _answering(line: list[str], port: int, environment: dict[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(line, cwd=HERE.parent, env=environment, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        else:
            raise RuntimeError(f"ended before it listened: {' '.join(line)}")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def slow_disk(path: Path) -> Path:
    """Compile the shim; returns its path. Raises CalledProcessError if that fails."""
    library = path / "slow_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, HERE / "slow_disk.c", "-ldl"], check=True)
    return library
