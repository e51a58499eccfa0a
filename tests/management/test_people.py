"""People and access tokens: who is let in, with which role, and until when."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from abtest import clock
from abtest.domain import Role
from abtest.errors import Conflict, InvalidField, NotSignedIn, UnknownAccessToken, UnknownApp, UnknownPerson
from abtest.management import AccessTokenService, PeopleService, SignInService
from abtest.store.sqlite.store import SQLiteStore
from tests.processes import run
from tests.scenes import ANNA, opened
from tests.stores import only_in_sqlite

PASSWORD = "correct horse battery"


async def enter(store: SQLiteStore, name: str = "anna", role: Role = Role.ADMIN, app: str | None = None) -> str:
    """Add a person, who uses the link: the secret of the session."""
    _, link = await PeopleService(store, by=ANNA).add(name, role, app)
    return await SignInService(store).use_link(link.secret, PASSWORD)


async def names(store: SQLiteStore) -> list[str]:
    return [each.name for each in await PeopleService(store, by=ANNA).all()]


async def test_people_are_added_changed_and_removed(store: SQLiteStore) -> None:
    people = PeopleService(store, by=ANNA)
    await store.add_app("staging", 1)
    anna, _ = await people.add("Anna", Role.ADMIN)
    ben, _ = await people.add("Ben Olsen", Role.EDITOR, "staging")
    assert (anna.role, anna.app, anna.has_password) == (Role.ADMIN, None, False)
    assert await people.all() == [anna, ben]
    ben = await people.change("BEN OLSEN", Role.VIEWER)
    assert (ben.name, ben.role, ben.app) == ("Ben Olsen", Role.VIEWER, "staging")
    assert (await people.change("Ben Olsen", app=None)).app is None
    assert (await people.change("Ben Olsen", app="default")).role is Role.VIEWER
    await people.remove("ben olsen")
    assert await names(store) == ["Anna"]
    assert (await people.add("ben Olsen", Role.VIEWER))[0].name == "ben Olsen"


async def test_a_name_is_that_of_one_person(store: SQLiteStore) -> None:
    people = PeopleService(store, by=ANNA)
    await people.add("Zoë", Role.VIEWER)
    for name in ("Zoë", "ZOË", "zoe\u0308"):
        with pytest.raises(Conflict, match="already") as refused:
            await people.add(name, Role.ADMIN)
        assert refused.value.code == "person_exists"
    assert await names(store) == ["Zoë"]


async def test_who_or_what_there_is_not_is_refused(store: SQLiteStore) -> None:
    people = PeopleService(store, by=ANNA)
    for attempt in (people.remove("nobody"), people.link("nobody"), people.change("nobody", Role.ADMIN)):
        with pytest.raises(UnknownPerson, match="there is no person 'nobody'"):
            await attempt
    for app in ("nowhere", "\udcff", ""):
        with pytest.raises(UnknownApp):
            await people.add("anna", Role.VIEWER, app)
        with pytest.raises(UnknownApp):
            await AccessTokenService(store).add("ci", Role.VIEWER, app, by=ANNA)
    for name in ("\udcff", "", "a\nb", ".", ".."):
        with pytest.raises(InvalidField, match=r"^name"):
            await people.remove(name)
        with pytest.raises(InvalidField, match=r"^name"):
            await AccessTokenService(store).add(name, Role.VIEWER, by=ANNA)
    assert await names(store) == []


async def test_the_last_admin_of_every_app_stays_one(store: SQLiteStore) -> None:
    people = PeopleService(store, by=ANNA)
    await people.add("anna", Role.ADMIN)
    await people.add("ben", Role.ADMIN, "default")
    for attempt in (people.remove("anna"), people.change("anna", Role.EDITOR), people.change("anna", app="default")):
        with pytest.raises(Conflict, match="the last admin of every app is anna") as refused:
            await attempt
        assert refused.value.code == "last_admin"
    assert (await people.change("anna", Role.ADMIN)).app is None
    await people.remove("ben")
    await people.add("cleo", Role.ADMIN)
    assert (await people.change("anna", Role.VIEWER)).role is Role.VIEWER
    await people.remove("anna")
    with pytest.raises(Conflict):
        await people.remove("cleo")


def test_two_admins_who_remove_each_other_at_once_leave_one(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    for name in ("anna", "ben"):
        run(database, "people", "add", name, "--role", "admin")
    line = [sys.executable, "-m", "abtest", "--database", f"sqlite:///{database}", "people", "remove"]
    both = [
        subprocess.Popen([*line, name], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for name in ("anna", "ben")
    ]
    told = [each.communicate()[1] for each in both]
    assert sorted(each.returncode for each in both) == [0, 1], told
    assert any(b"the last admin of every app is" in each for each in told)


async def test_another_process_sees_a_change_in_the_next_request(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    async with opened(database) as store:
        await enter(store)
        secret = await enter(store, "ben", Role.VIEWER)
        made, token = await AccessTokenService(store).add("ci", Role.VIEWER, by=ANNA)
        entrance = SignInService(store)
        assert run(database, "people", "role", "ben", "editor").returncode == 0
        assert (await entrance.session(secret)).person.role is Role.EDITOR
        assert run(database, "people", "remove", "ben").returncode == 0
        with pytest.raises(NotSignedIn):
            await entrance.session(secret)
        assert run(database, "access-tokens", "revoke", str(made.id)).returncode == 0
        with pytest.raises(NotSignedIn):
            await AccessTokenService(store).find(token)


async def test_who_was_let_in_still_is_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        session = await enter(store)
        _, token = await AccessTokenService(store).add("ci", Role.EDITOR, by=ANNA)
    async with opened(tmp_path / "abtest.db") as store:
        assert (await SignInService(store).session(session)).person.name == "anna"
        assert (await AccessTokenService(store).find(token)).role is Role.EDITOR
        assert await SignInService(store).sign_in("anna", PASSWORD, None)


@only_in_sqlite
async def test_no_secret_and_no_password_is_in_the_database(store: SQLiteStore) -> None:
    session = await enter(store)
    link = await PeopleService(store, by=ANNA).link("anna")
    _, token = await AccessTokenService(store).add("ci", Role.EDITOR, by=ANNA)
    another = await SignInService(store).sign_in("anna", PASSWORD, None)
    secrets = {session, link.secret, token, another}
    assert len(secrets) == 4
    assert all(len(each.removeprefix("abt_")) == 43 for each in secrets)  # 256 bits, six in a character
    content = b"".join(path.read_bytes() for path in (store.path, store.log))
    assert b"$argon2id$" in content
    for each in (*secrets, token.removeprefix("abt_"), PASSWORD):
        assert each.encode()[:16] not in content


async def test_an_access_token_is_known_until_it_is_revoked(store: SQLiteStore) -> None:
    tokens = AccessTokenService(store)
    await store.add_app("staging", 1)
    made, secret = await tokens.add("ci", Role.EDITOR, "staging", by=ANNA)
    other, other_secret = await tokens.add("ci", Role.VIEWER, by=ANNA)
    assert secret.startswith("abt_")
    assert await tokens.all() == [made, other]
    found = await tokens.find(secret)
    assert (found.id, found.name, found.role, found.app) == (made.id, "ci", Role.EDITOR, "staging")
    await tokens.revoke(made.id, by=ANNA)
    for unknown in (secret, secret[:-1], secret.removeprefix("abt_"), "", "abt_", "\udcff", "a" * 100_000):
        with pytest.raises(NotSignedIn):
            await tokens.find(unknown)
    for id in (made.id, 0, -1, 2**63, 10**30):
        with pytest.raises(UnknownAccessToken):
            await tokens.revoke(id, by=ANNA)
    assert (await tokens.find(other_secret)).app is None


async def test_a_number_is_never_that_of_another_access_token(store: SQLiteStore) -> None:
    tokens = AccessTokenService(store)
    made, _ = await tokens.add("ci", Role.EDITOR, by=ANNA)
    await tokens.revoke(made.id, by=ANNA)
    assert (await tokens.add("ci", Role.EDITOR, by=ANNA))[0].id == made.id + 1


async def test_an_access_token_expires(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, began = AccessTokenService(store), clock.now()
    made, secret = await tokens.add("ci", Role.EDITOR, expires=clock.iso(began + clock.DAY), by=ANNA)
    assert made.expires_at is not None
    monkeypatch.setattr(clock, "now", lambda: made.expires_at - 1)
    assert await tokens.find(secret)
    monkeypatch.setattr(clock, "now", lambda: made.expires_at)
    with pytest.raises(NotSignedIn) as expired:
        await tokens.find(secret)
    with pytest.raises(NotSignedIn) as unknown:
        await tokens.find("abt_unknown")
    assert str(expired.value) == str(unknown.value)
    assert [each.id for each in await tokens.all()] == [made.id]


async def changes(store: SQLiteStore) -> int:
    """How many rows were written since the store was opened."""
    return await store.outside(lambda _: store._writer.total_changes)


@only_in_sqlite
async def test_requests_write_at_most_once_a_minute_that_somebody_came(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entrance, tokens, now = SignInService(store), AccessTokenService(store), clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    session = await enter(store)
    _, token = await tokens.add("ci", Role.EDITOR, by=ANNA)
    before, counts = await changes(store), []
    for seconds in (0, 1, 59, 61, 62, 120, 121):
        monkeypatch.setattr(clock, "now", lambda seconds=seconds: now + 1000 * seconds)
        await asyncio.gather(entrance.session(session), tokens.find(token))
        counts.append(await changes(store) - before)
    assert counts == [1, 1, 1, 4, 4, 4, 7]
    assert (await entrance.session(session)).seen_at == now + 121_000
    assert (await tokens.all())[0].used_at == now + 121_000
