"""Counts trips to PostgreSQL, by libpq's own trace."""

from collections.abc import Awaitable, Callable
from tempfile import TemporaryFile
from typing import Any

import psycopg

from abtest.store.postgres import PostgresStore


async def trips_and_statements(
    store: PostgresStore, work: Callable[[], Awaitable[Any]], kind: int = 0
) -> tuple[int, int]:
    """The number of trips, in each of which statements are sent and then waited for, and the number of statements.

    `kind`: of the connection; see Database.run. Before psycopg waits, it sends Flush or Sync, a message that lets the
    server send the answers that it has. Answers that came earlier, because the server is fast, cost no trip.
    """
    pool = store._pools[kind]
    with TemporaryFile("w+") as trace:
        with pool.connection() as raw:
            raw.pgconn.trace(trace.fileno())
            raw.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        await work()
        raw.pgconn.untrace()
        trace.seek(0)
        sent = [line.split()[2] for line in trace if line.startswith("F\t")]
    waits = "".join(" " if name in ("Flush", "Sync") else "B" * (name == "Bind") for name in sent).split()
    return len(waits), sum(map(len, waits))
