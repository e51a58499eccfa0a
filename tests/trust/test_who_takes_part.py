"""verify sees damage in what decides before an experiment does: apps, holdouts, groups, and where enrolment ends."""

from decimal import Decimal

import pytest

from abtest.domain import Change, Kind, Status, new_group, new_holdout, scoped
from abtest.enrolment import ExplanationService
from abtest.results import worker
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import verification
from abtest.trust.verification import VerificationService
from tests.scenes import experiment, tokens
from tests.stores import by_hand

# Ids: the holdout is 1, the group 2, one 3, two 4, full 5, staged 6. Of phases: the group has 2, 4 and 6, one has 3,
# two 5, full 7, staged 8. Of variants: held 1, free 2; outside the group 3, one's place in it 6, that of two 9.
DAMAGES = {
    "UPDATE assignment SET variant_id = 1 WHERE experiment_id = 1 AND variant_id = 2": "gives 'free', but 'held'",
    "UPDATE assignment SET variant_id = 2 WHERE experiment_id = 1 AND variant_id = 1": "no value of default/group",
    "DELETE FROM assignment WHERE experiment_id = 1 AND device_id = 9": "device 9: has no value of default/holdout",
    "UPDATE assignment SET variant_id = 9 WHERE experiment_id = 2 AND variant_id = 6": "was enrolled, but the group",
    "DELETE FROM assignment WHERE experiment_id = 2 AND position = 7": "has no value of default/group, which was",
    'UPDATE phase SET weights = \'["0.5", "0.2"]\' WHERE id = 6': "of phase 3 gives",
    "UPDATE phase SET coverage = '0' WHERE id = 6": "of phase 3 gives no value",
    'UPDATE phase SET weights = \'["0.5", "0.3", "0.1"]\' WHERE id = 6': "default/group: phase 3: its weights or",
    "UPDATE variant SET value = 'other' WHERE experiment_id = 2 AND value = 'one'": "has no value of default/one",
    "UPDATE phase SET stop_at = 2 WHERE id = 7": "default/full: was enrolled, but the experiment already had its 2",
    "UPDATE phase SET stop_at = 4 WHERE id = 7": "has no value of default/full, which was taking devices then",
    "UPDATE phase SET stop_at = NULL WHERE id = 7": "has no value of default/full, which was taking devices then",
    "UPDATE experiment SET app_id = 1 WHERE key = 'staged'": "has no value of default/staged, which was taking",
    "UPDATE device SET profile_id = NULL WHERE id = 31": "31: its token and its attributes belong to different apps",
    "UPDATE device SET profile_id = 1 WHERE id = 9": "9: its token and its attributes belong to different apps",
    "UPDATE device_token SET token = '3 a-0' WHERE token = '2 a-0'": "31: its token and its attributes belong to",
    "UPDATE assignment SET position = 77 WHERE device_id = 31": "device 31 in staging/staged: ",
    "UPDATE profile SET app_id = 1": "profile 1: its attributes are not what devices can have",
    "UPDATE summary_app SET devices = 29 WHERE app_id = 1": "summary: app default: 29 devices, but the rows say 35",
    "DELETE FROM summary_app WHERE app_id = 2": "summary: app staging: 0 devices, but the rows say 10",
    "UPDATE summary_winner SET devices = 7": "summary: default/two: 7 got the winner, but the rows say",
    "UPDATE summary_variant SET devices = 9 WHERE phase_id = 6": "summary: phase 3 of default/group, variant",
    "DELETE FROM app WHERE id = 2": "app 2: its row is missing",
    "UPDATE app SET key = 'other' WHERE id = 1": "app 1: has the key 'other'",
    "UPDATE app SET profiles = 7 WHERE id = 2": "app 2: 7 combinations of attributes are counted, but 0 are kept",
    "INSERT INTO test_device VALUES (9, 2, 'b', '', 'me', 1)": "1 test devices have a token of another app than",
}


async def make(store: SQLiteStore) -> None:
    await store.add([new_holdout("holdout", Decimal("0.2"))], 1, kind=Kind.HOLDOUT)
    await store.add([new_group("group")], 1, kind=Kind.GROUP)
    for key, share in (("one", "0.5"), ("two", "0.3")):
        await store.add([experiment(key, "1", "1")], 1)
        await store.join("group", key, Decimal(share), 1)
    await store.add([experiment("full", "1", "1", stop_at=3)], 1)
    await store.add_app("staging", 1)
    await store.add([experiment("staged", "1", "1")], 1, app="staging")
    await store.enrol(tokens("a", 20), 1)
    await store.enrol([*tokens("b", 10), *(scoped(2, token) for token in tokens("a", 10))], 1)
    await store.change("two", lambda _: Change(status=Status.FINISHED, winner="two-0"), 1)
    await store.enrol(tokens("c", 5), 1)
    await worker.tick(store)


@pytest.mark.parametrize("statement", DAMAGES)
async def test_damage_is_seen(store: SQLiteStore, statement: str) -> None:
    await make(store)
    assert not (await VerificationService(store).verify()).findings
    by_hand(store, statement)
    verified = await VerificationService(store).verify()
    assert any(DAMAGES[statement] in finding for finding in verified.findings), verified.findings


async def test_why_says_who_held_a_device_and_what_a_group_gave_it(store: SQLiteStore) -> None:
    await make(store)
    told = [await ExplanationService(store).why(token) for token in (*tokens("a", 20), *tokens("b", 10))]
    reasons = {reason.reason for each in told for reason in each.experiments if reason.value is None}
    assert {
        "held by the holdout holdout",
        "the group group gave the device to one",
        "the group group gave the device to two",
        "the group group gave the device to none of its experiments",
        "the experiment already had its 3 devices when the device was first seen",
    } == reasons
    held = next(each for each in told if each.holdouts[0].value == "held")
    assert {each.value for each in held.experiments} == {None}
    assert held.groups[0].reason == "held by the holdout holdout"
    given = next(each for each in told if each.groups[0].value == "two")
    assert {each.key for each in given.experiments if each.value is not None} - {"full"} == {"two"}


async def test_verify_goes_through_many_devices_of_several_apps_chunk_by_chunk(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "CHUNK", 7)
    await make(store)
    await store.enrol([scoped(1 + place % 2, token) for place, token in enumerate(tokens("d", 60))], 1)
    await worker.tick(store)
    verified = await VerificationService(store).verify()
    assert (verified.findings, verified.experiments) == ((), 4)
