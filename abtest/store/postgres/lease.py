"""Which one of many workers folds: the one whose own session holds a lock, which ends with its connection."""

from collections.abc import Callable
from contextlib import suppress

import psycopg

from abtest.store.postgres.connection import connect, in_time

# A session that has the lock gets it again.
TAKE = "SELECT pg_try_advisory_lock(x'61627473'::INTEGER, 1)"

# Without this, the lock is free only when the server notices that the connection has ended.
GIVE = "SELECT pg_advisory_unlock_all()"

# A worker whose machine is gone can't end its connection: so the server checks, and frees the lease.
NOTICE = "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 2"


class Lease:
    """A session that holds the lease, or waits for it."""

    def __init__(self, find: Callable[[], str]) -> None:
        """`find`: the URL of the server that can be written to now."""
        self._find = find
        self._session: psycopg.Connection | None = None

    def take(self) -> bool:
        """Take the lease if it is free, on a new connection if the old one is lost; returns whether it is held.

        Raises psycopg.Error.
        """
        try:
            if self._session is None:
                self._session = connect(self._find())
                with in_time(self._session):
                    self._session.execute(NOTICE)
            with in_time(self._session):
                ((taken,),) = self._session.execute(TAKE)
        except psycopg.Error:
            self.end()
            raise
        return bool(taken)

    def end(self) -> None:
        """Give up the lease, so that another session can take it."""
        if self._session is not None:
            with suppress(psycopg.Error), in_time(self._session):
                self._session.execute(GIVE)
            self._session.close()
            self._session = None
