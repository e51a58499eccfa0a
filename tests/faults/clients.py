"""Devices over HTTP, many at once, and the ledger of their answers."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from zlib import crc32

from msgspec import Struct

GONE = (OSError, asyncio.IncompleteReadError)
OK, ACCEPTED = 200, 202
PAUSE = 0.02
"""How many seconds a client waits after a refusal or a lost connection."""


class Reply(Struct, frozen=True):
    """A server's answer."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: bytes) -> bytes:
        """The value of a header; empty if it is not there."""
        return self.head.lower().partition(b"\r\n" + name.lower() + b":")[2].partition(b"\r\n")[0].strip()


class Connection:
    """One connection, with one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, token: str, method: str = "GET") -> Reply:
        """What this device gets; some have a platform. Raises an error of GONE if the server goes away."""
        query = ("", "?platform=ios", "?platform=android")[crc32(token.encode()) % 3]
        self._writer.write(
            f"{method} /api/v1/experiments{query} HTTP/1.1\r\nHost: a\r\nDevice-Token: {token}\r\n\r\n".encode()
        )
        return await self.read(body=method != "HEAD")

    async def tell(self, token: str, id: str) -> Reply:
        """The answer to a purchase and an exposure of this device. Raises the same as `ask`."""
        purchase = f'{{"id":"{id}-p","name":"purchase","amount":"9.99"}}'
        exposure = f'{{"id":"{id}-e","name":"exposure","experiment":"color"}}'
        body = f'{{"events":[{purchase},{exposure}]}}'
        self._writer.write(
            f"POST /api/v1/events HTTP/1.1\r\nHost: a\r\nDevice-Token: {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        return await self.read()

    async def read(self, body: bool = True) -> Reply:
        """The next reply."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        reply = Reply(int(head[9:12]), head[:-2], b"")
        length = int(reply.header(b"Content-Length") or 0) if body else 0
        return Reply(reply.status, reply.head, await self._reader.readexactly(length))


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """A connection, open within a block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class Ledger:
    """Every acknowledged answer, and which of them were lost or changed."""

    def __init__(self, noticed: Callable[[str, bytes], None] = lambda token, body: None) -> None:
        self.answers: dict[str, bytes] = {}
        self.acknowledged = 0
        self.changed: list[tuple[str, bytes, bytes]] = []
        self.lost: list[str] = []
        self.refused: dict[bytes, int] = {}
        self.asked: list[str] = []
        self.told: set[str] = set()
        self._noticed = noticed

    def note(self, token: str, reply: Reply) -> None:
        """Record an answer; a refusal is counted by its code."""
        if reply.status != OK:
            self.refused[reply.body] = self.refused.get(reply.body, 0) + 1
            return
        self.acknowledged += 1
        before = self.answers.setdefault(token, reply.body)
        if before is reply.body:
            self._noticed(token, reply.body)
        elif before != reply.body:
            self.changed.append((token, before, reply.body))


Act = Callable[[Connection, Ledger, str], Awaitable[None]]
"""What a client does for one device; it notes the results in the ledger."""


async def ask(connection: Connection, ledger: Ledger, token: str) -> None:
    """A first request, or a later one."""
    ledger.asked.append(token)
    reply = await connection.ask(token)
    ledger.note(token, reply)
    if reply.status != OK:
        await asyncio.sleep(PAUSE)


async def ask_again(connection: Connection, ledger: Ledger, token: str) -> None:
    """The answer must still be the same, even before a request that would draw it again."""
    known = token in ledger.answers
    before = (await connection.ask(token, "HEAD")).status if known else OK
    reply = await connection.ask(token)
    if known and (before, reply.status) != (OK, OK):
        ledger.lost.append(token)
    ledger.note(token, reply)


async def ask_and_tell(connection: Connection, ledger: Ledger, token: str) -> None:
    """A first request, then the device's events."""
    await ask(connection, ledger, token)
    if (await connection.tell(token, "once")).status == ACCEPTED:
        ledger.told.add(token)


async def ask_and_tell_again(connection: Connection, ledger: Ledger, token: str) -> None:
    """Repeat `ask_and_tell`: events that were accepted must be duplicates now; all others are accepted."""
    await ask_again(connection, ledger, token)
    reply = await connection.tell(token, "once")
    if token in ledger.told and reply.body != b'{"accepted":0,"duplicates":2}':
        ledger.lost.append(f"events of {token}: {reply.body!r}")
    if reply.status == ACCEPTED:
        ledger.told.add(token)


async def load(
    port: int, ledger: Ledger, names: Iterator[str], stop: Callable[[], bool], clients: int = 8, act: Act = ask
) -> None:
    """Run clients that ask for one device after another until `stop`. They open a lost connection again."""

    async def client() -> None:
        while not stop():
            try:
                async with connected(port) as connection:
                    while not stop():
                        await act(connection, ledger, next(names))
            except GONE:
                await asyncio.sleep(PAUSE)

    await asyncio.gather(*(client() for _ in range(clients)))


async def ask_all(port: int, ledger: Ledger, tokens: Iterable[str], clients: int = 8, act: Act = ask_again) -> None:
    """Ask for each of these devices once."""
    left = iter(list(tokens))

    async def client() -> None:
        async with connected(port) as connection:
            for token in left:
                await act(connection, ledger, token)

    await asyncio.gather(*(client() for _ in range(clients)))


@asynccontextmanager
async def loaded(
    port: int, ledger: Ledger, names: Iterator[str], clients: int = 8, act: Act = ask
) -> AsyncIterator[None]:
    """Keep up such a load during a block."""
    finished = asyncio.Event()
    loading = asyncio.create_task(load(port, ledger, names, finished.is_set, clients, act))
    try:
        yield
    finally:
        finished.set()
        await loading


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true. Another process or thread makes it true."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def more(ledger: Ledger, devices: int) -> Callable[[], bool]:
    """A condition: this many more devices have been answered since this call."""
    enough = len(ledger.answers) + devices
    return lambda: len(ledger.answers) >= enough


def named(prefix: str) -> Iterator[str]:
    """prefix-0, prefix-1 and so on."""
    return (f"{prefix}-{number}" for number in itertools.count())
