"""Processes of the product, started as a supervisor starts them; with a shim or a defect if wanted."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from urllib.request import urlopen

from abtest import bootstrap
from abtest.commands.options import parse_variants
from abtest.domain import NewExperiment, Variant
from abtest.management import ExperimentService, GroupService, HoldoutService
from abtest.supervisor import LISTENING, SUPERVISED
from tests.faults.shims import Shim
from tests.processes import url_of
from tests.scenes import ANNA, opened

ROOT = Path(__file__).parent.parent.parent
SECONDS = 600

COLOR = ("color", "red=1", "green=1", "blue=1")
PRICE = ("price", "10=75", "20=10", "50=5", "5=10")
HALVES = (Variant("on", Decimal(1)), Variant("off", Decimal(1)))
BANNER = NewExperiment("banner", HALVES, audience=("platform=ios",), group="screen", group_share=Decimal("0.4"))
BADGE = NewExperiment(
    "badge", HALVES, coverage=Decimal("0.5"), stop_at=50, group="screen", group_share=Decimal("0.3")
)


class Process:
    """A running `abtest` command on a database, which is an SQLite file or a URL.

    `defect`: one of broken.py. `supervised`: it runs as under a supervisor, and starts nothing itself. `within`: the
    beginning of the command line.
    """

    def __init__(
        self,
        database: Path | str,
        *arguments: str,
        shim: Shim | None = None,
        defect: str = "",
        supervised: bool = True,
        shared: socket.socket | None = None,
        within: Sequence[str] = (),
    ) -> None:
        self._said = TemporaryFile()  # noqa: SIM115  # open as long as this Process
        environment = {SUPERVISED: "1"} if supervised else {}
        if shared:
            environment[LISTENING] = str(shared.fileno())
        self._process = subprocess.Popen(
            [*within, *program(defect), "--database", url_of(database), *arguments],
            stdin=subprocess.PIPE,
            stderr=self._said,
            cwd=ROOT,
            start_new_session=True,
            pass_fds=[shared.fileno()] if shared else [],
            env=os.environ | environment | (shim.environment if shim else {}),
        )
        self.pid = self._process.pid

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.stop(signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._said.close()

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; returns the exit code."""
        return self._process.wait(SECONDS)

    def messages(self) -> str:
        """All its messages so far."""
        said = self._said.fileno()
        return os.pread(said, os.fstat(said).st_size, 0).decode()

    def wait_for(self, pattern: str) -> "Process":
        """Wait for a message that matches the pattern; returns itself."""
        until = time.monotonic() + SECONDS
        while not re.search(pattern, self.messages()):
            assert self.code is None, f"ended before it said {pattern!r}: {self.messages()}"
            assert time.monotonic() < until, f"did not say {pattern!r}: {self.messages()}"
            time.sleep(0.02)
        return self

    def listens(self, port: int) -> "Process":
        """Wait until it listens on the port; returns itself."""
        until = time.monotonic() + SECONDS
        while not _listens(self.pid, port):
            assert self.code is None, f"ended with {self.code}: {self.messages()}"
            assert time.monotonic() < until, "nobody listens"
            time.sleep(0.02)
        return self

    def kill_all(self) -> None:
        """Kill it and its children until none of them runs, since it may start another child meanwhile."""
        while running := self._running():
            for pid, _ in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        self.wait()  # its threads may end after it becomes a zombie, and until then it has no exit code

    def children(self) -> dict[str, list[int]]:
        """The processes that it started and that run, by command: serve or worker."""
        found: dict[str, list[int]] = {"serve": [], "worker": []}
        for pid, command in self._running():
            if pid != self.pid:
                found["serve" if command == "serve" else "worker"].append(pid)
        return found

    def _running(self) -> list[tuple[int, str]]:
        """The running processes of its group, with the last word of each command line."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,pgid=,stat=,args="], capture_output=True, text=True, check=True
        )
        rows = [line.split(maxsplit=3) for line in listed.stdout.splitlines()]
        return [
            (int(pid), command.split()[-1])
            for pid, group, state, command in rows
            if int(group) == self.pid and not state.startswith("Z")
        ]


def _listens(pid: int, port: int) -> bool:
    """Whether this process has a socket that listens on the port (proc_pid_fd(5), proc_net_tcp(5))."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
    listening = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    with suppress(FileNotFoundError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if str(entry.readlink()) in listening:
                    return True
    return False


def ended(processes: list[int]) -> None:
    """Wait until none of these runs; a zombie does not run."""
    for pid in processes:
        with suppress(FileNotFoundError, ProcessLookupError):
            while Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z":
                time.sleep(0.01)


def serve(database: Path | str, port: int, *options: str, shim: Shim | None = None, defect: str = "") -> Process:
    """Start a server process and wait until it listens."""
    arguments = ("serve", "--port", str(port), "--processes", "1", *options)
    return Process(database, *arguments, shim=shim, defect=defect).listens(port)


@contextmanager
def several_serve(
    database: Path | str,
    shims: Sequence[Shim | None] = (None, None),
    defect: str = "",
    within: Sequence[Sequence[str]] = (),
) -> Iterator[int]:
    """Run a server process for each shim, on one port as under one supervisor. Gives the port once all answer.

    `within`: as in Process, for each.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as shared, ExitStack() as running:
        for place, shim in enumerate(shims):
            process = Process(
                database,
                "serve",
                "--processes",
                "1",
                shim=shim,
                defect=defect,
                supervised=False,
                shared=shared,
                within=within[place] if within else (),
            )
            running.enter_context(process).wait_for("listening on")
        yield shared.getsockname()[1]


def up(database: Path | str, port: int, *options: str) -> Process:
    """Start a supervisor with two server processes and a worker; returns once they answer."""
    arguments = ("up", "--port", str(port), "--processes", "2", "--interval", "0.2", *options)
    return Process(database, *arguments, supervised=False).wait_for("is running")


def read(port: int, path: str) -> str:
    """The answer at this path."""
    with urlopen(f"http://127.0.0.1:{port}{path}") as response:
        return str(response.read().decode())


def free_port() -> int:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def program(defect: str = "") -> list[str]:
    """The beginning of the command line: the product, or the product with a defect."""
    return [sys.executable, "-m", *(("tests.faults.broken", defect) if defect else ("abtest",))]


def run(
    database: Path | str, *arguments: str, shim: Shim | None = None, defect: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a command that ends by itself."""
    return subprocess.run(
        [*program(defect), "--database", url_of(database), *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=ROOT,
        env=os.environ | (shim.environment if shim else {}),
    )


def create(database: Path | str, *experiments: tuple[str, ...]) -> None:
    """Create a database with these experiments; without any, with color, price, a holdout and a group.

    The group has two more experiments: banner is for one platform; badge has a coverage of half, and stops at 50.
    """
    metrics = ("conversion:purchase", "amount:purchase")
    new = [
        NewExperiment(key, parse_variants(variants), metrics=metrics)
        for key, *variants in experiments or (COLOR, PRICE)
    ]

    async def add() -> None:
        async with opened(database) if isinstance(database, Path) else bootstrap.opened(database) as store:
            await ExperimentService(store, by=ANNA).add(new)
            if not experiments:
                await HoldoutService(store, by=ANNA).add("year", Decimal("0.1"))
                await GroupService(store, by=ANNA).add("screen")
                await ExperimentService(store, by=ANNA).add([BANNER, BADGE])

    asyncio.run(add())  # in this process, since starting another takes longer than the work itself


def verify(database: Path | str) -> str:
    """What is broken; empty if every promise holds."""
    done = run(database, "verify")
    return "" if done.returncode == 0 else done.stdout + done.stderr
