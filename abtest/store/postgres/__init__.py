"""The store in a PostgreSQL database, and its migrations. Not all of it is there, and no command offers it."""

from abtest.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
