"""Test devices: they get what was chosen, and change no count."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from abtest.bootstrap import back_up, restore
from abtest.domain import DEFAULT_APP, Event, Sought, Status, scoped
from abtest.domain.devices import LONGEST_NOTE
from abtest.domain.experiments import Change
from abtest.errors import (
    Conflict,
    InvalidField,
    InvalidTestDevice,
    InvalidToken,
    UnknownApp,
    UnknownExperiment,
    UnknownTestDevice,
)
from abtest.management import JournalService, TestDeviceService
from abtest.results import worker
from abtest.store.relational.cataloguing import test_device_rows
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import VerificationService
from tests.processes import Abtest, Device, run, wait_until_answering
from tests.scenes import ANNA, answers, experiment, opened, tokens, until, values_of

CHOSEN = {"color": "color-1", "price": "price-0"}


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    """A running experiment, a draft, and one that is judged by purchases."""
    store = SQLiteStore(tmp_path / "abtest.db")
    io_loop.run_sync(store.open)
    made = [
        experiment("color", "1", "1"),
        experiment("price", "1", "1", draft=True),
        experiment("offer", "1", "1", metrics=("conversion:purchase",)),
    ]
    io_loop.run_sync(lambda: store.add(made, 1))
    yield store
    io_loop.run_sync(store.close)


async def choose(
    store: SQLiteStore, token: str, values: Mapping[str, str] = CHOSEN, note: str = "", app: str = DEFAULT_APP
) -> bool:
    """Make it a test device; whether it was one."""
    made, changed = await TestDeviceService(store, app, by=ANNA).add(token, values, note)
    assert (made.token, dict(made.values), made.note, made.made_by) == (token, dict(values), note, "anna")
    return changed


async def converters(store: SQLiteStore) -> int:
    await worker.tick(store)
    *_, offer = await store.measured()
    return sum(each.sums.converters for each in offer.metrics[0])


async def test_a_test_device_gets_exactly_what_was_chosen(store: SQLiteStore) -> None:
    await choose(store, "phone")
    await choose(store, "nothing", {})
    assert await answers(store, ["phone", "nothing"]) == [CHOSEN, {}]
    for status in (Status.RUNNING, Status.PAUSED, Status.FINISHED, Status.ARCHIVED):
        await store.change("price", lambda _, status=status: Change(status=status), 2)  # type: ignore[misc]
        assert await answers(store, ["phone"]) == [CHOSEN], status
    assert values_of(await store.find(["phone", "stranger"]), "phone") == CHOSEN


async def test_what_was_chosen_is_replaced_as_a_whole(store: SQLiteStore) -> None:
    assert not await choose(store, "phone", note="for the demo")
    assert await choose(store, "phone", {"offer": "offer-0"})
    assert await answers(store, ["phone"]) == [{"offer": "offer-0"}]
    (only,) = await TestDeviceService(store, by=ANNA).all()
    assert (only.note, only.is_device) == ("", False)


async def test_what_is_saved_as_it_was_is_no_change(store: SQLiteStore) -> None:
    await choose(store, "phone", note="for the demo")
    made, told = await store.test_devices(), await JournalService(store).newest(Sought(), 100)
    assert await choose(store, "phone", note="for the demo")
    assert await store.test_devices() == made
    assert await JournalService(store).newest(Sought(), 100) == told
    assert await choose(store, "phone", note="for Ben")
    assert len(await JournalService(store).newest(Sought(), 100)) == len(told) + 1


async def test_it_takes_no_number_and_no_position(store: SQLiteStore) -> None:
    await choose(store, "phone")
    for place, token in enumerate(tokens("a", 8)):
        assert (await store.enrol([token, "phone"], 1)).new == {token}
        assert (await store.device(token)).id == place + 1
    await worker.tick(store)
    summary = await store.summary()
    assert (summary.devices, summary.counts[1, 1], summary.counts[3, 1]) == (8, (4, 4), (4, 4))
    assert not (await VerificationService(store).verify()).broken


async def test_a_device_keeps_its_place_in_the_counts_and_gets_its_own_values_again(store: SQLiteStore) -> None:
    before = await answers(store, tokens("a", 4))
    await store.track([(token, [Event("1", "purchase")]) for token in ("a-0", "a-1")], 2)
    await choose(store, "a-0")
    await choose(store, "a-2")
    assert await answers(store, tokens("a", 4)) == [CHOSEN, before[1], CHOSEN, before[3]]
    assert await store.track([(token, [Event("2", "purchase")]) for token in ("a-0", "a-2", "a-3")], 3) == [1, 1, 1]
    assert await converters(store) == 3
    assert (await store.summary()).counts[1, 1] == (2, 2)
    assert not (await VerificationService(store).verify()).broken
    assert await TestDeviceService(store, by=ANNA).remove("a-2")
    assert await answers(store, tokens("a", 4)) == [CHOSEN, *before[1:]]
    assert await store.track([("a-2", [Event("2", "purchase")])], 3) == [1]
    assert await converters(store) == 4


async def test_once_removed_it_is_a_new_device_on_its_next_request(store: SQLiteStore) -> None:
    await choose(store, "phone")
    await answers(store, ["phone", "a"])
    assert await store.track([("phone", [Event("1", "purchase")])], 2) == [1]
    assert not await TestDeviceService(store, by=ANNA).remove("phone")
    assert await store.track([("phone", [Event("1", "purchase")])], 2) == [None]
    assert (await store.enrol(["phone"], 3)).new == {"phone"}
    assert (await store.device("phone")).id == 2
    assert await converters(store) == 0
    with pytest.raises(UnknownTestDevice):
        await TestDeviceService(store, by=ANNA).remove("phone")


@pytest.mark.parametrize(
    ("token", "values", "note", "error", "words"),
    [
        ("phone", {"prise": "10"}, "", UnknownExperiment, "there is no experiment 'prise'"),
        ("phone", {"\udcff": "10"}, "", UnknownExperiment, "there is no experiment"),
        (
            "phone",
            {"color": "red"},
            "",
            InvalidTestDevice,
            "the experiment color has no value 'red'; it has color-0, color-1",
        ),
        ("phone", {"color": "\udcff"}, "", InvalidTestDevice, "the experiment color has no value"),
        ("phone", {"color": ""}, "", InvalidTestDevice, "the experiment color has no value ''"),
        ("my phone", {}, "", InvalidToken, "visible ASCII"),
        ("phone\n", {}, "", InvalidToken, "visible ASCII"),
        ("", {}, "", InvalidToken, "visible ASCII"),
        ("phone", {}, "a\x1b[2J", InvalidField, "note: .*control characters"),
        ("phone", {}, "a\nb", InvalidField, "note: .*control characters"),
        ("phone", {}, "\udcff", InvalidField, "note: .*UTF-8"),
        ("phone", {}, "\u202eenohp", InvalidField, "note: .*change the direction"),
        ("phone", {}, "a" * (LONGEST_NOTE + 1), InvalidField, "note: must have at most 200"),
    ],
)
async def test_what_cannot_be_chosen_is_refused_and_changes_nothing(
    store: SQLiteStore, token: str, values: dict[str, str], note: str, error: type[Exception], words: str
) -> None:
    await choose(store, "phone", note="Anna's")
    version = await store.config_version()
    with pytest.raises(error, match=words):
        await choose(store, token, {"offer": "offer-0"} | values, note)
    (only,) = await TestDeviceService(store, by=ANNA).all()
    assert (dict(only.values), only.note, await store.config_version()) == (CHOSEN, "Anna's", version)


async def test_the_outcome_of_devices_outside_the_coverage_cannot_be_chosen(store: SQLiteStore) -> None:
    await store.add([experiment("ramp", "1", "1", coverage="0.2")], 1)
    with pytest.raises(InvalidTestDevice, match=r"it has ramp-0, ramp-1$"):
        await choose(store, "phone", {"ramp": ""})


async def test_an_app_has_a_bounded_number_of_them(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_device_rows, "MOST_TEST_DEVICES", 3)
    await store.add_app("staging", 1)
    for token in tokens("a", 3):
        await choose(store, token)
    with pytest.raises(Conflict, match="there are 3 test devices already; remove one first"):
        await choose(store, "another")
    assert await choose(store, "a-1", {})
    await choose(store, "a-1", {}, app="staging")


async def test_the_same_token_in_two_apps_is_two_test_devices(store: SQLiteStore) -> None:
    staging = await store.add_app("staging", 1)
    await store.add([experiment("color", "1", "1")], 1, app="staging")
    await choose(store, "phone")
    await choose(store, "phone", {"color": "color-0"}, app="staging")
    assert await answers(store, ["phone", scoped(staging.id, "phone")]) == [CHOSEN, {"color": "color-0"}]
    with pytest.raises(UnknownExperiment):
        await choose(store, "phone", {"offer": "offer-0"}, app="staging")
    with pytest.raises(UnknownApp):
        await choose(store, "phone", app="nowhere")
    staged = TestDeviceService(store, "staging", by=ANNA)
    assert [each.token for each in await staged.all()] == ["phone"]
    assert not (await VerificationService(store).verify()).broken
    await TestDeviceService(store, by=ANNA).remove("phone")
    with pytest.raises(InvalidToken):
        await TestDeviceService(store, by=ANNA).remove(scoped(staging.id, "phone"))
    assert len(await staged.all()) == 1


async def test_how_many_have_a_value_of_an_experiment(store: SQLiteStore) -> None:
    await answers(store, ["a"])
    for token in ("a", "b"):
        await choose(store, token)
    await choose(store, "c", {"color": "color-0"})
    ids = {each.key: each.id for each in await store.experiments()}
    found = {key: await store.tested(id) for key, id in ids.items()}
    assert {key: (each.test_devices, each.devices) for key, each in found.items()} == {
        "color": (3, 1), "price": (2, 1), "offer": (0, 0),
    }  # fmt: skip


@pytest.mark.parametrize("ended", ["forgotten", "removed", "changed"])
async def test_a_forgotten_token_is_nowhere(store: SQLiteStore, ended: str) -> None:
    token = "a-token-that-must-leave-no-trace"
    await choose(store, token, note="note-of-that-token")
    if ended == "forgotten":
        assert await store.forget([token, "nobody"]) == 1
        assert await store.forget([token]) == 0
    elif ended == "removed":
        await TestDeviceService(store, by=ANNA).remove(token)
    else:
        await choose(store, "other")
        await choose(store, token, {})
        assert await store.forget([token]) == 1
    assert await store.empty_log()
    content = store.path.read_bytes()
    assert b"leave-no-trace" not in content
    assert b"note-of-that-token" not in content


async def test_a_device_that_is_one_is_forgotten_as_both(store: SQLiteStore) -> None:
    await answers(store, tokens("a", 4))
    await choose(store, "a-1")
    assert await store.forget(["a-1"]) == 1
    assert await TestDeviceService(store, by=ANNA).all() == []
    assert (await store.enrol(["a-1"], 2)).new == {"a-1"}
    assert not (await VerificationService(store).verify()).broken


async def test_a_backup_keeps_them(store: SQLiteStore, tmp_path: Path) -> None:
    await choose(store, "phone", note="Anna's")
    listed = await TestDeviceService(store, by=ANNA).all()
    await back_up(store, tmp_path / "copy.db", lambda done, total: None)
    await restore(tmp_path / "copy.db", f"sqlite:///{tmp_path}/other.db", ANNA)
    async with opened(tmp_path / "other.db") as other:
        assert await TestDeviceService(other, by=ANNA).all() == listed
        assert await answers(other, ["phone"]) == [CHOSEN]


def serving(database: Path) -> Abtest:
    run(database, "experiments", "add", "color", "--variant", "red=1", "--variant", "blue=1")
    run(database, "experiments", "add", "price", "--variant", "10=1", "--variant", "20=1", "--draft")
    return Abtest(database, "serve", "--port", "0", "--processes", "2", "--deadline", "60")


def test_every_process_answers_with_what_was_chosen(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    with serving(database) as server:
        port = server.port()
        wait_until_answering(port)
        devices = [Device(port) for _ in range(8)]
        own = devices[0].ask("phone")
        assert all(device.ask("phone") == own for device in devices)
        add = ("test-devices", "add", "phone", "--value")
        for line, expected in (
            ((*add, "price=20"), {"price": "20"}),
            ((*add, "color=red"), {"color": "red"}),
            (("test-devices", "remove", "phone"), own),
        ):
            assert run(database, *line).returncode == 0
            waiting = list(devices)
            while waiting:
                waiting = [device for device in waiting if device.ask("phone") != expected]
        for device in devices:
            device.close()


def test_one_that_comes_and_goes_while_it_asks_gets_what_was_chosen_or_its_own(tmp_path: Path) -> None:
    database, chosen, done = tmp_path / "abtest.db", [{"price": "20"}, {"color": "blue", "price": "10"}, {}], Flag()
    got: list[dict[str, str]] = []

    def ask(port: int) -> None:
        with closing(Device(port)) as device:
            while not done.is_set():
                got.append(device.ask("phone"))

    def come(port: int, prefix: str) -> int:
        with closing(Device(port)) as device:
            number = 0
            while not done.is_set():
                assert device.ask(f"{prefix}-{number}").keys() == {"color"}
                number += 1
        return number

    async def change(asking: list[Any]) -> None:
        async with opened(database) as store:
            service = TestDeviceService(store, by=ANNA)
            for place in range(30):
                wanted, seen = chosen[place % 3], len(got)
                await service.add("phone", wanted, "")
                await until(lambda wanted=wanted, seen=seen: wanted in got[seen:] or asking[0].done())  # type: ignore[misc]  # mypy knows no default of a lambda
                await service.remove("phone")

    with serving(database) as server, ThreadPoolExecutor(6) as pool:
        port = server.port()
        wait_until_answering(port)
        asking = [pool.submit(ask, port) for _ in range(4)]
        coming = [pool.submit(come, port, prefix) for prefix in "ab"]
        try:
            asyncio.run(change(asking))
        finally:
            done.set()
        others = sum(each.result() for each in coming)
        for each in asking:
            each.result()
        with closing(Device(port)) as device:
            while (own := device.ask("phone")) in chosen:
                pass
    assert [each for each in got if each not in [*chosen, own]] == []
    assert all(each in got for each in chosen)
    verified = run(database, "verify")
    assert verified.stdout.startswith(f"{others + 1:,} devices, {others + 1:,} assignments"), verified.stdout
    assert verified.returncode == 0
