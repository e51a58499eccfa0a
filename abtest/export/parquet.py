"""Rows as Parquet. Importing this module loads pyarrow, which is large: import it only when it is needed."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow
from pyarrow import parquet

from abtest.export.texts import DECIMALS
from abtest.store import Column, Holds, Row

ROW_GROUP = 50_000
"""Rows that are in memory at the same time."""
TYPES = {
    Holds.NUMBER: pyarrow.int64(),
    Holds.TEXT: pyarrow.string(),
    Holds.TIME: pyarrow.timestamp("ms", tz="UTC"),
    Holds.AMOUNT: pyarrow.decimal128(16, DECIMALS),
    Holds.FLAG: pyarrow.bool_(),
}
VALUES: Mapping[Holds, Callable[[Any], Any]] = {
    Holds.AMOUNT: lambda units: Decimal(units).scaleb(-DECIMALS),
    Holds.FLAG: bool,
}
"""How a stored value becomes one that pyarrow takes, for columns where the two differ."""


class Parquet:
    """A Parquet file, one row group after another."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._schema = pyarrow.schema([(column.name, TYPES[column.holds]) for column in columns])
        self._sink = Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema)
        self._batches: list[Any] = []
        self._waiting = 0

    def begin(self) -> bytes:
        """What a file begins with."""
        return self._sink.taken()

    def rows(self, rows: Sequence[Row]) -> bytes:
        """The next row group, once its rows are there."""
        if rows:
            cells = zip(self._columns, zip(*rows, strict=True), strict=True)
            arrays = [_array(column.holds, each) for column, each in cells]
            self._batches.append(pyarrow.record_batch(arrays, schema=self._schema))
            self._waiting += len(rows)
        if self._waiting >= ROW_GROUP:
            self._write()
        return self._sink.taken()

    def end(self) -> bytes:
        """The last row group, and the footer."""
        self._write()
        self._writer.close()
        return self._sink.taken()

    def _write(self) -> None:
        if self._batches:
            self._writer.write_table(pyarrow.Table.from_batches(self._batches), self._waiting)
            self._batches, self._waiting = [], 0


class Sink:
    """A file for pyarrow to write, from which the bytes are taken as they come."""

    closed = False

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._place = 0

    def write(self, data: bytes) -> int:
        """Keep these bytes until they are taken."""
        self._written.append(bytes(data))
        self._place += len(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes were written in all."""
        return self._place

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Note that pyarrow writes no more."""
        self.closed = True

    def taken(self) -> bytes:
        """What was written since this was called last."""
        taken, self._written = b"".join(self._written), []
        return taken


def _array(holds: Holds, cells: Sequence[Any]) -> Any:
    value = VALUES.get(holds)
    given = cells if value is None else [None if cell is None else value(cell) for cell in cells]
    return pyarrow.array(given, TYPES[holds])
