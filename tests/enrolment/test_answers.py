import asyncio
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from abtest.domain.experiments import Change, NewExperiment, Status, Variant
from abtest.domain.values import Type
from abtest.enrolment.answers import EnrolmentService, Limits, render
from abtest.errors import StorageError, Unavailable
from abtest.store.enrolment import Delivered
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import experiment, new, values_by_key

COLOR = NewExperiment(key="color", variants=tuple(Variant(value, Decimal(1)) for value in ("red", "green", "blue")))


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(new(tmp_path / "abtest.db"))
    io_loop.run_sync(opened.open)
    io_loop.run_sync(lambda: opened.add([COLOR], 1))
    yield opened
    io_loop.run_sync(opened.close)


async def test_concurrent_first_requests_of_a_device_get_one_answer(store: SQLiteStore) -> None:
    service = EnrolmentService(store, Limits(deadline=600))
    answers = await asyncio.gather(*[service.answer(f"device-{n % 30}") for n in range(300)])
    assert all(answers[n] == answers[n % 30] for n in range(300))
    assert Counter(values_by_key(answer)["color"] for answer in answers[:30]) == {"red": 10, "green": 10, "blue": 10}


async def test_a_cached_answer_is_the_stored_one(store: SQLiteStore) -> None:
    service = EnrolmentService(store, Limits(deadline=600))
    answer = await service.answer("device")
    assert service.cached("device") == answer
    assert await EnrolmentService(store, Limits(deadline=600)).answer("device") == answer


async def test_the_cache_stays_within_its_limit(store: SQLiteStore) -> None:
    service = EnrolmentService(store, Limits(cache=10, deadline=600))
    for n in range(25):
        await service.answer(f"device-{n}")
    assert sum(service.cached(f"device-{n}") is not None for n in range(25)) == 10


async def test_rendered_answers_stay_within_the_limit_of_the_cache(store: SQLiteStore) -> None:
    await store.add([experiment(f"e{n}", "1", "1", "1") for n in range(10)], 1)
    service = EnrolmentService(store, Limits(cache=10, batch=5, deadline=600))
    await asyncio.gather(*[service.answer(f"device-{n}") for n in range(200)])
    assert service.cached_devices == 10
    assert len(service._rendered) <= 15


async def test_an_archived_experiment_leaves_the_cache(store: SQLiteStore) -> None:
    service = EnrolmentService(store, Limits(deadline=600))
    assert values_by_key(await service.answer("device"))
    await store.change("color", lambda _: Change(status=Status.ARCHIVED), 2)
    await service.refresh()
    assert values_by_key(await service.answer("device")) == {}


async def test_a_full_queue_refuses_requests_and_answers_those_it_accepted(store: SQLiteStore) -> None:
    service = EnrolmentService(store, Limits(queue=2, deadline=600))
    accepted = [asyncio.create_task(service.answer(f"device-{n}")) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        await service.answer("device-2")
    assert refused.value.code == "queue_full"
    assert all(values_by_key(answer) for answer in await asyncio.gather(*accepted))


async def test_draining_answers_accepted_requests(store: SQLiteStore) -> None:
    service = EnrolmentService(store, Limits(deadline=600))
    accepted = asyncio.create_task(service.answer("device"))
    await asyncio.sleep(0)
    await service.drain()
    assert values_by_key(await accepted)
    with pytest.raises(Unavailable, match="stopping"):
        await service.answer("another")


async def test_finding_a_device_does_not_create_one(store: SQLiteStore) -> None:
    service = EnrolmentService(store, Limits(deadline=600))
    assert await service.find("device") is None
    answer = await service.answer("device")
    assert await EnrolmentService(store, Limits(deadline=600)).find("device") == answer


async def test_the_database_is_not_trusted_after_a_failure(store: SQLiteStore) -> None:
    service = EnrolmentService(store, Limits(deadline=600))
    await service.answer("device")
    store.path.rename(store.path.with_name("moved.db"))
    with pytest.raises(StorageError, match="deleted or replaced"):
        await service.answer("another")
    store.path.with_name("moved.db").rename(store.path)
    with pytest.raises(StorageError, match="deleted or replaced"):
        await service.answer("third")
    with pytest.raises(StorageError, match="deleted or replaced"):
        await service.find("device-that-nobody-knows")
    assert service.cached("device") is not None


def test_an_etag_belongs_to_the_answer() -> None:
    red, blue, again = (
        render([Delivered("color", value, Type.STRING)], frozenset()) for value in ("red", "blue", "red")
    )
    assert red.etag != blue.etag
    assert red.etag == again.etag
