"""Signing in: links, passwords, sessions, and who tries too often."""

import asyncio
from collections import Counter
from threading import get_ident

import pytest
from argon2 import PasswordHasher

from abtest import clock
from abtest.domain import Browser, Role
from abtest.enrolment import Rate
from abtest.errors import (
    InvalidField,
    NotSignedIn,
    TooManyAttempts,
    Unavailable,
    UnknownLink,
    UnknownPerson,
    WrongPassword,
)
from abtest.management import PeopleService, SignInService, credentials, signing_in
from abtest.management.credentials import HASHER
from abtest.store.relational.admitting import session_rows
from abtest.store.sqlite.store import SQLiteStore
from tests.management.test_people import PASSWORD, enter
from tests.scenes import ANNA


async def refused(service: SignInService, name: str, password: str, address: str | None = None) -> str:
    """What is said to who may not come in."""
    with pytest.raises(WrongPassword) as error:
        await service.sign_in(name, password, address)
    return str(error.value)


async def test_who_has_the_password_comes_in(store: SQLiteStore) -> None:
    await enter(store)
    entrance = SignInService(store)
    session = await entrance.session(await entrance.sign_in("ANNA", PASSWORD, "192.0.2.1"))
    assert (session.person.name, session.person.role, session.person.app) == ("anna", Role.ADMIN, None)
    assert session.person.has_password


