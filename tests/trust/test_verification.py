"""verify sees every kind of damage, each done by hand here."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from abtest import clock
from abtest.domain import read_attributes
from abtest.domain.events import Event
from abtest.domain.experiments import Change, Status
from abtest.enrolment.explanation import ExplanationService
from abtest.management.experiments import ExperimentService
from abtest.results import worker
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust.audit import Audit
from abtest.trust.verification import VerificationService
from tests.scenes import ANNA, answers, experiment, tokens
from tests.stores import by_hand, only_in_postgres, only_in_sqlite

DAMAGES = {
    "UPDATE assignment SET variant_id = 3 - variant_id WHERE device_id = 9 AND experiment_id = 1": "gives",
    "DELETE FROM assignment WHERE device_id = 9 AND experiment_id = 1": "has no value of color",
    "DELETE FROM assignment WHERE device_id = 9 ": "is missing before",
    "UPDATE assignment SET position = 3 WHERE device_id = 9 AND experiment_id = 1": "is given twice",
    "UPDATE assignment SET position = NULL WHERE device_id = 9 AND experiment_id = 1": "has no position",
    "UPDATE assignment SET variant_id = 1 WHERE experiment_id = 1": "farther from its share than 0.50",
    "UPDATE experiment SET created_after_device = 10 WHERE id = 1": "first seen before the experiment was created",
    "UPDATE status_change SET status = 'paused'": "the experiment was taking no devices then",
    "UPDATE assignment SET phase_id = 2 WHERE device_id = 9 AND experiment_id = 1": "belongs to another experiment",
    "UPDATE assignment SET variant_id = 3 WHERE device_id = 9 AND experiment_id = 1": "its variant belongs to",
    "UPDATE phase SET next_position = 7 WHERE id = 1": "the next position is 7, but 20 were given",
    "UPDATE phase SET block_counts = '[5, 5]' WHERE id = 1": "the counts before the block are",
    "DELETE FROM device WHERE id = 9": "device 9: its row is missing",
    "UPDATE summary_variant SET devices = devices + 1 WHERE phase_id = 2": "summary: phase 1 of price",
    "UPDATE summary_hour SET devices = devices - 1 WHERE experiment_id = 2": "summary: price, hour of",
    "UPDATE assignment SET position = 9000000000000000000 WHERE device_id = 9": "beyond the number of devices",
    "UPDATE assignment SET position = -1 WHERE device_id = 9": "positions begin at 0",
    "UPDATE assignment SET variant_id = 99 WHERE device_id = 9": "its variant belongs to another experiment",
    "DELETE FROM device WHERE id = 20": "device 20: its row is missing",
    "DELETE FROM device_token WHERE device_id = 9": "device 9: has no tokens",
    "UPDATE experiment SET status = 'paused' WHERE id = 2": "price: its status is 'paused' with winner None",
    "UPDATE experiment SET winner = 'color-1' WHERE id = 1": "color: its status is 'running' with winner 'color-1'",
    "UPDATE experiment SET algorithm = 2 WHERE id = 1": "its allocation has version 2, but this program knows 1",
    "UPDATE experiment SET created_after_device = 99 WHERE id = 1": "created after device 99, which never existed",
    "UPDATE status_change SET status = 'resting' WHERE experiment_id = 1": "color: had the unknown status 'resting'",
    "UPDATE status_change SET winner = 'pink' WHERE experiment_id = 1": "color: had the winner 'pink', which is not",
    "UPDATE status_change SET after_device = 5 WHERE experiment_id = 1": "but its statuses begin after [5]",
    "DELETE FROM status_change WHERE experiment_id = 1": "the last change says (None, None)",
    "UPDATE phase SET created_after_device = 5 WHERE id = 1": "but its phases begin after [5]",
    "DELETE FROM meta WHERE name = 'config_version'": "meta: config_version is missing",
    "DELETE FROM meta WHERE name = 'erasures'": "meta: erasures is missing",
    "UPDATE experiment SET start_at = 9 WHERE id = 1": "color: start_at is 1970-01-01T00:00:00Z, but the",
    "UPDATE experiment SET end_at = 9 WHERE id = 1": "color: end_at is 1970-01-01T00:00:00Z, but the",
    "UPDATE experiment SET description = 'x' WHERE id = 1": "color: description is x, but the journal says",
    "UPDATE experiment SET because = 'x' WHERE id = 1": "experiment color: because is x, but the journal says none",
    "UPDATE experiment SET planned = 9 WHERE id = 1": "experiment color: planned is 9, but the journal says none",
    "UPDATE metric SET less = TRUE WHERE id = 1": "but the journal says ['conversion:purchase', 'amount:purchase']",
    "DELETE FROM experiment WHERE id = 5": "full: is missing, although the journal says that it was added",
    "UPDATE experiment SET baseline = 'x' WHERE id = 1": "color: what people decided about it can't be read",
    "UPDATE phase SET number = 2 WHERE id = 1": "color: its phases are numbered [2]",
    "DELETE FROM phase WHERE id = 1": "color: its phases are numbered []",
    "UPDATE phase SET weights = 'nonsense' WHERE id = 1": "color: phase 1: its weights or coverage can't be read",
    """UPDATE phase SET weights = '["1", "-1"]' WHERE id = 1""": "phase 1: its weights or coverage can't be read",
    """UPDATE phase SET weights = '["1", "NaN"]' WHERE id = 1""": "phase 1: its weights or coverage can't be read",
    """UPDATE phase SET weights = '["1"]' WHERE id = 1""": "color: phase 1: its weights or coverage can't be read",
    "UPDATE phase SET weights = '7' WHERE id = 1": "color: phase 1: its weights or coverage can't be read",
    "UPDATE phase SET block_counts = '{' WHERE id = 1": "the counts before the block are ()",
    "UPDATE variant SET place = 7 WHERE id = 1": "color: the places of its variants are (1, 7)",
    "DELETE FROM variant WHERE id = 1": "color: the places of its variants are (1,)",
    "DELETE FROM experiment WHERE id = 1": "device 1 in an unknown experiment: its phase belongs to another",
    "UPDATE summary SET device_watermark = 21": "summary: counts 21 devices, but there were 20",
    "UPDATE summary SET device_watermark = 19": "summary: phase 1 of color",
    "DELETE FROM summary": "summary: its row is missing",
    "UPDATE summary_day SET devices = devices + 1 WHERE phase_id = 1": "summary: phase 1 of color, variant 1, day",
    "UPDATE summary_day SET exposed = 77 WHERE phase_id = 1": "77 exposed, but the events say",
    "UPDATE summary_metric SET converters = 9 WHERE metric_id = 1": "converters is 9, but the events say",
    "UPDATE summary_metric SET squares = '1' WHERE metric_id = 2": "squares is 1, but the events say",
    "UPDATE summary_metric SET total = 'x' WHERE metric_id = 2": "total is 0, but the events say",
    "UPDATE summary_metric SET buckets = '[[75,1,90000,8100000000]]' WHERE metric_id = 2": "buckets do not agree",
    "UPDATE summary_metric SET buckets = '{' WHERE metric_id = 2": "total is 0, but the events say",
    "UPDATE summary_metric SET delays = '[[1]]' WHERE metric_id = 1": "converters is 0, but the events say",
    "UPDATE summary_metric SET delays = '[[3,1]]' WHERE metric_id = 1": "delays do not agree with the events",
    "UPDATE summary_metric SET first_at = 9": "some events are outside its first and last time",
    "UPDATE summary_happened SET devices = 7": "7 devices had their first event, but the events say",
    "UPDATE metric_device SET total = 3 WHERE device_id = 10": "device 10, amount:purchase of color: its total is 3",
    "DELETE FROM metric_device WHERE device_id = 10": "purchase of color: its total is missing or not a number",
    "INSERT INTO metric_device (metric_id, device_id, total) VALUES (1, 3, 0)": "its total is 0, but its events say",
    "DELETE FROM exposed WHERE device_id = 9": "device 9: its exposure to its own value of experiment 1 is",
    "INSERT INTO exposed (experiment_id, device_id, own) VALUES (1, 8, TRUE)": "to its own value of experiment 1 is",
    "INSERT INTO exposed (experiment_id, device_id, own) VALUES (1, 8, FALSE)": "to another value of experiment 1",
    "UPDATE summary_day SET showed_other = 9 WHERE phase_id = 1": "9 showed another value, but the events say",
    "UPDATE event SET value = 'x' WHERE device_id = 9": "its exposure to another value of experiment 1 is not kept",
    "DELETE FROM event WHERE device_id = 10": "device 10, conversion:purchase of color: its total is 1",
    "UPDATE event SET amount = 5 WHERE device_id = 10": "amount:purchase of color: its total is",
    "UPDATE metric SET watermark = 99 WHERE id = 1": "counts events up to 99, but there were 20",
    "UPDATE device SET profile_id = 7 WHERE id = 3": "1 devices have attributes that are not kept",
    "UPDATE profile SET attributes = '{'": "profile 1: its attributes are not what devices can have",
    """UPDATE profile SET attributes = '{"shoe_size":"46"}'""": "profile 1: its attributes are not what devices can",
    """UPDATE profile SET attributes = '{"platform":""}'""": "profile 1: its attributes are not what devices can",
    "UPDATE profile SET attributes = '[]'": "profile 1: its attributes are not what devices can have",
    "UPDATE experiment SET audience = '[' WHERE id = 3": "offer: its audience can't be read",
    "UPDATE experiment SET audience = '[\"platform==ios\"]' WHERE id = 3": "offer: its audience can't be read",
    "UPDATE experiment SET audience = '[]' WHERE id = 3": "device 1: has no value of offer, which was taking devices",
    "UPDATE device SET profile_id = NULL WHERE id = 8": "device 8 in offer: was enrolled, but does not fulfil",
    "UPDATE device SET profile_id = 1 WHERE id = 9": "device 9: has no value of offer, which was taking devices then",
    "DELETE FROM assignment WHERE experiment_id = 3": "device 8: has no value of offer, which was taking",
    "INSERT INTO assignment VALUES (9, 3, 3, 5, 1)": "device 9 in offer: was enrolled, but does not",
    "UPDATE phase SET coverage = '1' WHERE id = 4": "ramp: position",
    "UPDATE phase SET coverage = '0.5' WHERE id = 4": "of phase 1, no value has",
    "UPDATE phase SET coverage = 'x' WHERE id = 4": "ramp: phase 1: its weights or coverage can't be read",
    "UPDATE phase SET coverage = '1.5' WHERE id = 4": "ramp: phase 1: its weights or coverage can't be read",
    "DELETE FROM variant WHERE place = -1": "ramp: phase 1: its weights or coverage can't be read",
    "UPDATE assignment SET variant_id = 9 WHERE experiment_id = 4": "but no value is stored",
    "UPDATE assignment SET variant_id = 7 WHERE experiment_id = 4": "gives no value, but 'ramp-0' is stored",
    "UPDATE summary_variant SET devices = 9 WHERE variant_id = 9": "phase 1 of ramp, variant 9: 9 devices, but the",
    "INSERT INTO summary_day (phase_id, variant_id, day, devices) VALUES (4, 9, 0, 16)": "variant 9, day 1970-01-01",
    "INSERT INTO assignment VALUES (9, 5, 5, 10, 6)": "9 in full: was enrolled, but the experiment already had its 6",
    "UPDATE phase SET stop_at = 9 WHERE id = 5": "device 7: has no value of full, which was taking devices then",
    "UPDATE phase SET stop_at = 4 WHERE id = 5": "device 5 in full: was enrolled, but the experiment already",
    "UPDATE phase SET stop_at = NULL WHERE id = 5": "device 7: has no value of full, which was taking devices then",
    "UPDATE summary_outside SET devices = 7 WHERE place = -1": "offer running, outside its audience: 7 devices, but",
    "DELETE FROM summary_outside WHERE place = 1": "offer running, outside its condition 2: 0 devices, but",
    "UPDATE test_value SET variant_id = 3": "test device 1 in color: its variant belongs to another experiment",
    "UPDATE test_value SET experiment_id = 4, variant_id = 9": "test device 1 in ramp: its variant belongs",
    "UPDATE test_value SET experiment_id = 99": "test device 1: has a value of an unknown experiment",
    "UPDATE experiment SET kind = 'group' WHERE id = 1": "test device 1: has a value of an unknown experiment",
    "UPDATE test_device SET token = '2 phone'": "test device 1 in color: the experiment belongs to another app",
    "UPDATE test_device SET token = 'x phone'": "test device 1 in color: the experiment belongs to another app",
}
IN_SQLITE = {
    "UPDATE experiment SET seed = randomblob(32) WHERE id = 1": "gives",
    "UPDATE assignment SET device_id = 0 WHERE device_id = 9": "3 rows of devices, tokens or assignments have",
    "UPDATE assignment SET device_id = 21 WHERE device_id = 9": "3 rows of devices, tokens or assignments have",
    "UPDATE device SET id = 40 WHERE id = 20": "1 rows of devices, tokens or assignments have",
    "UPDATE sqlite_sequence SET seq = 19 WHERE name = 'device'": "5 rows of devices, tokens or assignments",
    "INSERT INTO device_token VALUES ('another', 9)": "device 9: has 2 tokens",
    "UPDATE device_token SET device_id = 21 WHERE device_id = 9": "1 rows of devices, tokens or assignments have",
    "UPDATE metric_device SET total = 'x' WHERE device_id = 10": "conversion:purchase of color: its total is missing",
    "UPDATE summary_hour SET hour = 4000000000000000": "hour 4000000000000000 since 1970",
}
IN_POSTGRES = {
    "UPDATE experiment SET seed = decode(repeat('07', 32), 'hex') WHERE id = 1": "gives",
    "UPDATE device SET id = 40 WHERE id = 20": "rows of devices, tokens or assignments have a device id that was",
    "UPDATE last_number SET number = 19 WHERE name = 'device'": "5 rows of devices, tokens or assignments",
    "UPDATE device SET positions = positions[1:1] WHERE id = 9": "device 9 in price: has no position",
    "UPDATE device SET variants = variants[1:1] WHERE id = 9": "device 9 in price: its variant belongs to another",
    "UPDATE device SET phases = phases[1:1] WHERE id = 9": "device 9 in an unknown experiment: its phase belongs to",
    "UPDATE device SET phases[1] = NULL WHERE id = 9": "device 9 in an unknown experiment: its phase belongs to",
    "UPDATE device SET token = 'x ' || token WHERE id = 9": "device 9: its token and its attributes belong to",
    "UPDATE metric_device SET total = 'NaN' WHERE device_id = 10": "purchase of color: its total is missing",
    "UPDATE summary_hour SET hour = 2000000000": "hour 2000000000 since 1970",
}


async def make(store: SQLiteStore) -> None:
    metrics = ("conversion:purchase", "amount:purchase")
    await store.add([experiment("color", "1", "1", metrics=metrics), experiment("price", "97", "3")], 1)
    await store.add([experiment("offer", "1", "1", audience=("platform=ios", "country!=US"))], 1)
    await store.add([experiment("ramp", "1", "1", coverage="0.2"), experiment("full", "1", "1", stop_at=6)], 1)
    await store.enrol(tokens("a", 20), 1, {"a-7": read_attributes([("platform", "ios"), ("country", "DE")])})
    for place, token in enumerate(tokens("a", 20)):
        sent = [Event("1", "purchase", amount=place)] if place % 2 else [Event("1", "exposure", "color")]
        await store.track([(token, sent)], 1)
    await store.add_test_device("phone", {"color": "color-1"}, "", 1)
    await worker.tick(store)


async def damaged(store: SQLiteStore, statement: str) -> str:
    """What verify finds after this statement."""
    await make(store)
    assert not (await VerificationService(store).verify()).broken
    by_hand(store, statement)
    return "\n".join((await VerificationService(store).verify()).findings)


@pytest.mark.parametrize("statement", DAMAGES)
async def test_damage_is_seen(store: SQLiteStore, statement: str) -> None:
    assert DAMAGES[statement] in await damaged(store, statement)


@only_in_sqlite
@pytest.mark.parametrize("statement", IN_SQLITE)
async def test_damage_that_only_sqlite_can_have_is_seen(store: SQLiteStore, statement: str) -> None:
    assert IN_SQLITE[statement] in await damaged(store, statement)


@only_in_postgres
@pytest.mark.parametrize("statement", IN_POSTGRES)
async def test_damage_that_only_postgresql_can_have_is_seen(store: SQLiteStore, statement: str) -> None:
    assert IN_POSTGRES[statement] in await damaged(store, statement)


@pytest.mark.parametrize("experiments", [0, 1])
async def test_an_empty_database_verifies(store: SQLiteStore, experiments: int) -> None:
    await store.add([experiment(f"color-{n}", "1", "1") for n in range(experiments)], 1)
    assert (await VerificationService(store).verify()).broken == 0
    await answers(store, tokens("a", 3 * (1 - experiments)))
    assert (await VerificationService(store).verify()).broken == 0


async def test_a_database_verifies_while_it_is_used(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abtest.trust.verification.CHUNK", 10)
    changes = [Change(status=Status.PAUSED), Change(weights=(Decimal(3), Decimal(2))), Change(status=Status.RUNNING)]

    async def use(store: SQLiteStore) -> None:
        for number, change in enumerate(20 * changes):
            await store.change("color", lambda _, change=change: change, 2)  # type: ignore[misc]
            await answers(store, tokens(f"later-{number}", 7))
            await worker.tick(store)

    await make(store)
    using = asyncio.create_task(use(store))
    verified = []
    while not using.done():
        verified.append(await VerificationService(store).verify())
    await using
    assert {found.findings for found in verified} == {()}
    assert len({found.devices for found in verified}) > 2


async def test_a_correct_chunk_is_not_read_row_by_row(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    explained: list[int] = []
    whole = Audit._explain

    def explain(audit: Audit, chunk: Any, taking: Any) -> Any:
        explained.append(chunk.after)
        return whole(audit, chunk, taking)

    monkeypatch.setattr(Audit, "_explain", explain)
    await make(store)
    await VerificationService(store).verify()
    assert explained == []
    by_hand(store, "UPDATE assignment SET position = 30 WHERE device_id = 3")
    await VerificationService(store).verify()
    assert explained == [0]


async def test_a_whole_life_verifies(store: SQLiteStore) -> None:
    await answers(store, tokens("early", 5))
    await make(store)
    for number, change in enumerate(
        [
            Change(status=Status.PAUSED),
            Change(weights=(Decimal(3), Decimal(2))),
            Change(status=Status.RUNNING),
            Change(weights=(Decimal(1), Decimal(96))),
            Change(status=Status.FINISHED, winner="color-1"),
            Change(status=Status.ARCHIVED),
        ]
    ):
        await store.change("color", lambda _, change=change: change, 2)  # type: ignore[misc]
        await answers(store, tokens(f"phase-{number}", 33))
    await worker.tick(store)
    verified = await VerificationService(store).verify()
    assert verified.findings == ()
    assert (verified.devices, verified.experiments) == (5 + 20 + 6 * 33, 5)


async def test_why_explains_what_let_a_device_in_and_what_kept_it_out(store: SQLiteStore) -> None:
    await answers(store, ["early"])
    await store.add([experiment("color", "1", "1"), experiment("price", "1", "1", draft=True)], 1)
    await answers(store, ["late"])
    await store.change("color", lambda _: Change(status=Status.FINISHED, winner="color-1"), 2)
    await answers(store, ["last"])
    service = ExplanationService(store)
    reasons = {
        token: [each.reason for each in (await service.why(token)).experiments] for token in ("early", "late", "last")
    }
    assert reasons == {
        "early": ["first seen before the experiment was created"] * 2,
        "late": [
            "drawn as number 1 of phase 1",
            "the experiment was a draft when the device was first seen",
        ],
        "last": [
            "the winner: the experiment was finished when the device was first seen",
            "the experiment was a draft when the device was first seen",
        ],
    }


async def test_why_names_the_condition_that_kept_a_device_out(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", audience=("platform=ios", "app_version>=3.10"))], 1)
    said = {"old": [("platform", "ios"), ("app_version", "3.9.1")], "web": [("platform", "web")]}
    await store.enrol(["old", "web", "silent"], 1, {token: read_attributes(each) for token, each in said.items()})
    await store.change("color", lambda _: Change(status=Status.PAUSED), 2)
    await answers(store, ["later"])
    await store.change("color", lambda _: Change(status=Status.FINISHED, winner="color-1"), 2)
    await answers(store, ["last"])
    service = ExplanationService(store)
    reasons = {
        token: (await service.why(token)).experiments[0].reason for token in ("old", "web", "silent", "later", "last")
    }
    assert reasons == {
        "old": "outside: app_version 3.9.1 is below 3.10",
        "web": "outside: platform web is not ios",
        "silent": "outside: platform is missing",
        "later": "the experiment was paused when the device was first seen",
        "last": "outside: platform is missing",
    }


async def test_why_says_that_an_experiment_had_its_devices(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", audience=("platform=ios",), stop_at=2)], 1)
    ios = read_attributes([("platform", "ios")])
    for phase in ("first", "later"):
        asked = tokens(phase, 3)
        await store.enrol([*asked, f"{phase}-web"], 1, dict.fromkeys(asked, ios))
        await store.change("color", lambda _: Change(stop_at=4), 2)
    service = ExplanationService(store)
    asked = ["first-1", "first-2", "first-web", "later-1", "later-2"]
    reasons = [(await service.why(token)).experiments[0].reason for token in asked]
    assert reasons == [
        "drawn as number 2 of phase 1",
        "the experiment already had its 2 devices when the device was first seen",
        "outside: platform is missing",
        "drawn as number 2 of phase 2",
        "the experiment already had its 4 devices when the device was first seen",
    ]


async def test_a_scheduled_life_verifies(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", start_at=1, end_at=clock.now() - 1)], 1)
    await answers(store, tokens("draft", 5))
    await worker.tick(store)
    await answers(store, tokens("ended", 5))
    await ExperimentService(store, by=ANNA).finish("color", "color-1")
    await answers(store, tokens("won", 5))
    await worker.tick(store)
    assert (await VerificationService(store).verify()).findings == ()
    (color,) = (await store.ledger()).experiments
    assert [(each.status, each.after_device) for each in color.statuses] == [
        ("draft", 0), ("running", 5), ("finished", 5), ("finished", 10),
    ]  # fmt: skip


async def test_what_a_forgotten_device_spent_leaves_every_histogram(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", metrics=("amount:purchase",))], 1)
    names = tokens("a", 12)
    await store.enrol(names, 1)
    for place, token in enumerate(names):
        events = [Event(f"{n}", "purchase", amount=10_000 * (place - 3) * n) for n in range(1, 4)]
        await store.track([(token, events)], (1 + place % 3) * clock.DAY)
    await worker.tick(store)
    await store.forget(names[:7])
    assert (await VerificationService(store).verify()).findings == ()
    (measured,) = await store.measured()
    cells = [each.sums for each in measured.metrics[0]]
    assert sum(devices for sums in cells for devices, *_ in sums.buckets.values()) == 5
    assert sum(devices for sums in cells for devices in sums.delays.values()) == 5
