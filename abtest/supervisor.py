"""Keeps child processes alive, and ends them together."""

import asyncio
import os
import signal
import socket
import stat
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic

from msgspec import Struct

from abtest import clock
from abtest.errors import Unavailable

GRACE_SECONDS = 9.0
LAST_SECONDS = 8.5
LIFELINE = 0
FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 10.0
SETTLED_SECONDS = 10.0
SUPERVISED = "ABTEST_SUPERVISED"


class Child(Struct, frozen=True):
    """A process to keep alive: its name for people, its `abtest` command line, its settings as variables."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str]


class Supervisor:
    """Starts children, starts one that dies again with growing pauses, and stops all within ten seconds.

    Each child holds the read end of a pipe as its standard input: when the supervisor is gone, even by kill -9,
    the pipe ends and the child stops.
    """

    def __init__(self, children: Sequence[Child], say: Callable[[str], None]) -> None:
        self._children = children
        self._say = say

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set and every child has ended. When one can't even be started, the others end as well."""
        try:
            async with asyncio.TaskGroup() as keeping:
                for child in self._children:
                    keeping.create_task(self._keep(child, stop))
        except* OSError as errors:
            raise Unavailable(f"cannot start a process: {errors.exceptions[0]}") from errors

    async def _keep(self, child: Child, stop: asyncio.Event) -> None:
        pause = 0.0
        while True:
            process = await _start(child)
            began = monotonic()
            try:
                await _either(process.wait(), stop.wait())
            finally:
                if process.returncode is None:
                    await self._end(child, process)
            if stop.is_set():
                return
            settled = monotonic() - began > SETTLED_SECONDS
            pause = FIRST_BACKOFF if settled or not pause else min(2 * pause, LONGEST_BACKOFF)
            self._say(f"{child.name} {_how(process)}; starting it again in {pause:g} s")
            if await clock.stopped(stop, pause):
                return

    async def _end(self, child: Child, process: Process) -> None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
        except TimeoutError:
            self._say(f"{child.name} did not stop within {GRACE_SECONDS:g} s and was killed")
            process.kill()
            await process.wait()


def reserve(address: str, port: int) -> tuple[socket.socket, int]:
    """A socket that holds the port for processes that share it, and the port's number; 0 takes a free one.

    Raises Unavailable when somebody else has the port: with SO_REUSEPORT alone two servers would quietly share it.
    """
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(name)
        held = socket.socket(family, kind, protocol)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(name)
    except OSError as error:
        raise Unavailable(f"cannot listen on {address}, port {port}: {error.strerror or error}") from error
    return held, int(held.getsockname()[1])


def stop_event(within: float | None = None) -> asyncio.Event:
    """An event set by SIGTERM, by Ctrl-C, and in a supervised process by the end of its supervisor.

    When the process has not ended so many seconds later, it is ended: a thread that waits for a lock can't be asked.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(LIFELINE)
        if not stop.is_set() and within is not None:
            loop.call_later(within, os._exit, 1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if supervised():
        loop.add_reader(LIFELINE, end)
    return stop


def supervised() -> bool:
    """Whether a supervisor started this process and holds the other end of its standard input."""
    if SUPERVISED not in os.environ:
        return False
    try:
        mode = os.fstat(LIFELINE).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


async def _start(child: Child) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "abtest",
        *child.arguments,
        stdin=PIPE,
        env=os.environ | child.environment | {SUPERVISED: "1"},
    )


async def _either(*waits: Coroutine[object, object, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _how(process: Process) -> str:
    code = process.returncode or 0
    if code >= 0:
        return f"ended with exit code {code}"
    named = next((each.name for each in signal.Signals if each == -code), f"signal {-code}")
    return f"was killed by {named}"
