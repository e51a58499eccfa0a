"""Every change is in the journal: by whom, from where, and what it was before and after."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from abtest import clock
from abtest.bootstrap import prepare
from abtest.domain import Browser, Change, Role, Sought, Status, Variant, parse_metrics
from abtest.errors import AbtestError, UnknownApp
from abtest.language import by_said, entry_said
from abtest.management import (
    AccessTokenService,
    AppService,
    ExperimentService,
    GroupService,
    HoldoutService,
    JournalService,
    PeopleService,
    SignInService,
    TestDeviceService,
    keep_schedule,
    parse_declared,
)
from abtest.management.credentials import hashed
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import VerificationService
from tests.scenes import ANNA, experiment
from tests.stores import url_of

PRICE = (
    "status running, type string, phase 1, weights price-0 with weight 1, price-1 with weight 1, coverage 100%, "
    "baseline price-0"
)


async def told(store: SQLiteStore) -> list[str]:
    """What the journal says, the oldest first."""
    entries = await JournalService(store).newest(Sought(), 100)
    assert {each.by for each in entries} <= {ANNA, structs.replace(ANNA, name="zoe")}
    assert (await VerificationService(store).verify()).findings == ()
    return [entry_said(each) for each in reversed(entries)]


async def test_the_life_of_an_experiment(store: SQLiteStore) -> None:
    service = ExperimentService(store, by=ANNA)
    await service.add([experiment("price", "1", "1", draft=True)])
    await service.start("price")
    await service.pause("price")
    await service.resume("price")
    await service.reweight("price", [Variant("price-0", Decimal(3)), Variant("price-1", Decimal("0.5"))])
    await service.reweight("price", coverage=Decimal("0.2"), stop_at=600)
    await service.measure("price", ["conversion:buy"], "price-1", 400)
    await service.schedule("price", end_at=4_102_444_800_000)
    await service.finish("price", "price-1")
    await service.archive("price")
    assert await told(store) == [
        f"added price: {PRICE.replace('running', 'draft')}",
        "changed price: status running (was draft)",
        "changed price: status paused (was running)",
        "changed price: status running (was paused)",
        "changed price: phase 2 (was 1), weights price-0 with weight 3, price-1 with weight 0.5 "
        "(was price-0 with weight 1, price-1 with weight 1)",
        "changed price: phase 3 (was 2), coverage 20% (was 100%), stop at 600 (was none)",
        "changed price: metrics conversion:buy (was none), baseline price-1 (was price-0), planned 400 (was none)",
        "changed price: end at 2100-01-01T00:00:00Z (was none)",
        "changed price: status finished (was running), winner price-1 (was none)",
        "changed price: status archived (was finished)",
    ]


async def test_groups_and_holdouts(store: SQLiteStore) -> None:
    await ExperimentService(store, by=ANNA).add([experiment("price", "1", "1")])
    groups, holdouts = GroupService(store, by=ANNA), HoldoutService(store, by=ANNA)
    await groups.add("checkout", "one at a time")
    await groups.join("checkout", "price", Decimal("0.3"))
    await groups.leave("checkout", "price")
    await groups.join("checkout", "price", Decimal(1))
    await ExperimentService(store, by=ANNA).finish("price")
    await holdouts.add("q4", Decimal("0.05"))
    await holdouts.measure("q4", ("amount:buy",))
    await holdouts.end("q4")
    assert await told(store) == [
        f"added price: {PRICE}",
        "added the group checkout: description “one at a time”",
        "changed price: group checkout (was none), group share 30% (was none)",
        "changed price: group none (was checkout), group share none (was 30%)",
        "changed price: group checkout (was none), group share 100% (was none)",
        "changed price: status finished (was running), group none (was checkout), group share none (was 100%)",
        "added the holdout q4: status running, share 5%",
        "changed the holdout q4: metrics amount:buy (was none)",
        "changed the holdout q4: status ended (was running)",
    ]
    about = await JournalService(store).newest(Sought(about="checkout"), 100)
    assert [each.subject for each in about] == ["price", "price", "price", "price", "checkout"]


DECLARED = """
[[experiments]]
key = "color"
group = "other"
group_share = "10%"
variants = [{ value = "color-0", weight = 1 }, { value = "color-1", weight = 9 }]

