"""What was stored, as files: every row, exactly, and in short reads."""

import csv
import io
import json
import sys
import tempfile
from collections import Counter
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from abtest import clock
from abtest.domain import DEFAULT_APP, Change, Event, Kind, Status, new_group, new_holdout, read_attributes, scoped
from abtest.errors import InvalidSetting, StorageError, UnknownApp
from abtest.export import Asked, ExportService, Format
from abtest.export import parquet as parquet_module
from abtest.export.exporting import CHUNK
from abtest.store import Table
from abtest.store.relational import erasing
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import ANNA, answers, experiment, tokens
from tests.stores import only_in_sqlite

SECOND = 1_000
NOON = clock.DAY // 2


async def exported(store: SQLiteStore, table: str, app: str = "default", **asked: Any) -> bytes:
    """The whole file."""
    pieces = await ExportService(store, app, by=ANNA).begin(Asked(Table(table), **asked))
    return b"".join([piece async for piece in pieces])


async def found(store: SQLiteStore, table: str, **asked: Any) -> list[dict[str, Any]]:
    """The rows of the file."""
    lines = await exported(store, table, format=Format.JSONL, **asked)
    return [json.loads(line) for line in lines.splitlines()]


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


async def buy(store: SQLiteStore, token: str, *events: Event, at: int = NOON) -> None:
    assert await store.track([(token, events)], at) == [len(events)]


async def test_a_device_has_its_number_first_request_and_attributes(store: SQLiteStore) -> None:
    phone = read_attributes([("country", "DE"), ("app_version", "3.10.0"), ("platform", "ios")])
    await store.enrol(["a", "b"], NOON + 7, {"a": phone})
    first, second = await found(store, "devices")
    assert first == {
        "device": 1,
        "first_seen": "1970-01-01T12:00:00.007Z",
        "platform": "ios",
        "country": "DE",
        "language": None,
        "app_version": "3.10.0",
        "os_version": None,
        "holdout": None,
        "test_device": False,
    }
    assert (second["device"], second["platform"]) == (2, None)


async def test_a_device_says_which_holdout_holds_it(store: SQLiteStore) -> None:
    await store.enrol(["early"], 1)
    await store.add([new_holdout("q4", Decimal("0.25"))], 1, kind=Kind.HOLDOUT)
    await store.add([experiment("color", "1", "1")], 1)
    got = await answers(store, tokens("a", 80))
    rows = await found(store, "devices")
    assert Counter(column(rows, "holdout")) == {"q4": 20, None: 61}
    assert [row["holdout"] is None for row in rows[1:]] == [bool(answer) for answer in got]


async def test_a_device_says_whether_it_is_a_test_device(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await store.enrol(["a", "b", "c"], 1)
    for token in ("b", "never-asked"):
        await store.add_test_device(token, {"color": "color-0"}, "", 2, by=ANNA)
    assert column(await found(store, "devices"), "test_device") == [False, True, False]


async def test_an_assignment_says_what_was_drawn_where_and_when(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "0"), experiment("price", "0", "1")], 1)
    await store.enrol(["a"], NOON)
    await store.change("price", lambda _: Change(weights=(Decimal(1), Decimal(0))), NOON)
    await store.enrol(["b"], NOON + SECOND)
    rows = await found(store, "assignments")
    assert [tuple(row.values()) for row in rows] == [
        (1, "experiment", "color", "color-0", "drawn", 1, 0, "1970-01-01T12:00:00.000Z"),
        (1, "experiment", "price", "price-1", "drawn", 1, 0, "1970-01-01T12:00:00.000Z"),
        (2, "experiment", "color", "color-0", "drawn", 1, 1, "1970-01-01T12:00:01.000Z"),
        (2, "experiment", "price", "price-0", "drawn", 2, 0, "1970-01-01T12:00:01.000Z"),
    ]


