import asyncio
from collections.abc import Mapping

import pytest

from abtest.enrolment.batching import Batches
from abtest.errors import AbtestError, Unavailable


class Deciding:
    """Doubles numbers once it may; refuses 13, and breaks on 0."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.batches: list[list[str]] = []

    async def __call__(self, batch: Mapping[str, int]) -> Mapping[str, int | AbtestError]:
        self.batches.append(list(batch))
        await self.may.wait()
        if 0 in batch.values():
            raise ZeroDivisionError
        return {
            key: Unavailable("unlucky") if asked == 13 else 2 * asked for key, asked in batch.items() if asked > 0
        }


async def test_a_request_expires_by_its_own_time_whenever_its_batch_began() -> None:
    deciding, clock, ended = Deciding(), asyncio.get_running_loop().time, dict[str, float]()
    batches = Batches(deciding, 10, 100, 0.2)
    first = batches.add("first", 1)
    await asyncio.sleep(0.12)
    second, asked = batches.add("second", 2), clock()
    first.add_done_callback(lambda _: ended.update(first=clock()))
    second.add_done_callback(lambda _: ended.update(second=clock()))
    await asyncio.wait({first, second})
    assert isinstance(first.exception(), Unavailable)
    assert isinstance(second.exception(), Unavailable)
    assert list(ended) == ["first", "second"]
    assert ended["second"] - asked > 0.19
    third = batches.add("third", 3)
    deciding.may.set()
    assert await third == 6


async def test_batches_grow_with_the_load() -> None:
    deciding = Deciding()
    batches = Batches(deciding, 3, 100, 60)
    futures = [batches.add(f"{n}", n) for n in range(1, 3)]
    await asyncio.sleep(0)
    futures += [batches.add(f"{n}", n) for n in range(3, 8)]
    deciding.may.set()
    assert await asyncio.gather(*futures) == [2, 4, 6, 8, 10, 12, 14]
    assert deciding.batches == [["1", "2"], ["3", "4", "5"], ["6", "7"]]


async def test_clients_just_answered_share_the_next_batch_with_those_that_waited() -> None:
    sizes: list[int] = []

    async def slowly(batch: Mapping[str, int]) -> Mapping[str, int]:
        sizes.append(len(batch))
        await asyncio.sleep(0.03)
        return batch

    async def ask_again_and_again(name: str) -> None:
        for n in range(6):
            assert await batches.add(name, n) == n

    batches = Batches(slowly, 100, 100, 60)
    asking = [asyncio.create_task(ask_again_and_again(f"a{n}")) for n in range(4)]
    await asyncio.sleep(0.01)
    asking += [asyncio.create_task(ask_again_and_again(f"b{n}")) for n in range(4)]
    await asyncio.gather(*asking)
    assert max(sizes) == 8
    assert len(sizes) < 12  # 7, or one more for each pause of the machine; 12 of 4 when nobody may come back


async def test_another_batch_begins_beside_one_only_if_enough_are_waiting() -> None:
    deciding = Deciding()
    batches = Batches(deciding, 100, 1_000, 60, at_once=2)

    async def sizes_after(*added: int) -> list[int]:
        futures.update({f"{n}": batches.add(f"{n}", n) for n in added})
        await asyncio.sleep(0)
        return [len(batch) for batch in deciding.batches]

    futures: dict[str, asyncio.Future[int]] = {}
    assert await sizes_after(1) == [1]
    assert await sizes_after(*range(100, 163)) == [1]
    assert await sizes_after(163) == [1, 64]
    assert await sizes_after(*range(200, 400)) == [1, 64]
    assert batches.waiting("1") is futures["1"]
    assert batches.waiting("399") is futures["399"]
    deciding.may.set()
    assert await asyncio.gather(*futures.values()) == [2 * int(key) for key in futures]
    assert [key for batch in deciding.batches for key in batch] == list(futures)
    await batches.drain()
    assert len(batches) == 0


async def test_a_key_that_gave_up_waits_again_for_the_same_batch() -> None:
    deciding = Deciding()
    batches = Batches(deciding, 1, 100, 0.01, at_once=2)
    first = [batches.add("a", 1), *(batches.add(f"{n}", n) for n in range(100, 170))]
    await asyncio.wait(first)
    again = batches.add("a", 1)
    deciding.may.set()
    assert await again == 2
    await batches.drain()
    assert [batch for batch in deciding.batches if batch == ["a"]] == [["a"]]


async def test_one_bad_request_fails_alone() -> None:
    deciding = Deciding()
    deciding.may.set()
    batches = Batches(deciding, 10, 100, 60)
    good, bad, unlucky, forgotten = (batches.add(name, n) for name, n in (("a", 1), ("b", 0), ("c", 13), ("d", -1)))
    await batches.drain()
    assert good.result() == 2
    assert isinstance(bad.exception(), ZeroDivisionError)
    assert isinstance(unlucky.exception(), Unavailable)
    assert isinstance(forgotten.exception(), RuntimeError)


async def test_waiting_requests_fail_when_the_work_is_cancelled() -> None:
    batches = Batches(Deciding(), 10, 100, 60)
    waiting = batches.add("a", 1)
    await asyncio.sleep(0)
    for working in batches._working:
        working.cancel()
    with pytest.raises(Unavailable, match="stopping"):
        await waiting
    assert len(batches) == 0
