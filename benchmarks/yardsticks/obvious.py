"""Yardstick (b), the obvious implementation: a handler, aiosqlite, SELECTs per request, one commit per new device.

It is durable (WAL, synchronous=FULL) and sticky, but draws at random, so its shares are not exact.
"""

import asyncio
import random
import sys
from pathlib import Path
from sqlite3 import Row

import aiosqlite
import pysqlite3
from tornado.web import Application, RequestHandler

SCHEMA = """
CREATE TABLE device (id INTEGER PRIMARY KEY, token TEXT UNIQUE);
CREATE TABLE experiment (id INTEGER PRIMARY KEY, key TEXT UNIQUE);
CREATE TABLE option (id INTEGER PRIMARY KEY, experiment_id INTEGER, value TEXT, weight REAL);
CREATE TABLE assignment (device_id INTEGER, experiment_id INTEGER, option_id INTEGER,
                         PRIMARY KEY (device_id, experiment_id)) WITHOUT ROWID;
INSERT INTO experiment VALUES (1, 'button_color'), (2, 'price');
INSERT INTO option (experiment_id, value, weight) VALUES (1, '#FF0000', 33.3), (1, '#00FF00', 33.3),
  (1, '#0000FF', 33.3), (2, '10', 75), (2, '20', 10), (2, '50', 5), (2, '5', 10);
"""

DEVICE = "SELECT id FROM device WHERE token = ?"

ANSWER = """
SELECT experiment.key, option.value FROM assignment
JOIN experiment ON experiment.id = assignment.experiment_id JOIN option ON option.id = assignment.option_id
WHERE assignment.device_id = ?
"""


class Experiments(RequestHandler):
    """Look the device up; draw and commit if it is new; read its answer."""

    def initialize(self, database: aiosqlite.Connection, lock: asyncio.Lock) -> None:
        self.database = database
        self.lock = lock

    async def get(self) -> None:
        token = self.request.headers["Device-Token"]
        row = await self.one(DEVICE, token)
        device = row[0] if row else await self.enrol(token)
        cursor = await self.database.execute(ANSWER, (device,))
        self.write({key: value for key, value in await cursor.fetchall()})  # noqa: C416  # a Row is no pair to mypy

    async def enrol(self, token: str) -> int:
        """Draw a variant of every experiment for a new device, in one transaction."""
        async with self.lock:
            await self.database.execute("BEGIN IMMEDIATE")
            cursor = await self.database.execute(
                "INSERT INTO device (token) VALUES (?) ON CONFLICT DO NOTHING", (token,)
            )
            if not cursor.rowcount:  # the same device asked twice at once, as happens at the end of a load
                await self.database.commit()
                row = await self.one(DEVICE, token)
                assert row is not None
                return int(row[0])
            device = cursor.lastrowid
            assert device is not None
            for (experiment,) in await self.database.execute_fetchall("SELECT id FROM experiment"):
                options = await self.database.execute_fetchall(
                    "SELECT id, weight FROM option WHERE experiment_id = ?", (experiment,)
                )
                (option,) = random.choices([row[0] for row in options], [row[1] for row in options])
                await self.database.execute("INSERT INTO assignment VALUES (?, ?, ?)", (device, experiment, option))
            await self.database.commit()
        return device

    async def one(self, query: str, *arguments: object) -> Row | None:
        cursor = await self.database.execute(query, arguments)
        return await cursor.fetchone()


async def main(port: int, path: Path) -> None:
    """Serve until killed."""
    database = aiosqlite.Connection(lambda: pysqlite3.connect(str(path), isolation_level=None), 64)
    await database
    await database.execute("PRAGMA journal_mode=WAL")
    await database.execute("PRAGMA synchronous=FULL")
    await database.executescript(SCHEMA)
    needs = {"database": database, "lock": asyncio.Lock()}
    application = Application([("/api/v1/experiments", Experiments, needs)], log_function=lambda handler: None)
    application.listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
