"""Writes all rows of an app as a file."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from abtest import clock
from abtest.domain import DEFAULT_APP, By
from abtest.errors import InvalidSetting
from abtest.export.texts import Csv, Jsonl
from abtest.store import COLUMNS, TOKEN, Column, ExportStore, Extent, Row, Table, Tokens

CHUNK = 200
"""How many devices or events are read at once: few, because apps that ask the same process wait meanwhile."""


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Asked(Struct, frozen=True):
    """What is to be exported.

    `since`: only rows that were stored since this time, in milliseconds since 1970-01-01 UTC. `tokens`: each device's
    token stands beside its number.
    """

    table: Table
    format: Format = Format.CSV
    since: int = 0
    tokens: bool = False


class Writer(Protocol):
    """Turns rows into the bytes of a file."""

    def begin(self) -> bytes:
        """The bytes before the rows."""
        ...

    def rows(self, rows: Sequence[Row]) -> bytes:
        """The bytes of these rows, or of rows given earlier; the others come later."""
        ...

    def end(self) -> bytes:
        """The bytes of rows that are still missing, and those after the rows."""
        ...


class ExportService:
    """Reads an app's rows in short pieces, and gives the file in pieces as short.

    If tokens are exported, the journal says by whom before the first piece.
    """

    def __init__(self, store: ExportStore, app: str = DEFAULT_APP, *, by: By) -> None:
        self._store = store
        self._app = app
        self._by = by

    async def begin(
        self, asked: Asked, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> AsyncGenerator[bytes]:
        """The file, piece by piece, with all rows that there are now. If you stop before its end, close it.

        `progress` gets how much is done, and how much there is. Raises UnknownApp, or InvalidSetting when the package
        for the format is missing; both before the first piece.
        """
        extent = await self._store.extent(self._app)
        number, *others = COLUMNS[asked.table]
        return self._pieces(
            asked, extent, _writer(asked.format, [number, *[TOKEN] * asked.tokens, *others]), progress
        )

    async def _pieces(
        self, asked: Asked, extent: Extent, writer: Writer, progress: Callable[[int, int], None]
    ) -> AsyncGenerator[bytes]:
        last = extent.last(asked.table)
        async with self._tokens(asked, extent) as tokens:
            yield writer.begin()
            for after in range(0, last, CHUNK):
                upto = min(after + CHUNK, last)
                rows = await self._store.rows(asked.table, extent.app, asked.since, after, upto)
                if tokens is not None:
                    rows = await _with_tokens(rows, tokens)
                yield await asyncio.to_thread(writer.rows, rows)
                progress(upto, last)
            yield await asyncio.to_thread(writer.end)

    @asynccontextmanager
    async def _tokens(self, asked: Asked, extent: Extent) -> AsyncIterator[Tokens | None]:
        if asked.tokens:
            await self._store.note_export(asked.table, asked.since, clock.now(), self._app, self._by)
            async with self._store.tokens(extent.app) as tokens:
                yield tokens
        else:
            yield None


async def _with_tokens(rows: Sequence[Row], tokens: Tokens) -> Sequence[Row]:
    known = await tokens.of({row[0] for row in rows})
    return [(device, known.get(device), *others) for device, *others in rows]


def _writer(format: Format, columns: Sequence[Column]) -> Writer:
    """Raises InvalidSetting."""
    if format is not Format.PARQUET:
        return (Csv if format is Format.CSV else Jsonl)(columns)
    try:
        from abtest.export.parquet import Parquet  # noqa: PLC0415  # its package is large, and may be missing
    except ImportError:
        raise InvalidSetting(
            "parquet needs pyarrow, which is missing here: pip install pyarrow", field="format"
        ) from None
    return Parquet(columns)
