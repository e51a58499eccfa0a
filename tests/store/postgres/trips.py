"""How often PostgreSQL is asked, as libpq's own trace says."""

from collections.abc import Awaitable, Callable
from itertools import groupby
from operator import itemgetter
from tempfile import TemporaryFile
from typing import Any

import psycopg

from abtest.store.postgres import PostgresStore


async def trips_and_statements(store: PostgresStore, work: Callable[[], Awaitable[Any]]) -> tuple[int, int]:
    """How often libpq waited for the server, and how many statements it sent, as its own trace says."""
    pool = store._pools[0]
    with TemporaryFile("w+") as trace:
        with pool.connection() as raw:
            raw.pgconn.trace(trace.fileno())
            raw.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        await work()
        raw.pgconn.untrace()
        trace.seek(0)
        messages = [line.split() for line in trace if line.startswith(("F\t", "B\t"))]
    directions = [direction for direction, _ in groupby(messages, key=itemgetter(0))]
    return directions.count("B"), sum(message[2] == "Bind" for message in messages)
