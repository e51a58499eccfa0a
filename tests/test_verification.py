"""verify sees every kind of damage, each done by hand here."""

from decimal import Decimal
from pathlib import Path

import pytest

from abtest import worker
from abtest.models import Change, Status
from abtest.store.driver import open_raw
from abtest.store.sqlite import SQLiteStore
from abtest.verification import VerificationService
from tests.scenes import answers, experiment, opened, tokens

DAMAGES = {
    "UPDATE assignment SET variant_id = 3 - variant_id WHERE device_id = 9 AND experiment_id = 1": "gives",
    "DELETE FROM assignment WHERE device_id = 9 AND experiment_id = 1": "has no value of color",
    "DELETE FROM assignment WHERE device_id = 9 ": "is missing before",
    "UPDATE assignment SET position = 3 WHERE device_id = 9 AND experiment_id = 1": "is given twice",
    "UPDATE assignment SET position = NULL WHERE device_id = 9 AND experiment_id = 1": "has no position",
    "UPDATE assignment SET variant_id = 1 WHERE experiment_id = 1": "farther from its share than 0.50",
    "UPDATE experiment SET created_after_device = 10 WHERE id = 1": "was seen before the experiment was created",
    "UPDATE status_change SET status = 'paused'": "the experiment took no devices then",
    "UPDATE assignment SET phase_id = 2 WHERE device_id = 9 AND experiment_id = 1": "belongs to another experiment",
    "UPDATE assignment SET variant_id = 3 WHERE device_id = 9 AND experiment_id = 1": "its variant belongs to",
    "UPDATE phase SET next_position = 7 WHERE id = 1": "the next position is 7, 20 were given",
    "UPDATE phase SET block_counts = '[5, 5]' WHERE id = 1": "the counts before the block are",
    "DELETE FROM device WHERE id = 9": "device ids: 8 is followed by 10",
    "UPDATE summary_variant SET devices = devices + 1 WHERE phase_id = 2": "summary: phase 1 of price",
    "UPDATE summary_hour SET devices = devices - 1 WHERE experiment_id = 2": "summary: price, hour of",
    "UPDATE experiment SET seed = randomblob(32) WHERE id = 1": "gives",
}


async def make(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1"), experiment("price", "97", "3")], 1)
    await answers(store, tokens("a", 20))
    await worker.tick(store)


def damage(path: Path, statement: str) -> None:
    connection = open_raw(path)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("statement", DAMAGES)
async def test_damage_is_seen(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "abtest.db"
    async with opened(path) as store:
        await make(store)
        assert not (await VerificationService(store).verify()).broken
        damage(path, statement)
        verified = await VerificationService(store).verify()
    assert any(DAMAGES[statement] in finding for finding in verified.findings), verified.findings


async def test_a_whole_life_verifies(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
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
    assert (verified.devices, verified.experiments) == (5 + 20 + 6 * 33, 2)


async def test_why_tells_what_let_a_device_in_and_what_kept_it_out(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await answers(store, ["early"])
        await store.add([experiment("color", "1", "1"), experiment("price", "1", "1", draft=True)], 1)
        await answers(store, ["late"])
        await store.change("color", lambda _: Change(status=Status.FINISHED, winner="color-1"), 2)
        await answers(store, ["last"])
        service = VerificationService(store)
        reasons = {
            token: [each.reason for each in (await service.why(token)).experiments]
            for token in ("early", "late", "last")
        }
    assert reasons == {
        "early": ["first seen before the experiment was created"] * 2,
        "late": ["drawn at position 0 of phase 1", "the experiment was a draft when the device was first seen"],
        "last": [
            "the winner, since the experiment was finished then",
            "the experiment was a draft when the device was first seen",
        ],
    }