[[experiments]]
key = "price"
status = "finished"
winner = "a"
group = "other"
group_share = "20%"
variants = [{ value = "a", weight = 1 }, { value = "b", weight = 1 }]
"""


async def test_what_a_file_declares(store: SQLiteStore) -> None:
    service = ExperimentService(store, by=ANNA)
    await service.add([experiment("color", "1", "1")])
    await GroupService(store, by=ANNA).add("screen")
    await GroupService(store, by=ANNA).join("screen", "color", Decimal("0.5"))
    declared = parse_declared(DECLARED)
    await service.apply(declared, await service.propose(declared))
    assert (await told(store))[3:] == [
        "added the group other",
        "changed color: phase 2 (was 1), weights color-0 with weight 1, color-1 with weight 9 "
        "(was color-0 with weight 1, color-1 with weight 1), "
        "group other (was screen), group share 10% (was 50%)",
        "added price: status running, type string, phase 1, weights a with weight 1, b with weight 1, coverage 100%, "
        "group other, group share 20%, baseline a",
        "changed price: status finished (was running), winner a (was none), group none (was other), "
        "group share none (was 20%)",
    ]


async def test_apps_test_devices_and_devices_without_a_token_or_a_note(store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("staging")
    await ExperimentService(store, "staging", by=ANNA).add([experiment("price", "1", "1")])
    service = TestDeviceService(store, "staging", by=ANNA)
    await service.add("secret-phone", {"price": "price-0"}, "Anna's secret")
    await service.add("secret-phone", {}, "Anna's secret")
    await service.add("secret-phone", {}, "Anna's other secret")
    await service.remove("secret-phone")
    await service.add("secret-phone", {}, "Anna's secret")
    await store.enrol(["2 secret-known"], 1)
    assert await store.forget(["secret-phone", "secret-known", "secret-nobody"], "staging", ANNA) == 2
    assert await told(store) == [
        "added the app staging",
        f"added price: {PRICE}",
        "added a test device: values price-0 for price",
        "changed a test device: values none (was price-0 for price)",
        "changed a test device",
        "removed a test device: values none",
        "added a test device: values none",
        "forgot a device",
        "forgot a device",
    ]
    entries = await JournalService(store).newest(Sought(), 100)
    assert {each.app for each in entries} == {"staging"}
    assert "secret" not in str(entries)


async def test_people_and_access_tokens_without_their_secrets(store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("staging")
    people, tokens = PeopleService(store, by=ANNA), AccessTokenService(store)
    await people.add("Ben", Role.ADMIN)
    _, first = await people.add("zoe", Role.VIEWER, "staging")
    await people.change("Zoe", Role.EDITOR, None)
    await people.change("zoe", Role.EDITOR)
    second = await people.link("zoe")
    entrance, browser = SignInService(store), Browser("Firefox on Windows", ANNA.address)
    session = await entrance.session(await entrance.use_link(second.secret, "the password of zoe", browser))
    await entrance.change_password("zoe", "the password of zoe", "another one of zoe", None, session.id, by=ANNA)
    await entrance.sign_in("zoe", "another one of zoe", None)
    await entrance.end_sessions("zoe", session.id, by=ANNA)
    await entrance.sign_in("zoe", "another one of zoe", None, browser)
    await entrance.end_sessions("zoe", by=ANNA)
    assert await entrance.end_sessions("zoe", by=ANNA) == 0
    await people.remove("zoe")
    _, token = await tokens.add("ci", Role.EDITOR, "staging", "2100-01-01", by=ANNA)
    await tokens.revoke(1, by=ANNA)
    assert (await told(store))[1:] == [
        "added Ben: role admin, app every app",
        "added zoe: role viewer, app staging",
        "changed zoe: role editor (was viewer), app every app (was staging)",
        "made a link that sets the password of zoe",
        "set the password of zoe: with a link",
        "set the password of zoe: with the current one",
        "ended sessions of zoe: browsers Firefox on Windows",
        "ended sessions of zoe: browsers unknown, Firefox on Windows",
        "removed zoe: role editor, app every app",
        "added the access token ci: id 1, role editor, app staging, expires at 2100-01-01T23:59:59Z",
        "revoked the access token ci: id 1, role editor",
    ]
    entries = str(await JournalService(store).newest(Sought(), 100))
    secrets = (first.secret, second.secret, token, hashed(token).hex(), "the password of zoe", "$argon2")
    assert not any(secret in entries for secret in secrets)


async def test_the_worker_says_what_it_started_and_finished(store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1", start_at=1, end_at=2)], clock.now(), by=ANNA)
    await keep_schedule(store, lambda said: None)
    entries = await JournalService(store).newest(Sought(), 2)
    assert [(by_said(each.by), entry_said(each)) for each in entries] == [
        ("worker", "changed price: status finished (was running)"),
        ("worker", "changed price: status running (was draft)"),
    ]


FAILING: dict[str, Callable[[SQLiteStore], Awaitable[object]]] = {
    "a key that is taken": lambda store: ExperimentService(store, by=ANNA).add(
        [experiment("other", "1", "1"), experiment("price", "1", "1")]
    ),
    "a status that forbids it": lambda store: ExperimentService(store, by=ANNA).resume("price"),
    "a group without room": lambda store: GroupService(store, by=ANNA).join("full", "price", Decimal("0.1")),
    "an app that is there": lambda store: AppService(store, by=ANNA).add("default"),
    "a test device without its experiment": lambda store: TestDeviceService(store, by=ANNA).add("a", {"b": "c"}, ""),
    "a test device that is none": lambda store: TestDeviceService(store, by=ANNA).remove("a"),
    "the last admin": lambda store: PeopleService(store, by=ANNA).remove("ben"),
    "an access token that is none": lambda store: AccessTokenService(store).revoke(7, by=ANNA),
    "a holdout that has ended": lambda store: HoldoutService(store, by=ANNA).end("q4"),
}


@pytest.mark.parametrize("failing", FAILING)
async def test_a_change_that_failed_leaves_no_entry(store: SQLiteStore, failing: str) -> None:
    service = ExperimentService(store, by=ANNA)
    await service.add([experiment("price", "1", "1"), experiment("color", "1", "1")])
    await GroupService(store, by=ANNA).add("full")
    await GroupService(store, by=ANNA).join("full", "color", Decimal(1))
    await HoldoutService(store, by=ANNA).add("q4", Decimal("0.05"))
    await HoldoutService(store, by=ANNA).end("q4")
    await PeopleService(store, by=ANNA).add("ben", Role.ADMIN)
    before = await told(store)
    with pytest.raises(AbtestError):
        await FAILING[failing](store)
    assert await told(store) == before


async def test_a_change_and_its_entry_are_one_transaction(store: SQLiteStore) -> None:
    """An entry that can't be written takes its change with it."""
    await store.add([experiment("price", "1", "1")], 1)
    await store.write(lambda connection: connection.execute("UPDATE journal_end SET id = 0"))
    with pytest.raises(RuntimeError, match=r"(?i)unique constraint"):
        await ExperimentService(store, by=ANNA).pause("price")
    assert (await ExperimentService(store, by=ANNA).one("price")).status is Status.RUNNING


