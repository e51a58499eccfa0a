"""`python -m tests.faults.broken DEFECT ...`: the product with one defect, which the test of a fault must notice."""

import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from msgspec import structs

from abtest import clock
from abtest.commands import main
from abtest.domain import devices
from abtest.store.postgres import connection as postgres_connection
from abtest.store.postgres import database as postgres_database
from abtest.store.postgres import enrolling as postgres_enrolling
from abtest.store.postgres.primary import Primary
from abtest.store.relational.cataloguing import change_rows
from abtest.store.relational.enrolling import catalogue
from abtest.store.sqlite import database, driver, enrolling, migrations
from abtest.store.sqlite.enrolling import requests
from abtest.store.sqlite.store import SQLiteStore
from abtest.web import server
from abtest.web.api import handlers as api

COMMIT_EVERY = 40


def syncs_seldom() -> None:
    """synchronous=NORMAL: checkpoints are synced, commits are not."""
    driver.PRAGMAS["synchronous"] = 1


def syncs_never() -> None:
    """synchronous=OFF: nothing is synced."""
    driver.PRAGMAS["synchronous"] = 0


def boots_without_commit() -> None:
    """Devices are answered from transactions that were read back after a kill -9 and never synced."""

    async def boot(store: SQLiteStore) -> None:
        """Nothing."""

    SQLiteStore.boot = boot  # type: ignore[assignment]  # the defect


def commits_late() -> None:
    """Answers leave before their transaction is committed."""
    transactions = 0
    whole = database._in_transaction

    def in_transaction(
        connection: Any, begin: str, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        nonlocal transactions
        if begin == "BEGIN":
            return whole(connection, begin, function, arguments, named)
        if not connection.in_transaction:
            connection.execute(begin)
        result = function(connection, *arguments, **named)
        transactions += 1
        if transactions % COMMIT_EVERY == 0:
            connection.execute("COMMIT")
        return result

    database._in_transaction = in_transaction


def draws_anew() -> None:
    """Every process answers with a draw of its own, while something else is stored."""
    for store in (enrolling, postgres_enrolling):
        store.enrol = _drawing_anew(store.enrol)  # type: ignore[attr-defined]  # the defect


def _drawing_anew(stored: Callable[..., Any]) -> Callable[..., Any]:
    def enrol(*asked: Any) -> Any:
        catalogue, enrolment, profiles = stored(*asked)
        variants = {token: tuple(sorted(random.sample(sorted(enrolment.values), 2))) for token in enrolment.variants}
        return catalogue, structs.replace(enrolment, variants=variants), profiles

    return enrol


def knows_no_change() -> None:
    """The experiments are read once and never again."""
    fresh, read = catalogue.current, postgres_enrolling.read_catalogue  # type: ignore[attr-defined]

    def current(connection: Any, known: catalogue.Catalogue) -> catalogue.Catalogue:
        return known if known.config_version else fresh(connection, known)

    requests.current = current  # type: ignore[attr-defined, assignment]  # the defect
    once: list[catalogue.Catalogue] = []

    def read_catalogue(connection: Any, version: int) -> catalogue.Catalogue:
        once.extend([] if once else [read(connection, version)])
        return once[0]

    postgres_enrolling.read_catalogue = read_catalogue  # type: ignore[attr-defined]  # the defect


def compares_clocks() -> None:
    """Devices are enrolled only in experiments that were created before the start by the server's own clock."""
    catalogue.TAKING = catalogue.TAKING.replace(
        "WHERE experiment.status", f"WHERE experiment.created_at <= {clock.now()} AND experiment.status"
    )


def migrates_in_parts() -> None:
    """A migration is not one transaction."""
    add_a_migration()

    def apply(connection: Any, together: Sequence[tuple[int, str]]) -> None:
        for number, sql in together:
            connection.executescript(f"{sql}\nPRAGMA user_version = {number};")

    migrations._apply = apply


def add_a_migration() -> None:
    """A program that is one version newer: no defect."""
    before = migrations.files()
    sql = "".join(
        f"CREATE TABLE later_{number} (id INTEGER PRIMARY KEY, token TEXT) STRICT;\n"
        f"INSERT INTO later_{number} (token) SELECT token FROM device_token;\n"
        for number in range(4)
    )
    migrations.files = lambda: [*before, (before[-1][0] + 1, sql)]


def answers_otherwise() -> None:
    """The statistics have a field that is not in the specification."""

    async def get(handler: Any) -> None:
        handler.write({"surprise": 1})

    api.Stats.get = get  # type: ignore[assignment]  # the defect


def takes_any_token() -> None:
    """Anything is accepted as a token."""
    devices.TOKEN = re.compile(r"[\s\S]*")


def ignores_failed_commits() -> None:
    """Answers are sent although their commit failed."""

    def in_transaction(
        connection: Any, begin: str, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        connection.execute(begin)
        try:
            result = function(connection, *arguments, **named)
        except BaseException:
            database._roll_back(connection)
            raise
        try:
            connection.execute("COMMIT")
        except driver.fixed_driver().Error:
            database._roll_back(connection)
        return result

    database._in_transaction = in_transaction
    pipeline = psycopg.Connection.pipeline

    @contextmanager
    def ignoring(connection: Any) -> Iterator[None]:
        with suppress(psycopg.Error), pipeline(connection):
            yield

    psycopg.Connection.pipeline = ignoring  # type: ignore[assignment, method-assign]  # the defect


def accepts_any_settings() -> None:
    """A PostgreSQL is accepted that acknowledges commits before they are durable."""
    for module in (postgres_connection, postgres_database):
        module.refuse_unfit = lambda raw: None  # type: ignore[attr-defined]  # the defect


def ignores_losses() -> None:
    """Servers don't notice that a new primary lacks answers."""
    Primary._look_for_losses = lambda *asked: None  # type: ignore[method-assign]  # the defect


def never_checkpoints() -> None:
    """The log is never written back into the database."""
    driver.PRAGMAS["wal_autocheckpoint"] = 0


def reads_slowly() -> None:
    """Reading from a connection takes longer, the more connections there are."""
    read = server.Stream.read_from_fd
    streams: set[int] = set()

    def read_from_fd(stream: server.Stream, buffer: Any) -> Any:
        streams.add(stream.socket.fileno())
        time.sleep(1e-7 * len(streams))
        return read(stream, buffer)

    server.Stream.read_from_fd = read_from_fd  # type: ignore[assignment]  # the defect


def records_apart() -> None:
    """An entry of the journal has its own transaction, after the transaction of the change."""
    record = change_rows.record  # type: ignore[attr-defined]  # it is imported there, and used under that name

    def apart(connection: Any, *entry: Any, **named: Any) -> None:
        connection.execute("COMMIT")
        time.sleep(0.05)
        connection.execute("BEGIN IMMEDIATE")
        record(connection, *entry, **named)

    change_rows.record = apart  # type: ignore[attr-defined]  # the defect


DEFECTS = {
    function.__name__.replace("_", "-"): function
    for function in (
        syncs_seldom,
        syncs_never,
        boots_without_commit,
        commits_late,
        draws_anew,
        knows_no_change,
        compares_clocks,
        migrates_in_parts,
        add_a_migration,
        answers_otherwise,
        takes_any_token,
        ignores_failed_commits,
        accepts_any_settings,
        ignores_losses,
        never_checkpoints,
        reads_slowly,
        records_apart,
    )
}

if __name__ == "__main__":
    DEFECTS[sys.argv.pop(1)]()
    sys.argv[0] = "abtest"
    main()
