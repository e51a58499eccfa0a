"""What the services need from a store. Each service asks for the narrowest Protocol; one store implements all."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from abtest.store.audit import AuditStore
from abtest.store.catalogue import AppStore, ExperimentStore, TestDeviceStore
from abtest.store.enrolment import EnrolmentStore, NewcomerStore
from abtest.store.events import EventStore
from abtest.store.export import ExportStore
from abtest.store.figures import FoldingStore
from abtest.store.journal import JournalStore
from abtest.store.people import AccessTokenStore, PeopleStore, SessionStore, SharedLinkStore
from abtest.store.upkeep import ErasureStore, UpkeepStore


class Store(
    EnrolmentStore,
    NewcomerStore,
    AppStore,
    ExperimentStore,
    TestDeviceStore,
    PeopleStore,
    SessionStore,
    AccessTokenStore,
    SharedLinkStore,
    EventStore,
    UpkeepStore,
    FoldingStore,
    ErasureStore,
    AuditStore,
    JournalStore,
    ExportStore,
    Protocol,
):
    """All of them, and what only commands need."""

    async def check(self) -> list[str]:
        """What the store itself finds wrong with its data; empty when it is sound."""
        ...

    async def copy(self, target: Path, progress: Callable[[int, int], None]) -> None:
        """Copy everything, as of one moment, into a new file; `progress` gets the parts done and the parts in all."""
        ...
