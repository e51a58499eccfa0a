"""Proves the promises from the database alone."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from abtest.store import AuditStore, ExperimentRecord, Ledger
from abtest.trust.audit import Audit, Verified
from abtest.trust.chain import broken_chain
from abtest.trust.recounting import recount

CHUNK = 20_000


class VerificationService:
    """Recomputes every decision from raw rows."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def verify(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Verified:
        """Check everything, a chunk of devices at a time. `progress` gets the devices done and the devices in all."""
        ledger = await self._store.ledger()
        audit = Audit(ledger)
        for after, upto in _ranges(ledger):
            audit.chunk(await self._store.chunk(after, upto))
            progress(upto, ledger.last_device)
        return audit.close([*await recount(self._store), *await broken_chain(self._store)])


def _ranges(ledger: Ledger) -> Iterator[tuple[int, int]]:
    """All devices in pieces, each as (after, up to), so that no experiment changes within a piece."""
    turns = {after for each in ledger.experiments for after in _turns(each) if 0 < after < ledger.last_device}
    for begin, end in pairwise(sorted({0, *turns, ledger.last_device})):
        for after in range(begin, end, CHUNK):
            yield after, min(after + CHUNK, end)


def _turns(experiment: ExperimentRecord) -> list[int]:
    """The devices after which the experiment changed."""
    phases = [phase.created_after_device for phase in experiment.phases]
    return [experiment.created_after_device, *phases, *(status.after_device for status in experiment.statuses)]
