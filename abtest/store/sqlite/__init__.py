"""The store in one SQLite file, its migrations, and its backups."""

from abtest.store.sqlite import migrations, recovery
from abtest.store.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore", "migrations", "recovery"]
