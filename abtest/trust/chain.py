"""Checks that no entry of the journal was changed, added or removed: each hash depends on the one before it.

Also checks that nothing that people decided was changed without an entry.
"""

from abtest.store import AuditStore
from abtest.trust.settled import Decisions

ENTRIES = 5_000


async def broken_chain(store: AuditStore) -> list[str]:
    """The first entry of the journal that is wrong. If none is, what is stored otherwise than the journal says."""
    settled, decisions = await store.settled(), Decisions()
    end, last, previous = settled.end, 0, ""
    while last < end.id and (entries := await store.journal_chunk(last, ENTRIES)):
        for entry in entries:
            if entry.id != last + 1:
                return [f"journal: entry {last + 1} is missing"]
            if not entry.fits(previous):
                return [f"journal: entry {entry.id}, or the one before it, is not what was written"]
            decisions.take(entry)
            last, previous = entry.id, entry.hash
            if last == end.id:
                break
    if last < end.id:
        return [f"journal: entry {last + 1} is missing"]
    if previous != end.hash:
        return [f"journal: entry {last} is not the newest one that was written"]
    if end.last > end.id:
        return [f"journal: entry {end.last} was added after the newest one that was written"]
    return [*decisions.differences(settled.facts)]
