"""What an entry of the journal is hashed from never changes: existing journals were written with it."""

from msgspec import structs

from abtest.domain import By, Entry, Hand
from abtest.domain.journal import chained

ENTRY = Entry(
    id=2,
    at=1_764_000_000_000,
    by=By(Hand.PERSON, "Ånna", "192.0.2.7"),
    app="default",
    action="experiment.change",
    subject="price",
    before='{"winner":null}',
    after='{"winner":"20"}',
    hash="",
)


def test_a_hash_is_what_it_always_was() -> None:
    assert chained("", ENTRY) == "17a1ed22f4aee31975198b2ea3378733a261a83212c7b6abe7bc007464a1ccae"
    assert (
        chained("0f", structs.replace(ENTRY, app=None, by=By(Hand.WORKER)))
        == "4e9eec3051b274c870fea9715c06e85421de9818f09e1382fbcc74b6f5c11de6"
    )


def test_a_hash_depends_on_every_field_and_on_the_entry_before() -> None:
    others = [
        structs.replace(ENTRY, id=3),
        structs.replace(ENTRY, at=1),
        structs.replace(ENTRY, by=By(Hand.ACCESS_TOKEN, "Ånna", "192.0.2.7")),
        structs.replace(ENTRY, by=By(Hand.PERSON, "Anna", "192.0.2.7")),
        structs.replace(ENTRY, by=By(Hand.PERSON, "Ånna")),
        structs.replace(ENTRY, app=None),
        structs.replace(ENTRY, action="experiment.add"),
        structs.replace(ENTRY, subject="prices"),
        structs.replace(ENTRY, before='{"winner":"20"}', after='{"winner":null}'),
        structs.replace(ENTRY, after="{}"),
    ]
    hashes = {chained("", ENTRY), chained("0f", ENTRY), *(chained("", each) for each in others)}
    assert len(hashes) == len(others) + 2
