"""The store in a PostgreSQL database, and its migrations."""

from abtest.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
