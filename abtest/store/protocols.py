"""What the services need of a store. Each service declares the narrowest of these; one store fulfils them all."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from abtest.store.audit import AuditStore
from abtest.store.catalogue import ExperimentStore
from abtest.store.enrolment import EnrolmentStore
from abtest.store.events import EventStore
from abtest.store.figures import FoldingStore
from abtest.store.upkeep import ConditionStore, ErasureStore


class Store(
    EnrolmentStore,
    ExperimentStore,
    EventStore,
    ConditionStore,
    FoldingStore,
    ErasureStore,
    AuditStore,
    Protocol,
):
    """All of them, and what only commands ask."""

    async def check(self) -> list[str]:
        """What the store itself finds wrong with what it keeps; nothing when it is sound."""
        ...

    async def copy(self, target: Path, progress: Callable[[int, int], None]) -> None:
        """Copy everything, as of one moment, into a new file; `progress` is told parts done and in all."""
        ...
