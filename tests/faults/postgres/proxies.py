"""A network between servers and PostgreSQL that delays, cuts, and goes silent."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from tests.postgres import Server

COMMITTED = b"C\0\0\0\x0bCOMMIT\0"
"""What PostgreSQL answers when a transaction is durable."""
NEW_DEVICES = b'"token":'
"""What a server process sends with the rows of new devices; their commit follows at once."""


def asked_something(data: bytes, to_server: bool) -> bool:
    """Whether a server process sends this, and chance picks it."""
    return to_server and random.random() < 0.5


def asked_to_store(data: bytes, to_server: bool) -> bool:
    """Whether a server process sends this to store new devices."""
    return to_server and NEW_DEVICES in data


def committed(data: bytes, to_server: bool) -> bool:
    """Whether PostgreSQL answers with this that a transaction is durable."""
    return not to_server and COMMITTED in data


class Proxy:
    """Forwards connections to the socket of a PostgreSQL server.

    `delay`: how many seconds everything takes, each way. `silent`: nothing passes, and nobody is told. `cut`: how
    many connections were cut.
    """

    def __init__(self, server: Server) -> None:
        self.to = str(server.folder / ".s.PGSQL.5432")
        self.delay = 0.0
        self.silent = False
        self.cut = 0
        self._cutting: Callable[[bytes, bool], bool] | None = None

    def cuts(self, what: Callable[[bytes, bool], bool]) -> Callable[[], bool]:
        """Cut a connection before the next data for which `what` is true arrives; returns a condition: it was cut."""
        before = self.cut
        self._cutting = what
        return lambda: self.cut > before

    async def serve(self, host: str) -> asyncio.Server:
        """Begin to listen on a free port."""
        self._listening = await asyncio.start_server(self._connected, host, 0)
        self.host, self.port = self._listening.sockets[0].getsockname()
        return self._listening

    @property
    def url(self) -> str:
        """The URL of the database behind this proxy."""
        return f"postgresql://postgres@{self.host}:{self.port}/postgres"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while self.silent:  # noqa: ASYNC110  # set by another thread
                await asyncio.sleep(0.01)
            far_reader, far_writer = await asyncio.open_unix_connection(self.to)
            try:
                await self._both_ways(reader, writer, far_reader, far_writer)
            finally:
                far_writer.transport.abort()
        except OSError:
            pass  # the server is not there
        finally:
            writer.transport.abort()

    async def _both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        tasks = [
            asyncio.create_task(self._forward(reader, far_writer, to_server=True)),
            asyncio.create_task(self._forward(far_reader, writer, to_server=False)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_server: bool) -> None:
        loop = asyncio.get_running_loop()
        on_the_way = asyncio.Queue[tuple[float, bytes]]()

        async def receive() -> None:
            while data := await reader.read(65536):
                on_the_way.put_nowait((loop.time() + self.delay, data))
            on_the_way.put_nowait((loop.time() + self.delay, b""))

        receiving = asyncio.create_task(receive())
        try:
            while True:
                due, data = await on_the_way.get()
                await asyncio.sleep(max(0, due - loop.time()))
                while self.silent:  # noqa: ASYNC110  # set by another thread
                    await asyncio.sleep(0.01)
                if not data or self._cuts(data, to_server):
                    return
                writer.write(data)
                await writer.drain()
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await receiving

    def _cuts(self, data: bytes, to_server: bool) -> bool:
        """Whether to cut the connection before this data."""
        if self._cutting is None or not self._cutting(data, to_server):
            return False
        self._cutting = None
        self.cut += 1
        return True


@contextmanager
def proxied(server: Server, host: str = "127.0.0.1") -> Iterator[Proxy]:
    """A proxy in its own thread, until the end of the block."""
    loop, proxy = asyncio.new_event_loop(), Proxy(server)
    listening = loop.run_until_complete(proxy.serve(host))
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(_end(listening))
        loop.close()


async def _end(listening: asyncio.Server) -> None:
    """Close every connection."""
    listening.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # so that aborted connections are closed
