"""Reading all rows from SQLite, for files."""

from abtest.store.sqlite.exporting.rows import extent, rows
from abtest.store.sqlite.exporting.tokens import tokens

__all__ = ["extent", "rows", "tokens"]
