"""The connections of a server process: counting them, closing slow ones, and answering the last when it stops."""

import asyncio

from tornado.http1connection import HTTP1ServerConnection as ServerConnection

TICKS = 16
"""The ticks in the shorter time-out. Connections are checked once per tick: timers for each request cost too much."""
LAST_CALL_SECONDS = 0.25
"""How long a silent connection may still send a request after the server was asked to stop."""


class Connections:
    """Counts connections, and closes those that take too long to send a request or to receive an answer."""

    def __init__(self, most: int, idle_timeout: float, body_timeout: float) -> None:
        """`most`: connections at the same time. `idle_timeout`: seconds in which a client must send the headers of a
        request, or receive an answer. `body_timeout`: seconds in which it must send the body after the headers."""
        self.most = most
        self.open = 0
        self.draining = False
        self.answering: dict[ServerConnection, int] = {}
        self._reading: dict[ServerConnection, int] = {}
        self._answered = asyncio.Event()
        self._tick_seconds = min(idle_timeout, body_timeout) / TICKS
        self._idle_ticks = idle_timeout / self._tick_seconds
        self._body_ticks = body_timeout / self._tick_seconds
        self._tick = 0
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to close late connections."""
        self._sweeping = asyncio.create_task(self._sweep())

    def full(self) -> bool:
        """Whether one more connection is too many; if not, count it."""
        if self.open >= self.most:
            return True
        self.open += 1
        return False

    def reads(self, connection: ServerConnection) -> None:
        """The connection is new or was answered, and waits for a request."""
        self._reading[connection] = self._tick
        if self.answering.pop(connection, None) is not None and self.draining:
            self._answered.set()

    def answers(self, connection: ServerConnection) -> None:
        """The headers of the connection's request are there."""
        del self._reading[connection]
        self.answering[connection] = self._tick

    def goes_on(self, connection: ServerConnection) -> None:
        """The client took a part of a long answer: the time for the next part begins."""
        if connection in self.answering:
            self.answering[connection] = self._tick

    def closed(self, connection: ServerConnection) -> None:
        """The connection ended."""
        self.open -= 1
        self._reading.pop(connection, None)
        self.answering.pop(connection, None)
        self._answered.set()

    async def last_call(self) -> None:
        """Make each further answer the last of its connection, and give silent connections some time to ask."""
        self.draining = True
        if self.open:
            await asyncio.sleep(LAST_CALL_SECONDS)
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def all_answered(self) -> None:
        """Returns when every request whose headers have arrived is answered."""
        while self.answering:
            self._answered.clear()
            await self._answered.wait()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._tick_seconds)
            self._tick += 1
            idle = self._tick - self._idle_ticks
            late = [connection for connection, since in self._reading.items() if since < idle]
            for connection, since in self.answering.items():
                body_is_late = since < self._tick - self._body_ticks and connection.stream.reading()
                if body_is_late or (since < idle and connection.stream.writing()):
                    late.append(connection)
            for connection in late:
                connection.stream.close()