CHANGES = {
    "status": Change(status=Status.PAUSED),
    "winner": Change(status=Status.FINISHED, winner="price-1"),
    "because": Change(because="it sells more"),
    "weights": Change(weights=(Decimal(1), Decimal(1))),
    "coverage": Change(coverage=Decimal("0.5")),
    "stop_at": Change(stop_at=7),
    "group": Change(group=("screen", Decimal("0.5"))),
    "metrics": Change(metrics=parse_metrics(["conversion:buy"])),
    "baseline": Change(baseline="price-1"),
    "planned": Change(planned=7),
    "description": Change(description="x"),
    "schedule": Change(schedule=(None, 5)),
}


@pytest.mark.parametrize("field", Change.__struct_fields__)
async def test_no_field_changes_without_an_entry(store: SQLiteStore, field: str) -> None:
    await store.add([experiment("price", "1", "1")], 1, by=ANNA)
    await GroupService(store, by=ANNA).add("screen")
    await store.change("price", lambda _: CHANGES[field], 2, by=ANNA)
    *_, last = await told(store)
    assert last.startswith("changed price: ")


async def test_what_changes_nothing_is_no_change(store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1")], 1, by=ANNA)
    await store.change("price", lambda _: Change(description="", baseline="price-0"), 2, by=ANNA)
    assert len(await told(store)) == 1


async def test_the_demo_experiments_are_added_by_who_started_the_server(store: SQLiteStore) -> None:
    await prepare(Settings(database=url_of(store)), ANNA)
    assert [each.partition(":")[0] for each in await told(store)] == ["added button_color", "added price"]


async def test_entries_are_found_by_app_person_key_and_time(store: SQLiteStore) -> None:
    await store.add_app("staging", 1, ANNA)
    await store.add([experiment("price", "1", "1")], 2, by=ANNA)
    await store.add([experiment("color", "1", "1")], 3, app="staging")
    service = JournalService(store)

    async def ids(**wanted: Any) -> list[int]:
        return [each.id for each in await service.newest(Sought(**wanted), 2)]

    assert await ids() == [3, 2]
    assert await ids(app="staging") == [3, 1]
    assert await ids(by="ANNA") == await ids(by="192.0.2") == [2, 1]
    assert await ids(by="program") == await ids(about="color") == [3]
    assert await ids(since=3) == [3]
    assert await ids(before=3) == [2, 1]
    assert await ids(by="\udcff") == await ids(about='"') == []
    with pytest.raises(UnknownApp):
        await ids(app="nothing")
