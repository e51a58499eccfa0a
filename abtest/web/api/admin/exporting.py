"""Devices, assignments and events as files, however large they are."""

import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from enum import StrEnum
from typing import TypeVar

from tornado.http1connection import HTTP1Connection
from tornado.iostream import IOStream, StreamClosedError

from abtest.domain import parse_since
from abtest.errors import InvalidField, Unavailable
from abtest.export import Asked, ExportService, Format
from abtest.store import Table
from abtest.web.api.admin.base import AdminHandler
from abtest.web.services import Changing

CONTENT_TYPES = {
    Format.CSV: "text/csv; charset=UTF-8",
    Format.JSONL: "application/jsonl; charset=UTF-8",
    Format.PARQUET: "application/vnd.apache.parquet",
}
MOST_EXPORTS = 4
"""At the same time in a process: apps wait while a piece is read, and a file with tokens needs a temporary one."""
PARAMETERS = ("format", "since", "tokens")
RESET, PLAIN_CLOSE = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)
"""What happens to a connection that is closed: SO_LINGER in socket(7)."""

E = TypeVar("E", bound=StrEnum)

log = logging.getLogger("abtest.web")


class Switch(StrEnum):
    """What can be asked for, or not."""

    YES = "yes"
    NO = "no"


class Running:
    """The exports that a process has under way."""

    def __init__(self) -> None:
        self._number = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one within a block. Raises Unavailable if there are MOST_EXPORTS already."""
        if self._number >= MOST_EXPORTS:
            raise Unavailable("too many exports are under way; try again when one is done", code="too_many_exports")
        self._number += 1
        try:
            yield
        finally:
            self._number -= 1


class Export(AdminHandler):
    """All rows of a table. The next piece is read once the client has taken the one before."""

    def initialize(self, exports: Changing[ExportService], running: Running, table: Table) -> None:
        self._exports = exports
        self._running = running
        self._table = table

    async def get(self) -> None:
        asked = self._asked()
        with self._running.one_more():
            await self._send(asked)

    head = get

    async def _send(self, asked: Asked) -> None:
        exports = self._exports(self.app, by=self.caller.by)
        async with aclosing(await exports.begin(asked)) as pieces:
            self.set_header("Content-Type", CONTENT_TYPES[asked.format])
            self.set_header("Content-Disposition", f'attachment; filename="{self._table}.{asked.format}"')
            self.set_header("Cache-Control", "private, no-store")
            if self.request.method == "HEAD":
                return
            self.write(await anext(pieces))
            connection = self.request.connection
            assert isinstance(connection, HTTP1Connection)
            # Else a file that is cut off would look complete to a client of HTTP/1.0, for which a close is the end.
            _close_by(RESET, connection.stream)
            try:
                await self.flush()
                async for piece in pieces:
                    self.write(piece)
                    await self.flush()
                    self.settings["goes_on"](self.request.server_connection)
            except StreamClosedError:
                return  # the client has left
            except BaseException as error:
                log.error("an export of %s was cut off: %s", self._table, error or type(error).__name__)
                connection.stream.close()  # else Tornado would write an end, as if all were there
                raise
            _close_by(PLAIN_CLOSE, connection.stream)

    def _asked(self) -> Asked:
        """What the query asks for. Raises InvalidField."""
        for name, given in self.request.query_arguments.items():
            if name not in PARAMETERS:
                raise InvalidField(f"is unknown; the parameters are {', '.join(PARAMETERS)}", field=name[:64])
            if len(given) > 1:
                raise InvalidField("must be given once", field=name)
        since = self.get_query_argument("since", None)
        return Asked(
            table=self._table,
            format=self._chosen("format", Format.CSV),
            since=0 if since is None else parse_since(since),
            tokens=self._chosen("tokens", Switch.NO) is Switch.YES,
        )

    def _chosen(self, name: str, default: E) -> E:
        choices = type(default)
        try:
            return choices(self.get_query_argument(name, default))
        except ValueError:
            raise InvalidField(f"must be {' or '.join(choices)}", field=name) from None


def _close_by(way: bytes, stream: IOStream) -> None:
    if not stream.closed():
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, way)
