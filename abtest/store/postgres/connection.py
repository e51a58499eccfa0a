"""Connections to PostgreSQL: which are refused, what is set on each, and how parameters are written in statements."""

import os
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from threading import Timer
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import RawCursor, RawServerCursor

from abtest.errors import InvalidSetting, StorageError

OLDEST = 14

ENCODING = "UTF8"

AT_ONCE = 20_000
"""How many rows of a stream are in memory together."""

ANSWER_SECONDS = 3.0
"""How long a server may take to say what it is, once it is connected."""

WEAK = {"fsync": ("off",), "full_page_writes": ("off",), "synchronous_commit": ("off", "local", "remote_write")}
"""Values of settings with which an answer that was given can be lost."""

PARAMETERS = {
    "target_session_attrs": "primary",
    "connect_timeout": 3,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 5_000,
    "application_name": "abtest",
}

# A connection may be idle for ever, and lists may contain NULL.
SESSION = "SET idle_session_timeout = 0; SET array_nulls = on"

SETTINGS = "SELECT current_setting(name) FROM unnest($1::TEXT[]) WITH ORDINALITY AS asked (name, n) ORDER BY n"


class Written(Struct, frozen=True):
    """A row that was written: its number, and the time in it; 0 before there is one."""

    id: int = 0
    at: int = 0


class Connection:
    """Runs statements whose parameters are written as ? or ?1.

    `device`, `event`: the newest row of each that was written.
    """

    def __init__(self, raw: psycopg.Connection) -> None:
        self.raw = raw
        self.device = self.event = Written()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """Run a statement."""
        return self.raw.execute(_numbered(statement), parameters)

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> psycopg.Cursor[Any]:
        """Run a statement once for each of these rows of parameters, in one trip."""
        cursor, all_of_them = self.raw.cursor(), list(parameters)
        if all_of_them:
            cursor.executemany(_numbered(statement), all_of_them)
        return cursor

    def stream(self, statement: str) -> Iterator[Any]:
        """The rows of a statement, however many there are, in bounded memory."""
        with RawServerCursor(self.raw, "stream") as cursor:
            cursor.itersize = AT_ONCE
            yield from cursor.execute(_numbered(statement))


@lru_cache(maxsize=500)
def _numbered(statement: str) -> bytes:
    """The statement with parameters as PostgreSQL writes them: $1."""
    seen = 0

    def number(found: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        return f"${found[1] or seen}"

    return re.sub(r"\?(\d*)", number, statement).encode()


def check_url(url: str) -> None:
    """Raises InvalidSetting if the password may stand in another part of the URL, which error messages would show."""
    try:
        said = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        said = {"host": "@"}  # its message quotes a part of the URL
    ports = str(said.get("port") or "").replace(",", "")
    if "@" in f"{said.get('host')}{said.get('dbname')}" or not (ports.isdecimal() or not ports):
        raise InvalidSetting(
            "database: can't be read as postgresql://USER:PASSWORD@HOST:PORT/NAME; in its parts, characters such as "
            "@, :, /, ? and % are written as %40, %3A, %2F, %3F and %25"
        )


def cut(raw: psycopg.Connection) -> None:
    """End whatever another thread waits for on this connection: that thread gets psycopg.OperationalError."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(raw.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


@contextmanager
def in_time(raw: psycopg.Connection) -> Iterator[None]:
    """Cut the connection if a block takes longer than ANSWER_SECONDS: a server that hangs never answers."""
    timer = Timer(ANSWER_SECONDS, cut, (raw,))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def connect(url: str) -> psycopg.Connection:
    """A connection, outside any transaction, to a server that can't lose answers. Raises StorageError."""
    raw = psycopg.connect(url, autocommit=True, cursor_factory=RawCursor, **defaults(url))
    try:
        with in_time(raw):
            refuse_unfit(raw)
    except BaseException:
        raw.close()
        raise
    return raw


def defaults(url: str) -> dict[str, Any]:
    """The parameters that the URL leaves out, and the encoding of all texts, whatever is set elsewhere."""
    said = psycopg.conninfo.conninfo_to_dict(url)
    return {name: value for name, value in PARAMETERS.items() if name not in said} | {"client_encoding": ENCODING}


def refuse_unfit(raw: psycopg.Connection) -> None:
    """Raises StorageError for a server that is too old, that could lose an answer, or that can't hold every text."""
    if raw.info.server_version < OLDEST * 10_000:
        found = raw.info.parameter_status("server_version")
        raise StorageError(f"this is PostgreSQL {found}, but abtest needs {OLDEST} or newer", code="unfit_postgres")
    if (encoding := raw.info.parameter_status("server_encoding")) != ENCODING:
        raise StorageError(
            f"the database has the encoding {encoding}, which can't hold every text: make one with {ENCODING}",
            code="unfit_postgres",
        )
    values = [value for (value,) in raw.execute(SETTINGS, (list(WEAK),))]
    for (name, weak), value in zip(WEAK.items(), values, strict=True):
        if value in weak:
            raise StorageError(
                f"PostgreSQL runs with {name}={value}, which can lose answers that were given: set it to on",
                code="unfit_postgres",
            )
    # What is set here stays even if the server's configuration changes.
    raw.execute(f"SET synchronous_commit = {values[-1]}; {SESSION}".encode())
