"""How often PostgreSQL is asked, as libpq's own trace says."""

from collections.abc import Awaitable, Callable
from itertools import groupby
from operator import itemgetter
from tempfile import TemporaryFile
from typing import Any

import psycopg

from abtest.store.postgres import PostgresStore


async def trips_and_statements(
    store: PostgresStore, work: Callable[[], Awaitable[Any]], kind: int = 0
) -> tuple[int, int]:
    """How often statements were sent and then waited for, and how many, as libpq's own trace says.

    `kind`: of the connection, see Database.run. While a long answer arrives, psycopg may ask for the rest of it,
    which is under way: that is no trip.
    """
    pool = store._pools[kind]
    with TemporaryFile("w+") as trace:
        with pool.connection() as raw:
            raw.pgconn.trace(trace.fileno())
            raw.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        await work()
        raw.pgconn.untrace()
        trace.seek(0)
        messages = [line.split() for line in trace if line.startswith(("F\t", "B\t"))]
    sent = [list(run) for direction, run in groupby(messages, key=itemgetter(0)) if direction == "F"]
    statements = [sum(message[2] == "Bind" for message in run) for run in sent]
    return len([number for number in statements if number]), sum(statements)
