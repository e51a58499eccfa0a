"""Rows as text: CSV and JSON lines."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from abtest import clock
from abtest.language import csv_lines, harmless
from abtest.store import Column, Holds, Row

DECIMALS = 4


def exact(units: int) -> str:
    """An amount in units of 1/10000 as a decimal text: 9.99."""
    return f"{Decimal(units).scaleb(-DECIMALS).normalize():f}"


def truth(flag: int) -> str:
    """A flag as a text."""
    return "true" if flag else "false"


class Text:
    """What CSV and JSON lines have in common: rows are written one by one, and nothing follows them.

    `written`: how a value is written, for columns where it is not written as it is.
    """

    written: ClassVar[Mapping[Holds, Callable[[Any], Any]]]

    def __init__(self, columns: Sequence[Column]) -> None:
        self.names = [column.name for column in columns]
        self._written = [self.written.get(column.holds, lambda cell: cell) for column in columns]

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def cells(self, row: Row) -> list[Any]:
        """A row as it is written."""
        return [None if cell is None else write(cell) for write, cell in zip(self._written, row, strict=True)]


class Csv(Text):
    """CSV as in RFC 4180: in UTF-8, with the names in the first line. What is missing is an empty field."""

    written: ClassVar = {Holds.TEXT: harmless, Holds.TIME: clock.exact_iso, Holds.AMOUNT: exact, Holds.FLAG: truth}

    def begin(self) -> bytes:
        """The line with the names of the columns."""
        return csv_lines([self.names]).encode()

    def rows(self, rows: Sequence[Row]) -> bytes:
        """A line for each of them."""
        return csv_lines(map(self.cells, rows)).encode()


class Jsonl(Text):
    """A JSON object a line. What is missing is null; an amount is a text, which no reader turns into a float."""

    written: ClassVar = {Holds.TIME: clock.exact_iso, Holds.AMOUNT: exact, Holds.FLAG: bool}

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def rows(self, rows: Sequence[Row]) -> bytes:
        """A line for each of them."""
        objects = [dict(zip(self.names, self.cells(row), strict=True)) for row in rows]
        return msgspec.json.Encoder().encode_lines(objects)
