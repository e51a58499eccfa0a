"""Accounts of single sign-on: whose they are, which role they bring, and who gets nobody's place."""

import asyncio

import pytest
from msgspec import UNSET, UnsetType

from abtest.domain import Browser, Identity, Person, Role, Sought
from abtest.enrolment import Rate
from abtest.errors import Conflict, NotAdmitted, NotSignedIn, TooManyAttempts, UnknownPerson
from abtest.language import by_said, entry_said
from abtest.management import JournalService, PeopleService, SignInService, signing_in
from abtest.store.sqlite.store import SQLiteStore
from tests.management.test_people import PASSWORD, enter, names
from tests.scenes import ANNA

ISSUER = "https://id.example.com"
EDITOR = (Role.EDITOR, None)
Grant = tuple[Role, str | None] | UnsetType | None


def account(subject: str, name: str, grant: Grant = UNSET, issuer: str = ISSUER) -> Identity:
    return Identity(issuer, subject, name, grant)


async def admitted(store: SQLiteStore, identity: Identity) -> Person:
    """Who is signed in with this account."""

    async def prove() -> Identity:
        return identity

    entrance = SignInService(store)
    return (await entrance.session(await entrance.admit(prove, "192.0.2.1", Browser(address="192.0.2.1")))).person


async def refused(store: SQLiteStore, identity: Identity) -> str:
    with pytest.raises(NotAdmitted) as error:
        await admitted(store, identity)
    return str(error.value)


async def told(store: SQLiteStore) -> list[str]:
    """What single sign-on wrote into the journal, the oldest first."""
    entries = await JournalService(store).newest(Sought(by="single sign-on"), 100)
    return [f"{by_said(each.by)}: {entry_said(each)}" for each in reversed(entries)]


async def test_who_was_invited_signs_in_and_keeps_the_account(store: SQLiteStore) -> None:
    await PeopleService(store, by=ANNA).add("ben", Role.VIEWER)
    ben = await admitted(store, account("1", "Ben"))
    assert (ben.name, ben.role, ben.is_connected) == ("ben", Role.VIEWER, True)
    # The provider gave the account another name, and the name another account.
    assert (await admitted(store, account("1", "benjamin"))).name == "ben"
    assert "belongs to another account here" in await refused(store, account("2", "ben"))
    assert await told(store) == [f"Ben, single sign-on, 192.0.2.1: connected ben: account 1 at {ISSUER}"]


async def test_who_was_not_invited_is_nobody(store: SQLiteStore) -> None:
    assert "nobody here has the name 'ben'; ask an admin" in await refused(store, account("1", "ben"))
    for name in ("", "a\x1bb", "x" * 65, " ben"):
        assert "the name of your account can't be used here: it must" in await refused(store, account("1", name))
    assert await names(store) == []
    assert await told(store) == []


async def test_a_role_of_the_provider_makes_a_person(store: SQLiteStore) -> None:
    ben = await admitted(store, account("1", "ben", EDITOR))
    assert (ben.role, ben.app, ben.has_password) == (Role.EDITOR, None, False)
    assert await told(store) == [
        "ben, single sign-on, 192.0.2.1: added ben: role editor, app every app",
        f"ben, single sign-on, 192.0.2.1: connected ben: account 1 at {ISSUER}",
    ]


async def test_the_role_is_that_of_the_last_sign_in(store: SQLiteStore) -> None:
    await store.add_app("staging", 1)
    await admitted(store, account("1", "ben", EDITOR))
    again = await admitted(store, account("1", "ben", (Role.VIEWER, "staging")))
    assert (again.role, again.app) == (Role.VIEWER, "staging")
    assert "role viewer (was editor), app staging (was every app)" in (await told(store))[-1]
    assert "there is no app 'gone'; ask an admin" in await refused(store, account("1", "ben", (Role.ADMIN, "gone")))


async def test_without_a_role_nobody_comes_in_and_sessions_end(store: SQLiteStore) -> None:
    entrance, older = SignInService(store), await enter(store, "ben")
    await enter(store)
    await admitted(store, account("1", "ben", EDITOR))
    assert await entrance.session(older)
    assert "your account has no role here; ask" in await refused(store, account("2", "ben", None))
    assert await entrance.session(older)  # that was not ben's account
    assert "has no role" in await refused(store, account("1", "ben", None))
    with pytest.raises(NotSignedIn):
        await entrance.session(older)
    assert await names(store) == ["ben", "anna"]