async def test_who_has_not_is_not_told_why(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await enter(store)
    await PeopleService(store, by=ANNA).add("ben", Role.VIEWER)
    verified, verify = list[str](), PasswordHasher.verify

    def counting(self: PasswordHasher, kept: str, password: bytes) -> bool:
        verified.append(kept)
        return verify(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    attempts = [
        ("anna", PASSWORD + "!"),
        ("nobody", PASSWORD),
        ("ben", ""),
        ("a" * 100_000, "x"),
        ("\udcff", "\udcff"),
    ]
    entrance = SignInService(store)
    assert {await refused(entrance, *each) for each in attempts} == {"the name or the password is wrong"}
    # Each took the work of one comparison.
    assert len(verified) == len(attempts)
    assert verified.count(credentials.UNKNOWN) == 4
    assert not HASHER.check_needs_rehash(credentials.UNKNOWN)


async def test_a_password_is_the_same_however_a_keyboard_writes_it(store: SQLiteStore) -> None:
    _, link = await PeopleService(store, by=ANNA).add("zoe", Role.VIEWER)
    entrance = SignInService(store)
    await entrance.use_link(link.secret, "Zoë in the garden")
    assert await entrance.sign_in("zoe", "Zoe\u0308 in the garden", None)
    await refused(entrance, "zoe", "zoë in the garden")


async def test_passwords_are_hashed_beside_the_loop_and_one_at_a_time(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enter(store)
    entrance, threads, at_once = SignInService(store), set[int](), Counter[str]()
    verify = PasswordHasher.verify

    def watching(self: PasswordHasher, kept: str, password: bytes) -> bool:
        threads.add(get_ident())
        at_once["running"] += 1
        at_once["most"] = max(at_once["most"], at_once["running"])
        try:
            return verify(self, kept, password)
        finally:
            at_once["running"] -= 1

    monkeypatch.setattr(PasswordHasher, "verify", watching)
    await asyncio.gather(*(entrance.sign_in("anna", PASSWORD, None) for _ in range(4)))
    assert get_ident() not in threads
    assert at_once["most"] == 1


async def test_a_crowd_is_refused_at_once_and_nothing_counts_that_was_not_compared(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "MOST_COMPARED", 2)
    monkeypatch.setattr(signing_in, "PER_ADDRESS", Rate(1 / 1000, 6))
    await enter(store)
    entrance = SignInService(store)
    crowd = [entrance.sign_in(f"nobody {number}", "wrong", "192.0.2.1") for number in range(6)]
    found = await asyncio.gather(*crowd, return_exceptions=True)
    assert Counter(type(each) for each in found) == {WrongPassword: 2, Unavailable: 4}
    for _ in range(4):
        await refused(entrance, "anna", "wrong", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        await entrance.sign_in("anna", PASSWORD, "192.0.2.1")


async def test_a_link_works_once(store: SQLiteStore) -> None:
    _, link = await PeopleService(store, by=ANNA).add("anna", Role.EDITOR)
    entrance = SignInService(store)
    for _ in range(2):  # a program that looks at links in mails uses none up
        assert (await entrance.linked(link.secret)).name == "anna"
    with pytest.raises(InvalidField, match="at least 12"):
        await entrance.use_link(link.secret, "short")
    passwords = [PASSWORD + "1", PASSWORD + "2"]
    both = await asyncio.gather(*(entrance.use_link(link.secret, each) for each in passwords), return_exceptions=True)
    assert {type(each) for each in both} == {str, UnknownLink}  # one of them is first
    (secret,) = [each for each in both if isinstance(each, str)]
    assert (await entrance.session(secret)).person.name == "anna"
    assert await entrance.sign_in("anna", passwords.pop(both.index(secret)), None)
    await refused(entrance, "anna", *passwords)
    for secret in (link.secret, "", "\udcff"):
        with pytest.raises(UnknownLink, match="used already, has expired, or was replaced"):
            await entrance.linked(secret)


async def test_a_newer_link_voids_the_older_one(store: SQLiteStore) -> None:
    people, entrance = PeopleService(store, by=ANNA), SignInService(store)
    _, older = await people.add("anna", Role.EDITOR)
    newer = await people.link("Anna")
    with pytest.raises(UnknownLink):
        await entrance.use_link(older.secret, PASSWORD)
    assert await entrance.use_link(newer.secret, PASSWORD)


async def test_a_link_lasts_a_day(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    began = clock.now()
    _, link = await PeopleService(store, by=ANNA).add("anna", Role.EDITOR)
    assert began + clock.DAY <= link.expires_at <= clock.now() + clock.DAY
    monkeypatch.setattr(clock, "now", lambda: link.expires_at - 1)
    assert await SignInService(store).linked(link.secret)
    monkeypatch.setattr(clock, "now", lambda: link.expires_at)
    with pytest.raises(UnknownLink):
        await SignInService(store).use_link(link.secret, PASSWORD)


async def test_another_password_ends_every_session_and_the_older_password(store: SQLiteStore) -> None:
    older = await enter(store)
    entrance = SignInService(store)
    link = await PeopleService(store, by=ANNA).link("anna")
    assert await entrance.session(older)  # a link that nobody used changes nothing
    newer = await entrance.use_link(link.secret, "another horse battery")
    with pytest.raises(NotSignedIn):
        await entrance.session(older)
    assert await entrance.session(newer)
    await refused(entrance, "anna", PASSWORD)


async def test_a_password_that_was_replaced_while_it_was_compared_lets_nobody_in(store: SQLiteStore) -> None:
    await enter(store)
    kept = await store.password("anna")
    assert kept is not None
    link = await PeopleService(store, by=ANNA).link("anna")
    await SignInService(store).use_link(link.secret, "another horse battery")
    assert not await store.begin_session("anna", kept, b"1" * 32, clock.now())


async def test_sessions_are_listed_and_ended(store: SQLiteStore) -> None:
    await enter(store, "ben")
    first = await enter(store)
    entrance = SignInService(store)
    second, third = [await entrance.sign_in("anna", PASSWORD, None) for _ in range(2)]
    listed = await entrance.sessions("Anna")
    assert [each.id for each in listed] == [(await entrance.session(each)).id for each in (first, second, third)]
    (of_ben,) = await entrance.sessions("ben")
    for other in (of_ben.id, 10**30, -1):
        assert await entrance.end_sessions("anna", other, by=ANNA) == 0
    assert await entrance.end_sessions("anna", listed[0].id, by=ANNA) == 1
    with pytest.raises(NotSignedIn):
        await entrance.session(first)
    assert await entrance.end_sessions("anna", by=ANNA) == 2
    assert await entrance.sessions("anna") == []
    assert len(await entrance.sessions("ben")) == 1
    with pytest.raises(UnknownPerson):
        await entrance.end_sessions("nobody", by=ANNA)


async def test_who_signs_in_again_and_again_keeps_the_sessions_that_are_used(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_rows, "MOST_SESSIONS", 3)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    used, entrance = await enter(store), SignInService(store)
    await enter(store, "ben")
    others = [await entrance.sign_in("anna", PASSWORD, None) for _ in range(2)]
    monkeypatch.setattr(clock, "now", lambda: now + 2 * signing_in.NOTED_AGAIN_AFTER)
    assert await entrance.session(used)
    newest = await entrance.sign_in("anna", PASSWORD, None)
    for secret in (used, others[1], newest):
        assert await entrance.session(secret)
    with pytest.raises(NotSignedIn):
        await entrance.session(others[0])
    assert len(await entrance.sessions("ben")) == 1


async def test_a_session_ends_30_days_after_it_was_last_used(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    secret, entrance = await enter(store), SignInService(store)
    for days in (29, 58, 87):
        monkeypatch.setattr(clock, "now", lambda days=days: now + days * clock.DAY)
        assert await entrance.session(secret)
    monkeypatch.setattr(clock, "now", lambda: now + 117 * clock.DAY)
    with pytest.raises(NotSignedIn):
        await entrance.session(secret)
    assert await entrance.sessions("anna") == []
    await entrance.sign_in("anna", PASSWORD, None)
    assert await entrance.end_sessions("anna", by=ANNA) == 1  # the expired one is gone


async def test_whoever_tries_one_name_is_slowed_down(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_in, "PER_NAME", Rate(1 / 1000, 2))
    await enter(store)
    await enter(store, "ben")
    entrance = SignInService(store)
    for place, name in enumerate(("anna", "ANNA")):
        await refused(entrance, name, "wrong", f"192.0.2.{place}")
    with pytest.raises(TooManyAttempts) as slowed:
        await entrance.sign_in("anna", PASSWORD, "192.0.2.9")
    assert 0 < slowed.value.retry_after <= 1000
    assert await entrance.sign_in("ben", PASSWORD, "192.0.2.9")
    link = await PeopleService(store, by=ANNA).link("anna")
    assert await entrance.use_link(link.secret, PASSWORD)


async def test_whoever_tries_from_one_address_is_slowed_down(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "PER_ADDRESS", Rate(1 / 1000, 2))
    await enter(store)
    entrance = SignInService(store)
    for name in ("a", "b"):
        await refused(entrance, name, "wrong", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        await entrance.sign_in("anna", PASSWORD, "192.0.2.1")
    assert await entrance.sign_in("anna", PASSWORD, "192.0.2.2")


async def test_attempts_that_succeed_do_not_count(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_in, "PER_NAME", Rate(1 / 1000, 1))
    monkeypatch.setattr(signing_in, "PER_ADDRESS", Rate(1 / 1000, 1))
    await enter(store)
    entrance = SignInService(store)
    for _ in range(3):
        assert await entrance.sign_in("anna", PASSWORD, "192.0.2.1")


async def test_a_changed_password_ends_every_other_session_and_the_link(store: SQLiteStore) -> None:
    entrance, other = SignInService(store), await enter(store)
    secret = await entrance.sign_in("anna", PASSWORD, None)
    link = await PeopleService(store, by=ANNA).link("anna")
    session = await entrance.session(secret)
    for current, password, message in (
        ("wrong", "another horse battery", "current: is not your password"),
        (PASSWORD, "short", "password: must have at least 12 characters"),
    ):
        with pytest.raises(InvalidField, match=message):
            await entrance.change_password("anna", current, password, None, session.id, by=ANNA)
    await entrance.change_password("anna", PASSWORD, "another horse battery", None, session.id, by=ANNA)
    assert [each.id for each in await entrance.sessions("anna")] == [session.id]
    with pytest.raises(NotSignedIn):
        await entrance.session(other)
    with pytest.raises(UnknownLink):
        await entrance.linked(link.secret)
    with pytest.raises(WrongPassword):
        await entrance.sign_in("anna", PASSWORD, None)
    assert await entrance.sign_in("anna", "another horse battery", None)


async def test_who_has_a_session_but_not_the_password_can_only_guess_slowly(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "PER_NAME", Rate(1 / 1000, 2))
    entrance = SignInService(store)
    session = await entrance.session(await enter(store))
    with pytest.raises(TooManyAttempts):
        for number in range(3):
            with pytest.raises(InvalidField):
                await entrance.change_password(
                    "anna", f"guess {number}", "another horse battery", None, session.id, by=ANNA
                )


async def test_a_session_says_which_browser_it_is_and_a_person_when_it_was_used(store: SQLiteStore) -> None:
    entrance, people, browser = SignInService(store), PeopleService(store, by=ANNA), Browser("Edge", "192.0.2.3")
    _, link = await people.add("anna", Role.ADMIN)
    assert (await people.all())[0].seen_at is None
    session = await entrance.session(await entrance.use_link(link.secret, PASSWORD, browser))
    assert (session.browser, session.person.seen_at) == (browser, session.seen_at)
    assert (await entrance.sessions("anna"))[0].browser == browser
    await entrance.sign_out(session)
    assert await entrance.sessions("anna") == []
    assert (await people.all())[0].seen_at == session.seen_at
