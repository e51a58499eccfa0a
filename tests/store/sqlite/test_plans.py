"""Every query of the hot path, the worker and the pages uses its index, and none reads a large table as a whole."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from abtest.store import relational, sqlite
from abtest.store.relational import erasing, exporting, journal, numbers
from abtest.store.relational.admitting import (
    access_token_rows,
    account_rows,
    person_rows,
    session_rows,
    shared_link_rows,
)
from abtest.store.relational.auditing import device_rows, event_rows
from abtest.store.relational.cataloguing import app_rows, experiment_rows, schedule_rows, test_device_rows
from abtest.store.relational.enrolling import arrivals, catalogue, profiles
from abtest.store.relational.summarising import audiences, folding, measuring, reading
from abtest.store.sqlite import events, tokens
from abtest.store.sqlite.driver import open_raw
from abtest.store.sqlite.enrolling import requests, storing
from tests.scenes import opened

QUERIES = {
    "known devices": (
        requests.KNOWN,
        (json.dumps(["a"]),),
        ["device_token USING PRIMARY KEY", "assignment USING PRIMARY KEY"],
    ),
    "config version": (catalogue.CONFIG_VERSION, (), ["meta USING PRIMARY KEY"]),
    "apps": (catalogue.APPS, (), ["SCAN app"]),
    "app": (app_rows.APP, ("default",), ["app USING COVERING INDEX"]),
    "variants": (catalogue.VARIANTS, (), ["variant USING INDEX"]),
    "experiments that take devices": (catalogue.TAKING, (), ["phase USING INTEGER PRIMARY KEY"]),
    "earlier phases": (catalogue.EARLIER, (), ["phase USING INDEX"]),
    "test devices": (catalogue.TEST_DEVICES, (), ["test_value USING PRIMARY KEY"]),
    "a test device": (
        test_device_rows.TEST_DEVICE,
        ("a",),
        ["test_device USING INDEX", "device_token USING PRIMARY"],
    ),
    "its values": (test_device_rows.VALUES, (1,), ["test_value USING PRIMARY KEY"]),
    "how many have a value": (test_device_rows.TESTED, (1,), ["device_token USING PRIMARY KEY"]),
    "profiles": (storing.PROFILES.find, ("[]",), ["profile USING COVERING INDEX"]),
    "profiles of each app": (profiles.THERE, (), ["SCAN app"]),
    "last profile": (profiles.LAST, (), ["SEARCH profile"]),
    "count profiles": (profiles.COUNT, (1, 1, 1), ["app USING INTEGER PRIMARY KEY"]),
    "first device from one on": (arrivals.FIRST_SEEN, (1,), ["device USING INTEGER PRIMARY KEY"]),
    "newest devices by profile": (arrivals.BY_PROFILE, (1,), ["device USING INTEGER PRIMARY KEY"]),
    "a device's profile": (arrivals.PROFILE_OF, (1,), ["profile USING INTEGER PRIMARY KEY"]),
    "last device": (numbers.LAST_DEVICE, (), ["SCAN sqlite_sequence"]),
    "next positions": (storing.POSITIONS, ("[1]",), ["phase USING INTEGER PRIMARY KEY"]),
    "advance": (storing.ADVANCE, (1, "[]", 1), ["phase USING INTEGER PRIMARY KEY"]),
    "last summary": (reading.SUMMARY, (), ["SCAN summary"]),
    "watermark": (folding.WATERMARK, (), ["SCAN summary"]),
    "move the watermark": (folding.MOVE, (1, 1), ["SCAN summary"]),
    "restored": (reading.RESTORED, (), ["meta USING PRIMARY KEY"]),
    "counts": (
        reading.COUNTS,
        (1, "experiment"),
        ["phase USING", "summary_variant USING PRIMARY KEY", "variant USING INTEGER PRIMARY KEY"],
    ),
    "next change": (folding.NEXT_CHANGE, (1, 2), ["phase", "status_change"]),
    "audiences": (folding.AUDIENCES, (1,), ["until USING INDEX status_change_experiment"]),
    "new profiles": (folding.NEW_PROFILES, (1, 2), ["device USING INTEGER PRIMARY KEY"]),
    "profiles of a chunk": (audiences.PROFILES, [1] * audiences.AT_ONCE, ["profile USING INTEGER PRIMARY KEY"]),
    "devices outside": (reading.OUTSIDE, (), ["status_change USING INTEGER PRIMARY KEY"]),
    "devices of an app": (reading.DEVICES, (1,), ["summary_app USING INTEGER PRIMARY KEY"]),
    "winners": (reading.WINNERS, (), ["SCAN summary_winner"]),
    "new winners": (folding.NEW_WINNERS, (1, 2), ["assignment USING PRIMARY KEY"]),
    "finished": (folding.FINISHED, (), ["SCAN experiment"]),
    "all apps": (folding.APPS, (), ["app USING COVERING INDEX"]),
    "new variants": (folding.NEW_VARIANTS, (1, 2), ["assignment USING PRIMARY KEY"]),
    "phases of variants": (
        folding.PHASES,
        (1, 2, 3),
        [
            "variant USING INTEGER PRIMARY KEY",
            "until USING INDEX",
            "phase USING INTEGER PRIMARY KEY",
        ],
    ),
    "hours of a chunk": (folding.HOURS, (1, 1, 2), ["device USING INTEGER PRIMARY KEY"]),
    "new counts per hour": (
        folding.NEW_COUNTS_PER_HOUR,
        (1, 1, 2),
        ["device USING INTEGER PRIMARY KEY", "assignment USING PRIMARY KEY"],
    ),
    "enrolment over time": (reading.PER_HOUR, (1,), ["summary_hour USING PRIMARY KEY"]),
    "one experiment": (
        experiment_rows.EXPERIMENTS,
        (1, "experiment", "color", "color"),
        ["experiment USING INDEX sqlite_autoindex_experiment_2 (key>? AND key<?)"],
    ),
    "due": (
        schedule_rows.DUE,
        (1,),
        ["experiment USING INDEX experiment_start", "experiment USING INDEX experiment_end"],
    ),
    "devices to audit": (device_rows.DEVICES, (1, 2), ["device USING INTEGER PRIMARY KEY"]),
    "assignments to audit": (device_rows.ASSIGNMENTS, (1, 2), ["assignment USING PRIMARY KEY"]),
    "one device": (
        device_rows.DEVICE,
        ("a",),
        ["device_token USING PRIMARY KEY", "device USING INTEGER PRIMARY KEY"],
    ),
    "devices of events": (events.DEVICES, (json.dumps(["a"]),), ["device_token USING PRIMARY KEY"]),
    "test devices of events": (events.TEST_DEVICES, (json.dumps(["a"]),), ["test_device USING COVERING INDEX"]),
    "experiments of events": (events.KNOWN_KEYS, (json.dumps(["a"]),), ["experiment USING COVERING INDEX"]),
    "new events": (
        measuring.NEW_EVENTS,
        (1, 2),
        ["event USING INTEGER PRIMARY KEY", "metric USING INDEX metric_event", "assignment USING PRIMARY KEY"],
    ),
    "new exposures": (measuring.NEW_EXPOSURES, (1, 2), ["event USING INTEGER PRIMARY KEY"]),
    "folded events": (measuring.FOLDED_EVENTS, (1, 2, 3), ["event USING INDEX sqlite_autoindex_event_1"]),
    "folded exposures": (measuring.FOLDED_EXPOSURES, (1, 2, 3), ["event USING INDEX sqlite_autoindex_event_1"]),
    "events to erase": (
        erasing.ERASE_EVENTS,
        (1, 2),
        ["event USING INTEGER PRIMARY KEY", "event USING COVERING INDEX sqlite_autoindex_event_1"],
    ),
    "exposures to forget": (erasing.FORGET_EXPOSED, (1,), ["exposed USING PRIMARY KEY"]),
    "totals to forget": (erasing.FORGET_TOTALS, (1,), ["metric_device USING PRIMARY KEY"]),
    "what was concluded": (reading.RESULT, ("color", 1, "experiment"), ["experiment USING COVERING INDEX"]),
    "all that was concluded": (reading.RESULTS, (), ["SCAN summary_result"]),
    "new counts per day": (folding.NEW_COUNTS_PER_DAY, (1, 1, 2), ["device USING INTEGER PRIMARY KEY"]),
    "totals to audit": (event_rows.TOTALS, (1, 2), ["metric_device USING PRIMARY KEY"]),
    "exposures to audit": (event_rows.EXPOSED, (1, 2), ["exposed USING PRIMARY KEY"]),
    "devices to export": (
        exporting.DEVICES,
        (1, 2, 3, 4),
        ["device USING INTEGER PRIMARY KEY", "assignment USING PRIMARY KEY", "device_token USING PRIMARY KEY"],
    ),
    "assignments to export": (
        exporting.ASSIGNMENTS,
        (1, 2, 3, 4),
        ["device USING INTEGER PRIMARY KEY", "assignment USING PRIMARY KEY"],
    ),
    "events to export": (exporting.EVENTS, (1, 2, 3, 4), ["event USING INTEGER PRIMARY KEY"]),
    "tokens to export": (tokens.NEXT_TOKENS, ("a", 1), ["device_token USING PRIMARY KEY"]),
    "a person": (person_rows.PERSON, ("a",), ["person USING INDEX", "app USING INTEGER PRIMARY KEY"]),
    "whose link it is": (
        session_rows.LINKED,
        (b"", 1),
        ["sign_in_link USING INDEX", "person USING INTEGER PRIMARY KEY"],
    ),
    "a password": (session_rows.PASSWORD, ("a",), ["person USING INDEX"]),
    "a password to begin with": (session_rows.PERSON, ("a", "b"), ["person USING INDEX"]),
    "a session": (session_rows.SESSION, (b"", 1), ["session USING INDEX", "person USING INTEGER PRIMARY KEY"]),
    "sessions of a person": (session_rows.SESSIONS, (1, 1), ["session USING INDEX session_person"]),
    "expired sessions": (session_rows.END_EXPIRED, (1, 1), ["session USING INDEX session_person"]),
    "the oldest sessions": (session_rows.END_OLDEST, (1, 1), ["session USING INDEX session_person"]),
    "one session to end": (session_rows.END, (1, "1"), ["session USING INTEGER PRIMARY KEY"]),
    "sessions to end": (session_rows.END_OTHERS, (1, None), ["INDEX session_person"]),
    "an account": (account_rows.CONNECTED, ("a", "b"), ["account USING INDEX", "person USING INTEGER PRIMARY KEY"]),
    "the account of a person": (account_rows.SUBJECT, (1, "a"), ["account USING PRIMARY KEY"]),
    "accounts to forget": (account_rows.DISCONNECT, (1,), ["account USING PRIMARY KEY"]),
    "an access token": (access_token_rows.ACCESS_TOKEN, (b"", 1), ["access_token USING INDEX"]),
    "a shared link": (shared_link_rows.SHARED_LINK, (b"",), ["shared_link USING INDEX", "INTEGER PRIMARY KEY"]),
    "shared links of an experiment": (
        shared_link_rows.SHARED_LINKS,
        (1, "a"),
        ["shared_link USING INDEX shared_link_experiment"],
    ),
    "a shared link to revoke": (shared_link_rows.REVOKE, (1,), ["shared_link USING INTEGER PRIMARY KEY"]),
    "an access token to revoke": (access_token_rows.REVOKE, ("1",), ["access_token USING INTEGER PRIMARY KEY"]),
    "changes of an experiment": (
        journal.CHANGES,
        ("color", "default", "", 1),
        ["journal USING INDEX journal_subject"],
    ),
    "strangers": (device_rows.STRANGERS, (5,), ["SEARCH device", "SEARCH assignment"]),
}
STATEMENTS = {
    f"{module.name.rpartition('.')[2]}.{name}": text
    for room in (sqlite, relational)
    for module in walk_packages(room.__path__, f"{room.__name__}.")
    if not module.ispkg
    for name, text in vars(import_module(module.name)).items()
    if isinstance(text, str) and text.strip().startswith(("SELECT", "UPDATE", "WITH", "DELETE"))
}
SMALL = {
    "CONSTANT": "no table",
    "asked": "the tokens or keys of a batch",
    "sqlite_schema": "one row per table, index, view and trigger",
    "sqlite_sequence": "one row per table that numbers its rows",
    "summary": "one row",
    "erasing": "devices that are being forgotten at this moment",
    "app": "what people created",
    "experiment": "what people created",
    "held": "one row per holdout",
    "test_device": "what people created",
    "tested": "one row per test device",
    "person": "who signs in",
    "access_token": "what people created",
    "test_value": "what people created",
    "summary_app": "one row per app",
    "summary_winner": "one row per experiment",
    "journal": "what people did",
    "journal_end": "one row",
    "metric": "what people created",
    "phase": "what people created",
    "variant": "what people created",
    "status_change": "what people did",
    "change": "phases and statuses",
    "summary_result": "one row per experiment",
    "summary_variant": "one row per variant and phase",
    "summary_outside": "one row per status and condition",
    "process": "what runs at this moment",
    "database_size": "one row for each of the last days",
    "meta": "a few numbers",
}
"""Tables that every statement may read as a whole, and why."""
WHOLE = {
    "device_rows.DEVICE_ROWS": "verify counts what is there",
    "device_rows.TOKENS": "verify looks at every device",
    "device_rows.WITHOUT_PROFILE": "verify looks at every device",
    "device_rows.PROFILES": "verify looks at every profile",
    "device_rows.HOURLY": "verify recomputes every hour",
    "device_rows.DAILY": "verify recomputes every day",
    "event_rows.EXPOSED_PER_DAY": "verify recomputes every day",
    "event_rows.CELLS": "verify recomputes every sum",
    "event_rows.HAPPENED": "verify recomputes every day",
    "copying.TOKENS": "a copy has everything",
    "copying.DEVICES": "a copy has everything",
    "copying.GIVEN": "a copy has everything",
    "measuring.DAYS": "the worker judges every experiment",
    "measuring.METRIC_DAYS": "the worker judges every experiment",
    "measuring.HAPPENED": "the worker judges every experiment",
    "backup.LAST_SEEN": "once in a restore",
    "profiles.LAST": "SQLite looks at the last row alone, and doesn't say so",
}
"""Statements that may read another table as a whole, and why."""


@pytest.fixture
def connection(tmp_path: Path, io_loop: IOLoop) -> Iterator[Any]:
    async def create() -> None:
        async with opened(tmp_path / "abtest.db"):
            pass

    io_loop.run_sync(create)
    raw = open_raw(tmp_path / "abtest.db")
    yield raw
    raw.close()


@pytest.mark.parametrize("module", [arrivals, catalogue, storing, profiles, requests, folding, reading])
def test_no_query_is_left_out(module: ModuleType) -> None:
    texts = {text for text in vars(module).values() if isinstance(text, str)}
    queries = {text for text in texts if text.strip().startswith(("SELECT", "UPDATE", "WITH", "DELETE"))}
    assert queries <= {query for query, _, _ in QUERIES.values()}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_uses_its_index(connection: Any, name: str) -> None:
    query, arguments, expected = QUERIES[name]
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", arguments)]
    for words in expected:
        assert any(words in step for step in plan), plan


@pytest.mark.parametrize("name", STATEMENTS)
def test_only_small_tables_are_read_as_a_whole_unless_listed(connection: Any, name: str) -> None:
    text = STATEMENTS[name]
    arguments = ["[]"] * max(map(int, re.findall(r"\?(\d+)", text)), default=text.count("?"))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", arguments)]
    # A step that SQLite calls a search, but without an index, reads all rows as well.
    steps = [found for step in plan if (found := re.match(r"SCAN (\w+)|SEARCH (\w+)$", step))]
    large = {found[1] or found[2] for found in steps} - SMALL.keys()
    assert bool(large) is (name in WHOLE), plan
