"""A shared link shows one experiment to whoever has it, until it is revoked."""

import pytest

from abtest.domain import By, Sought
from abtest.errors import InvalidField, UnknownApp, UnknownExperiment, UnknownSharedLink
from abtest.management import AppService, ExperimentService, JournalService, SharedLinkService
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import ANNA, experiment
from tests.stores import only_in_sqlite


async def test_a_link_is_known_by_its_secret_until_it_is_revoked(store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1"), experiment("color", "1", "1")], 1)
    links = SharedLinkService(store)
    made, secret = await links.add("price", "for the board", by=ANNA)
    other, another = await links.add("color", by=ANNA)
    assert await links.find(secret) == made
    assert (made.app, made.key, made.note, made.made_by) == (
        "default",
        "price",
        "for the board",
        By("person", "anna"),
    )
    assert (await links.find(another)).key == "color"
    assert await links.all("price") == [made]
    assert await links.all() == [made, other]
    await links.revoke(made.id, by=ANNA)
    for unknown in (secret, "", "\udcff", f"{secret}x"):
        with pytest.raises(UnknownSharedLink, match="there is no such shared link"):
            await links.find(unknown)
    assert await links.all() == [other]


async def test_a_link_works_whatever_becomes_of_its_experiment(store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1")], 1)
    links, service = SharedLinkService(store), ExperimentService(store, by=ANNA)
    made, secret = await links.add("price", by=ANNA)
    await service.finish("price", "price-1", "it sells more")
    await service.archive("price")
    assert await links.find(secret) == made
    assert [each.id for each in await links.all("price")] == [made.id]


async def test_links_of_one_app_are_never_those_of_another(store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("staging")
    for app in ("default", "staging"):
        await store.add([experiment("price", "1", "1")], 1, app=app)
    links = SharedLinkService(store)
    made, secret = await links.add("price", app="staging", by=ANNA)
    assert (await links.all("price"), await links.all()) == ([], [])
    for app, key in (("default", None), ("default", "price")):
        with pytest.raises(UnknownSharedLink):
            await links.revoke(made.id, key, app, by=ANNA)
    assert (await links.find(secret)).app == "staging"
    await links.revoke(made.id, "price", "staging", by=ANNA)


async def test_a_link_is_revoked_where_it_is(store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1"), experiment("color", "1", "1")], 1)
    links = SharedLinkService(store)
    made, secret = await links.add("price", by=ANNA)
    for id in (made.id + 1, 0, -1, 10**30):
        with pytest.raises(UnknownSharedLink, match=f"there is no shared link {id}"):
            await links.revoke(id, by=ANNA)
    with pytest.raises(UnknownSharedLink):
        await links.revoke(made.id, "color", by=ANNA)
    assert await links.find(secret) == made


async def test_there_is_no_link_to_what_there_is_not(store: SQLiteStore) -> None:
    links = SharedLinkService(store)
    with pytest.raises(UnknownExperiment):
        await links.add("price", by=ANNA)
    with pytest.raises(UnknownExperiment):
        await links.all("price")
    with pytest.raises(UnknownApp):
        await links.all(app="nothing")
    await store.add([experiment("price", "1", "1")], 1)
    for note, fault in (("x" * 201, "at most 200"), ("a\nb", "control characters")):
        with pytest.raises(InvalidField, match=f"note: .*{fault}"):
            await links.add("price", note, by=ANNA)


async def test_who_shared_and_who_revoked_is_in_the_journal_without_the_secret(store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1")], 1)
    links = SharedLinkService(store)
    made, secret = await links.add("price", "for the board", by=ANNA)
    await links.revoke(made.id, by=ANNA)
    revoked, shared, _ = await JournalService(store).newest(Sought(about="price"), 10)
    assert {shared.by, revoked.by} == {ANNA}
    assert (shared.action, shared.app, shared.subject) == ("shared_link.add", "default", "price")
    assert dict(shared.after_facts) == dict(revoked.before_facts) == {"id": 1, "note": "for the board"}
    assert secret not in str((shared, revoked))


@only_in_sqlite
async def test_of_a_secret_only_its_hash_is_kept(store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1")], 1)
    _, secret = await SharedLinkService(store).add("price", by=ANNA)
    rows = await store.read(lambda connection: connection.execute("SELECT * FROM shared_link").fetchall())
    assert len(secret) == 43
    assert secret not in str(rows)
    await store.close()
    assert secret.encode() not in store.path.read_bytes()
