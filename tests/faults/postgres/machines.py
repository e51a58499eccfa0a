"""Two machines, each with a server, and the clients of these servers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from itertools import cycle

import msgspec

from tests.faults.clients import Connection, Ledger, ask_again, ask_all, load, loaded, more, named
from tests.faults.servers import Process, run, verify

KNOWN = 200
"""How many known devices of each machine ask again and again."""


class Machine:
    """A server process, and what its clients got. `known`: how often known devices asked again."""

    def __init__(self, server: Process, port: int, name: str) -> None:
        self.server, self.port = server, port
        self.ledger, self.names, self.known = Ledger(), named(name), 0

    def stores(self, devices: int) -> Callable[[], bool]:
        """A condition: so many more devices have been answered since this call."""
        return more(self.ledger, devices)

    def refuses(self, code: str = "") -> Callable[[], bool]:
        """A condition: a device has been refused since this call, with this code or with any."""
        before = self.refused(code)
        return lambda: self.refused(code) > before

    def refused(self, code: str = "") -> int:
        """How often devices were refused with this code, or with any."""
        bodies = self.ledger.refused.items()
        return sum(times for body, times in bodies if code in {"", msgspec.json.decode(body)["code"]})

    async def ask(self, enough: Callable[[], bool]) -> None:
        """Let new devices ask until it is enough."""
        await load(self.port, self.ledger, self.names, enough)

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[None]:
        """During a block new devices ask, and known devices ask again, which must be answered all the time."""
        await self.ask(self.stores(KNOWN))
        known = cycle(list(self.ledger.answers)[-KNOWN:])
        async with (
            loaded(self.port, self.ledger, self.names, clients=4),
            loaded(self.port, self.ledger, known, clients=1, act=self._ask_again),
        ):
            yield

    async def _ask_again(self, connection: Connection, ledger: Ledger, token: str) -> None:
        await ask_again(connection, ledger, token)
        self.known += 1
        await asyncio.sleep(0.02)


@contextmanager
def machines(
    databases: Sequence[str], defect: str = "", within: Sequence[Sequence[str]] = ((), ())
) -> Iterator[list[Machine]]:
    """Machines whose servers reach the same database by these URLs. `within`: see Process."""
    with ExitStack() as stack:
        made = []
        for name, database, inside in zip("ab", databases, within, strict=True):
            shared = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # on this side of every wire
            arguments = ("serve", "--processes", "1")
            server = Process(database, *arguments, defect=defect, supervised=False, shared=shared, within=inside)
            made.append(Machine(stack.enter_context(server), shared.getsockname()[1], name))
        for each in made:
            each.server.wait_for("listening on")
        yield made


async def more_devices(both: Sequence[Machine], devices: int) -> None:
    """Let so many new devices ask each machine."""
    await asyncio.gather(*(each.ask(each.stores(devices)) for each in both))


def every(conditions: Iterable[Callable[[], bool]]) -> Callable[[], bool]:
    """A condition: all of these are true."""
    each = list(conditions)
    return lambda: all(condition() for condition in each)


def some(conditions: Iterable[Callable[[], bool]]) -> Callable[[], bool]:
    """A condition: at least one of these is true."""
    each = list(conditions)
    return lambda: any(condition() for condition in each)


def settled(database: str, both: Sequence[Machine]) -> None:
    """Check that every device gets its answer again, from both machines, and that every promise holds."""
    together = Ledger()
    for each in both:
        assert each.server.code is None, each.server.messages()
        together.answers |= each.ledger.answers
    for each in both:
        asyncio.run(ask_all(each.port, together, list(together.answers)))
    for ledger in (together, *(each.ledger for each in both)):
        assert (ledger.lost, ledger.changed) == ([], [])
    assert run(database, "worker", "--once").returncode == 0
    assert verify(database) == ""
