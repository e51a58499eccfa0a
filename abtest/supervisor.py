"""Keeps child processes alive, and stops them together."""

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
from abtest.errors import CannotStart, InvalidSetting

GRACE_SECONDS = 9.0
"""After this a child is killed, so that all have ended within ten seconds."""
LAST_SECONDS = 8.5
"""After this a child ends itself, whatever it is waiting for."""
LIFELINE = 0
FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 10.0
SETTLED_SECONDS = 10.0
PREFIX = "ABTEST_"
SUPERVISED = f"{PREFIX}SUPERVISED"
LISTENING = f"{PREFIX}LISTENING"


class Child(Struct, frozen=True):
    """A process to keep alive: its name for people, its `abtest` command line, its settings as variables, and
    whether it accepts connections."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    serves: bool = False


class Supervisor:
    """Starts children, and starts them again when they end; stops all of them within ten seconds.

    A child that keeps failing is started again after longer and longer pauses.

    Each child holds the read end of a pipe as its standard input: when the supervisor ends, even by kill -9, the pipe
    closes and the child stops.

    Children that serve inherit the listening sockets, which stay open here. So a connection that the kernel accepts
    while one child ends and another starts is not reset: it waits until a child takes it.
    """

    def __init__(
        self, children: Sequence[Child], say: Callable[[str], None], sockets: Sequence[socket.socket] = ()
    ) -> None:
        self._children = children
        self._say = say
        self._sockets = sockets

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set and every child has ended. If a child can't be started, the others are ended too.

        When `stop` is set, the sockets are closed here, so later connections are refused at once. Raises CannotStart.
        """
        try:
            async with asyncio.TaskGroup() as keeping:
                for child in self._children:
                    keeping.create_task(self._keep(child, stop))
                await stop.wait()
                for each in self._sockets:
                    each.close()
        except* OSError as errors:
            raise CannotStart(f"cannot start a process: {errors.exceptions[0]}") from errors

    async def _keep(self, child: Child, stop: asyncio.Event) -> None:
        pause = 0.0
        while not stop.is_set():
            process = await self._start(child)
            began = monotonic()
            try:
                await _either(process.wait(), stop.wait())
            finally:
                if process.returncode is None:
                    await self._end(child, process)
            if stop.is_set():
                return
            settled = process.returncode == 0 or monotonic() - began > SETTLED_SECONDS
            pause = FIRST_BACKOFF if settled or not pause else min(2 * pause, LONGEST_BACKOFF)
            self._say(f"{child.name} {_how(process)}; starting it again in {pause:g} s")
            if await clock.stopped(stop, pause):
                return

    async def _start(self, child: Child) -> Process:
        numbers = [each.fileno() for each in self._sockets] if child.serves else []
        # A child gets all its settings here; a variable that was set for another command must not reach it.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "abtest",
            *child.arguments,
            stdin=PIPE,
            pass_fds=numbers,
            env=inherited | child.environment | {SUPERVISED: "1", LISTENING: ",".join(map(str, numbers))},
        )

    async def _end(self, child: Child, process: Process) -> None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
        except TimeoutError:
            self._say(f"{child.name} did not stop within {GRACE_SECONDS:g} s and was killed")
            process.kill()
            await process.wait()


def inherited() -> list[socket.socket]:
    """The listening sockets that a supervisor gave this process, if any.

    Raises InvalidSetting when the variable does not list open sockets.
    """
    numbers = os.environ.pop(LISTENING, "")
    try:
        sockets = [socket.socket(fileno=int(number)) for number in numbers.split(",") if number]
    except (ValueError, OSError) as error:
        raise InvalidSetting(f"{LISTENING}: must list the numbers of open sockets") from error
    for each in sockets:
        each.setblocking(False)
    return sockets


def stop_event(within: float | None = None) -> asyncio.Event:
    """An event that is set by SIGTERM, by Ctrl-C, when the terminal closes, and when the supervisor, if any, ends.

    If the process is still running `within` seconds later, it exits at once: a thread that waits for a lock can't be
    asked to stop.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(LIFELINE)
        if not stop.is_set() and within is not None:
            loop.call_later(within, os._exit, 1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
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
