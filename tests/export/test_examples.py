"""The examples of docs/data.md, on a database of its own: they find what the results say."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tornado.ioloop import IOLoop

from abtest import clock
from abtest.domain import PROGRAM, Event
from abtest.export import Asked, ExportService, Format
from abtest.management import DEMO, ExperimentService
from abtest.results import ResultService, worker
from abtest.store import Table
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import ANNA, tokens

PAGE = Path(__file__).parent.parent.parent / "docs" / "data.md"
BLOCK = re.compile(r"^```(sql|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
NEVER, ONCE, TWICE, WITHOUT_AMOUNT = range(4)


@pytest.fixture
def folder(store: SQLiteStore, tmp_path: Path, io_loop: IOLoop, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the files that the examples read."""

    async def fill() -> None:
        await ExperimentService(store, by=PROGRAM).add(DEMO)
        await store.enrol(tokens("a", 600), clock.now())
        for place, token in enumerate(tokens("a", 600)):
            await store.track([(token, list(told(place)))], clock.now())
        await worker.tick(store)
        for table in Table:
            for format in (Format.CSV, Format.PARQUET):
                pieces = await ExportService(store, by=ANNA).begin(Asked(table, format))
                (tmp_path / f"{table}.{format}").write_bytes(b"".join([piece async for piece in pieces]))

    io_loop.run_sync(fill)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(place: int) -> Iterator[Event]:
    """What a device tells; some buy often, and some for nothing."""
    yield Event("shown", "exposure", "price")
    if place % 7 in {ONCE, TWICE}:
        yield Event("1", "purchase", amount=99_900 + place)
    if place % 7 == TWICE:
        yield Event("2", "purchase", amount=-1)
    if place % 7 == WITHOUT_AMOUNT:
        yield Event("1", "purchase")


async def results(store: SQLiteStore) -> dict[str, tuple[int, int, Any]]:
    """Devices, converters and mean of each value, as the results say."""
    (metric,) = (await ResultService(store).one("price")).metrics
    return {each.value: (each.devices, each.converters, pytest.approx(each.mean)) for each in metric.variants}


async def test_sql_finds_what_the_results_say(store: SQLiteStore, folder: Path) -> None:
    found = duckdb.execute(EXAMPLES["sql"]).fetchall()
    assert {value: (devices, converters, mean) for value, devices, converters, mean in found} == await results(store)


async def test_pandas_finds_what_the_results_say(store: SQLiteStore, folder: Path) -> None:
    names: dict[str, Any] = {}
    exec(EXAMPLES["python"], names)
    found = names["results"].to_dict("index")
    assert {value: tuple(each.values()) for value, each in found.items()} == await results(store)