async def test_an_assignment_says_whether_it_was_drawn_given_or_left_out(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", coverage="0.2"), experiment("price", "1", "1")], 1)
    await store.change("price", lambda _: Change(status=Status.FINISHED, winner="price-1"), 2)
    await store.enrol(tokens("a", 10), 3)
    rows = await found(store, "assignments")
    assert Counter((row["experiment"], row["how"]) for row in rows) == {
        ("color", "drawn"): 2,
        ("color", "outside"): 8,
        ("price", "winner"): 10,
    }
    assert {(row["how"], row["value"] is None, row["position"] is None) for row in rows} == {
        ("drawn", False, False),
        ("outside", True, False),
        ("winner", False, True),
    }


async def test_groups_and_holdouts_are_assigned_too(store: SQLiteStore) -> None:
    await store.add([new_holdout("q4", Decimal("0.5"))], 1, kind=Kind.HOLDOUT)
    await store.add([new_group("screen")], 1, kind=Kind.GROUP)
    await store.add([experiment("one", "1", "1")], 1)
    await store.join("screen", "one", Decimal("0.5"), 1)
    await store.enrol(tokens("a", 40), 2)
    rows = await found(store, "assignments")
    assert Counter((row["kind"], row["experiment"], row["value"]) for row in rows if row["kind"] != "experiment") == {
        ("holdout", "q4", "held"): 20,
        ("holdout", "q4", "free"): 20,
        ("group", "screen", "one"): 10,
        ("group", "screen", None): 10,
    }


async def test_an_event_has_all_that_the_app_told(store: SQLiteStore) -> None:
    await store.enrol(["a"], 1)
    purchase = Event("1", "purchase", amount=-99_900, at=NOON - 500)
    await buy(store, "a", purchase, Event("2", "exposure", "color", value="#FF0000"), at=NOON)
    rows = await found(store, "events")
    assert [tuple(row.values()) for row in rows] == [
        (1, "1", "purchase", "-9.99", "1970-01-01T11:59:59.500Z", "1970-01-01T12:00:00.000Z", None, None),
        (1, "2", "exposure", None, None, "1970-01-01T12:00:00.000Z", "color", "#FF0000"),
    ]


@pytest.mark.parametrize(
    ("units", "text"),
    [(0, "0"), (1, "0.0001"), (-1, "-0.0001"), (10_000, "1"), (9_999_999_999_999_999, "999999999999.9999")],
)
async def test_an_amount_is_exact_in_every_format(store: SQLiteStore, units: int, text: str) -> None:
    await store.enrol(["a"], 1)
    await buy(store, "a", Event("1", "purchase", amount=units))
    assert column(await found(store, "events"), "amount") == [text]
    assert f",{text},".encode() in await exported(store, "events")
    table = parquet.read_table(io.BytesIO(await exported(store, "events", format=Format.PARQUET)))
    assert table.column("amount").to_pylist() == [Decimal(text)]


async def test_tokens_are_only_in_a_file_that_was_asked_for_them(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await store.enrol(["b", "a"], 1)
    await buy(store, "a", Event("1", "purchase"))
    for table, expected in (("devices", ["b", "a"]), ("assignments", ["b", "a"]), ("events", ["a"])):
        without, rows = await found(store, table), await found(store, table, tokens=True)
        assert column(rows, "token") == expected
        assert [{name: cell for name, cell in row.items() if name != "token"} for row in rows] == without


@only_in_sqlite
async def test_a_folder_for_temporary_files_that_is_missing_is_said(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match="cannot keep tokens in a temporary file"):
        await exported(store, "devices", tokens=True)


async def test_no_temporary_file_stays(store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    await store.enrol(["a"], 1)
    pieces = await ExportService(store, by=ANNA).begin(Asked(Table.DEVICES, tokens=True))
    assert await anext(pieces)
    assert not list((tmp_path / "temporary").iterdir())
    assert b"1,a," in await anext(pieces)
    await pieces.aclose()


async def test_a_forgotten_device_has_neither_its_token_nor_its_events(store: SQLiteStore) -> None:
    await store.enrol(["a", "b"], 1)
    await buy(store, "a", Event("1", "purchase"))
    await store.forget(["a"])
    first, second = column(await found(store, "devices", tokens=True), "token")
    assert (first.startswith("forgotten-"), second) == (True, "b")
    assert await found(store, "events") == []


async def test_events_that_are_still_being_erased_are_not_there(store: SQLiteStore) -> None:
    await store.enrol(["a", "b"], 1)
    many = [Event(str(n), "purchase") for n in range(2 * erasing.EVENTS_AT_ONCE)]
    await buy(store, "a", *many)
    await buy(store, "b", Event("1", "purchase"))
    found_before = await store.read(erasing.counted, "a")
    assert await store.write(erasing.forget, "a", DEFAULT_APP, ANNA, 3, *(found_before or ()))
    assert await store.read(erasing.erasing) == 1
    assert column(await found(store, "events"), "device") == [2]


@pytest.mark.parametrize("at_once", [2, 10_000])
async def test_a_file_has_the_rows_of_one_app(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("abtest.store.sqlite.tokens.TOKENS_AT_ONCE", at_once)
    await store.add_app("staging", 1, by=ANNA)
    for app in ("default", "staging"):
        await store.add([experiment(f"{app}-color", "1", "1")], 1, app=app)
    staging, old = [scoped(2, token) for token in ("9-a", "a")], ["a", "9-b", "0", "z"]
    await store.enrol([*staging, *old], 1)
    for token in ("a", scoped(2, "a")):
        await buy(store, token, Event(token.replace(" ", "-"), "purchase"))
    for app, named, events in (("default", old, ["a"]), ("staging", ["9-a", "a"], ["2-a"])):
        assert column(await found(store, "devices", app=app, tokens=True), "token") == named
        assigned = await found(store, "assignments", app=app, tokens=True)
        assert [(row["token"], row["experiment"]) for row in assigned] == [(each, f"{app}-color") for each in named]
        assert column(await found(store, "events", app=app), "id") == events
    with pytest.raises(UnknownApp):
        await exported(store, "devices", app="production")


async def test_only_what_was_stored_since_a_time_is_there(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    for second, token in enumerate("abc"):
        await store.enrol([token], NOON + second * SECOND)
        await buy(store, token, Event("1", "purchase", at=1), at=NOON + second * SECOND)
    for table in Table:
        for since, numbers in ((NOON + SECOND, [2, 3]), (NOON + SECOND + 1, [3]), (clock.DAY, [])):
            assert column(await found(store, table, since=since), "device") == numbers


async def test_what_comes_meanwhile_is_not_in_the_file(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await store.enrol(tokens("a", CHUNK + 1), 1)
    await store.track([(token, [Event("1", "purchase")]) for token in tokens("a", CHUNK + 1)], 2)
    for late, table in enumerate(Table):
        pieces = await ExportService(store, by=ANNA).begin(Asked(table))
        begun = [await anext(pieces), await anext(pieces)]
        await store.enrol([f"late-{table}"], 3)
        await buy(store, f"late-{table}", Event("1", "purchase"))
        whole = b"".join([*begun, *[piece async for piece in pieces]])
        assert len(whole.splitlines()) == 1 + CHUNK + 1 + late


@pytest.mark.parametrize("format", Format)
async def test_nobody_waits_for_a_slow_reader(store: SQLiteStore, format: Format) -> None:
    """Between two pieces no transaction is open: others write, and the log can be emptied."""
    await store.enrol(tokens("a", 3 * CHUNK), 1)
    asked = Asked(Table.DEVICES, format, tokens=True)
    async with aclosing(await ExportService(store, by=ANNA).begin(asked)) as pieces:
        await anext(pieces)
        await anext(pieces)
        await store.enrol(["late"], 2)
        assert await store.empty_log()
        assert not (await store.condition()).log_bytes


async def test_a_file_comes_in_short_pieces(store: SQLiteStore) -> None:
    await store.enrol(tokens("a", 5 * CHUNK), 1)
    done: list[tuple[int, int]] = []
    pieces = await ExportService(store, by=ANNA).begin(Asked(Table.DEVICES), lambda *each: done.append(each))
    assert max([piece.count(b"\n") async for piece in pieces]) == CHUNK
    assert done == [(CHUNK * n, 5 * CHUNK) for n in range(1, 6)]


async def test_parquet_has_row_groups_so_that_memory_stays_bounded(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_module, "ROW_GROUP", 2 * CHUNK)
    await store.enrol(tokens("a", 5 * CHUNK), 1)
    file = parquet.ParquetFile(io.BytesIO(await exported(store, "devices", format=Format.PARQUET)))
    groups = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
    assert groups == [2 * CHUNK, 2 * CHUNK, CHUNK]
    assert file.read().column("device").to_pylist() == list(range(1, 5 * CHUNK + 1))


async def test_all_formats_say_the_same(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", coverage="0.5")], 1)
    await store.enrol(["a", "b"], NOON, {"b": read_attributes([("platform", 'a "quoted", text')])})
    await buy(store, "a", Event("1", "purchase", amount=99_900, at=NOON), Event("2", "exposure", "color"))
    for table in Table:
        objects = await found(store, table)
        text = (await exported(store, table)).decode()
        assert text.count("\r\n") == len(objects) + 1
        assert list(csv.DictReader(io.StringIO(text))) == [
            {name: written(cell) for name, cell in row.items()} for row in objects
        ]
        typed = parquet.read_table(io.BytesIO(await exported(store, table, format=Format.PARQUET)))
        assert typed.column_names == list(objects[0])
        assert [{name: told(cell) for name, cell in row.items()} for row in typed.to_pylist()] == objects


def written(cell: Any) -> str:
    """As CSV has it."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return "" if cell is None else str(cell)


def told(cell: Any) -> Any:
    """What Parquet has, as JSON has it."""
    if isinstance(cell, Decimal):
        return f"{cell.normalize():f}"
    return cell.isoformat(timespec="milliseconds").replace("+00:00", "Z") if hasattr(cell, "isoformat") else cell


async def test_parquet_is_typed(store: SQLiteStore) -> None:
    types = {
        field.name: str(field.type)
        for table in Table
        for field in parquet.read_schema(io.BytesIO(await exported(store, table, format=Format.PARQUET)))
    }
    assert types["amount"] == "decimal128(16, 4)"
    assert types["received_at"] == types["first_seen"] == "timestamp[ms, tz=UTC]"
    assert (types["device"], types["test_device"], types["value"]) == ("int64", "bool", "string")


async def test_a_spreadsheet_takes_no_text_for_a_formula(store: SQLiteStore) -> None:
    await store.enrol(["=1+1", "-5"], 1, {"=1+1": read_attributes([("country", "@SUM(A1)")])})
    await buy(store, "-5", Event("=cmd", "purchase", amount=-50_000))
    devices = list(csv.DictReader(io.StringIO((await exported(store, "devices", tokens=True)).decode())))
    assert [(row["token"], row["country"]) for row in devices] == [("'=1+1", "'@SUM(A1)"), ("-5", "")]
    (event,) = csv.DictReader(io.StringIO((await exported(store, "events")).decode()))
    assert (event["id"], event["amount"]) == ("'=cmd", "-5")


async def test_without_its_package_parquet_says_what_to_install(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "abtest.export.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidSetting, match=r"format: parquet needs .* pip install pyarrow"):
        await ExportService(store, by=ANNA).begin(Asked(Table.DEVICES, Format.PARQUET))