async def test_the_last_admin_of_every_app_stays_one(store: SQLiteStore) -> None:
    await enter(store)
    with pytest.raises(Conflict, match="last admin"):
        await admitted(store, account("1", "anna", EDITOR))
    (anna,) = await PeopleService(store, by=ANNA).all()
    assert (anna.role, anna.is_connected) == (Role.ADMIN, False)


@pytest.mark.parametrize(
    ("name", "other"),
    [("kim", "\u212aim"), ("anna", "\uff41nna"), ("strasse", "stra\u00dfe"), ("sina", "\u017fina"), ("zoë", "ZOË")],
)
async def test_a_name_that_is_only_taken_for_the_same_is_not_enough(
    store: SQLiteStore, name: str, other: str
) -> None:
    await PeopleService(store, by=ANNA).add(name, Role.ADMIN)
    assert "belongs to another account" in await refused(store, account("1", other))
    assert "belongs to another account" in await refused(store, account("1", other, EDITOR))
    with pytest.raises(NotAdmitted):
        await SignInService(store).vouched_for(other)
    assert (await SignInService(store).vouched_for(name.capitalize())).name == name
    assert (await admitted(store, account("2", name.capitalize()))).name == name


async def test_a_disconnected_person_is_connected_anew(store: SQLiteStore) -> None:
    people, entrance = PeopleService(store, by=ANNA), SignInService(store)
    older = await enter(store, "ben")
    assert await people.disconnect("ben") == 0
    await admitted(store, account("1", "ben"))
    assert await people.disconnect("BEN") == 1
    with pytest.raises(NotSignedIn):
        await entrance.session(older)
    assert await entrance.sign_in("ben", PASSWORD, None)
    assert (await admitted(store, account("2", "ben"))).name == "ben"
    assert "belongs to another account" in await refused(store, account("1", "ben"))
    with pytest.raises(UnknownPerson):
        await people.disconnect("nobody")
    (entry,) = await JournalService(store).newest(Sought(by="anna, person"), 1)
    assert entry_said(entry) == f"disconnected ben: accounts 1 at {ISSUER}"


async def test_accounts_of_two_providers_are_two(store: SQLiteStore) -> None:
    await PeopleService(store, by=ANNA).add("ben", Role.VIEWER)
    await PeopleService(store, by=ANNA).add("zoe", Role.VIEWER)
    assert (await admitted(store, account("1", "ben"))).name == "ben"
    assert (await admitted(store, account("1", "zoe", issuer="https://other.example"))).name == "zoe"
    assert (await admitted(store, account("2", "ben", issuer="https://other.example"))).name == "ben"
    assert (await admitted(store, account("1", "?"))).name == "ben"


async def test_who_is_removed_and_comes_again_is_a_new_person(store: SQLiteStore) -> None:
    await admitted(store, account("1", "ben", EDITOR))
    await PeopleService(store, by=ANNA).remove("ben")
    assert "nobody here has the name" in await refused(store, account("1", "ben"))
    assert (await admitted(store, account("1", "ben", EDITOR))).name == "ben"


async def test_two_browsers_at_once_connect_once(store: SQLiteStore) -> None:
    both = await asyncio.gather(*(admitted(store, account("1", "ben", EDITOR)) for _ in range(2)))
    assert {each.name for each in both} == {"ben"}
    assert len(await told(store)) == 2


async def test_attempts_that_fail_count(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_in, "PER_ADDRESS", Rate(1 / 1000, 1))
    entrance = SignInService(store)

    async def prove() -> Identity:
        return account("1", "ben", EDITOR)

    async def fail() -> Identity:
        raise NotAdmitted("no")

    for _ in range(2):
        assert await entrance.admit(prove, "192.0.2.1")
    with pytest.raises(NotAdmitted):
        await entrance.admit(fail, "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        await entrance.admit(prove, "192.0.2.1")
    assert await entrance.admit(prove, "192.0.2.2")


async def test_a_proxy_vouches_only_for_who_is_there(store: SQLiteStore) -> None:
    await PeopleService(store, by=ANNA).add("ben", Role.VIEWER)
    assert (await SignInService(store).vouched_for("BEN")).role is Role.VIEWER
    for name in ("nobody", "", "x" * 10_000, "ben\n", "\udcff"):
        with pytest.raises(NotAdmitted, match="nobody here has the name that your proxy sends"):
            await SignInService(store).vouched_for(name)
