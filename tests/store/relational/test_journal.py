"""Reading the journal."""

from typing import Any

from abtest.domain import Change, Kind
from abtest.management import JournalService, SharedLinkService
from tests.scenes import ANNA, experiment


async def test_the_changes_of_an_experiment_are_found_among_what_else_happened(each_store: Any) -> None:
    journal = JournalService(each_store)
    await each_store.add_app("staging", 1)
    for app in ("default", "staging"):
        await each_store.add([experiment("color", "1", "1")], 2, app=app)
    await each_store.add([experiment("price", "1", "1")], 2)
    for text in ("one", "two"):
        await each_store.change("color", lambda _, text=text: Change(description=text), 3)
        await each_store.change("price", lambda _, text=text: Change(description=text), 3)
        await SharedLinkService(each_store).add("color", by=ANNA)
    found = await journal.changes("color")
    assert [each.after_facts for each in found] == [{"description": "two"}, {"description": "one"}]
    assert {(each.subject, each.app) for each in found} == {("color", "default")}
    assert await journal.changes("color", "staging") == await journal.changes("color", kind=Kind.HOLDOUT) == []
    assert await journal.changes("\0") == []
