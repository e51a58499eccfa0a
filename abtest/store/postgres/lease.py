"""Which one of many workers folds: a lock of a session of its own, which ends with the connection."""

from collections.abc import Callable
from contextlib import suppress

import psycopg

from abtest.store.postgres.connection import connect, in_time

# A session that has it gets it again.
TAKE = "SELECT pg_try_advisory_lock(x'61627473'::INTEGER, 1)"

# The server notices the end of a connection a moment later.
GIVE = "SELECT pg_advisory_unlock_all()"

# A worker whose machine is gone says no good-bye: the server asks, and gives the lease to another one.
NOTICE = "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 2"


class Lease:
    """The lease, or a session that waits for it."""

    def __init__(self, find: Callable[[], str]) -> None:
        """`find`: the URL of the server that can be written to now."""
        self._find = find
        self._session: psycopg.Connection | None = None

    def take(self) -> bool:
        """Whether it has the lease: one that was lost with its connection is asked for anew. Raises psycopg.Error."""
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
        """Let another one have it."""
        if self._session is not None:
            with suppress(psycopg.Error), in_time(self._session):
                self._session.execute(GIVE)
            self._session.close()
            self._session = None
