"""Apps, holdouts, groups and ends, as devices meet them."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

from abtest.domain import Change, Kind, Status, new_group, new_holdout, scoped
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import VerificationService
from tests.scenes import answers, experiment, opened, tokens


async def group(store: SQLiteStore, **shares: str) -> None:
    """A group of new experiments with these shares."""
    await store.add([new_group("screen")], 1, kind=Kind.GROUP)
    for key, share in shares.items():
        await store.add([experiment(key, "1", "1")], 1)
        await store.join("screen", key, Decimal(share), 1)


def taken(got: list[dict[str, str]]) -> Counter[str]:
    """How many devices are in each experiment."""
    return Counter(key for answer in got for key in answer)


async def verified(store: SQLiteStore) -> tuple[str, ...]:
    return (await VerificationService(store).verify()).findings


async def test_a_device_is_in_at_most_one_experiment_of_a_group_and_the_shares_are_exact(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await group(store, one="0.3", two="0.5")
        got = await answers(store, tokens("a", 600))
        assert taken(got) == {"one": 180, "two": 300}
        assert max(map(len, got)) == 1
        assert Counter(value for answer in got for value in answer.values()) == {
            "one-0": 90,
            "one-1": 90,
            "two-0": 150,
            "two-1": 150,
        }
        assert not await verified(store)


async def test_who_joins_or_leaves_a_group_changes_no_other_share_and_no_device(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await group(store, one="0.3", two="0.5")
        before = await answers(store, tokens("a", 100))
        await store.leave("screen", "two", 1)
        assert taken(await answers(store, tokens("b", 100))) == {"one": 30, "two": 100}
        await store.add([experiment("three", "1", "1")], 1)
        await store.join("screen", "three", Decimal("0.7"), 1)
        await store.change("two", lambda _: Change(status=Status.PAUSED), 1)
        assert taken(await answers(store, tokens("c", 100))) == {"one": 30, "three": 70}
        assert await answers(store, tokens("a", 100)) == before
        assert not await verified(store)


async def test_a_winner_leaves_its_group_and_goes_to_every_new_device(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await group(store, one="0.5", two="0.5")
        await store.change("one", lambda _: Change(status=Status.FINISHED, winner="one-1"), 1)
        got = await answers(store, tokens("a", 20))
        assert taken(got) == {"one": 20, "two": 10}
        assert {answer["one"] for answer in got} == {"one-1"}
        await store.add([experiment("three", "1", "1")], 1)
        await store.join("screen", "three", Decimal("0.5"), 1)
        assert not await verified(store)


async def test_a_draft_keeps_its_share_of_a_group(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await group(store, one="0.5")
        await store.add([experiment("two", "1", "1", draft=True)], 1)
        await store.join("screen", "two", Decimal("0.5"), 1)
        assert taken(await answers(store, tokens("a", 100))) == {"one": 50}
        assert not await verified(store)


async def test_held_devices_are_in_no_experiment_ever(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await group(store, one="0.5")
        await store.add([experiment("all", "1", "1")], 1)
        await store.add([new_holdout("year", Decimal("0.05"))], 1, kind=Kind.HOLDOUT)
        got = await answers(store, tokens("a", 600))
        held = [token for token, answer in zip(tokens("a", 600), got, strict=True) if not answer]
        assert (len(held), taken(got)) == (30, {"all": 570, "one": 285})
        await store.change("year", lambda _: Change(status=Status.PAUSED), 1, kind=Kind.HOLDOUT)
        await store.change("all", lambda _: Change(status=Status.FINISHED, winner="all-0"), 1)
        assert await answers(store, held) == [{}] * 30
        assert taken(await answers(store, tokens("b", 100))) == {"all": 100, "one": 50}
        assert not await verified(store)


async def test_two_holdouts_hold_devices_one_after_the_other(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        for key in ("first", "second"):
            await store.add([new_holdout(key, Decimal("0.5"))], 1, kind=Kind.HOLDOUT)
        await store.add([experiment("all", "1", "1")], 1)
        assert taken(await answers(store, tokens("a", 400))) == {"all": 100}
        assert not await verified(store)


async def test_enrolment_ends_exactly_at_the_last_device(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("few", "1", "1", coverage="0.5", stop_at=75)], 1)
        got = [await answers(store, tokens(f"of-{batch}", 7)) for batch in range(40)]
        assert taken([answer for batch in got for answer in batch]) == {"few": 75}
        await store.change("few", lambda _: Change(stop_at=80, coverage=Decimal(1)), 1)
        assert taken(await answers(store, tokens("later", 50))) == {"few": 5}
        (few,) = await store.experiments()
        assert few.enrolled == 80
        assert not await verified(store)


async def test_the_same_token_in_two_apps_is_two_devices(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        staging = (await store.add_app("staging", 1)).id
        await store.add([experiment("color", "1", "1")], 1)
        await store.add([experiment("price", "1", "1")], 1, app="staging")
        both = [*tokens("a", 50), *(scoped(staging, token) for token in tokens("a", 50))]
        got = await answers(store, both)
        assert taken(got[:50]) == {"color": 50}
        assert taken(got[50:]) == {"price": 50}
        assert await answers(store, both) == got
        assert not await verified(store)


async def test_one_batch_of_several_apps_is_exact_in_each(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        apps = [1, *[(await store.add_app(key, 1)).id for key in ("one", "two")]]
        for key in ("default", "one", "two"):
            await store.add([experiment("color", "1", "1", "1")], 1, app=key)
        mixed = [scoped(apps[place % 3], token) for place, token in enumerate(tokens("a", 180))]
        got = await answers(store, mixed)
        for place in range(3):
            values = Counter(answer["color"] for answer in got[place::3])
            assert values == {"color-0": 20, "color-1": 20, "color-2": 20}
        assert not await verified(store)
