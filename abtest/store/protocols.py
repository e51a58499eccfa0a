"""What the services need from a store. Each service asks for the narrowest Protocol; one store implements all."""

from typing import Protocol

from abtest.store.audit import AuditStore
from abtest.store.catalogue import AppStore, ExperimentStore, TestDeviceStore
from abtest.store.copying import CopyStore
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
    CopyStore,
    Protocol,
):
    """Every Protocol of the store, and what only commands need."""

    @property
    def name(self) -> str:
        """The name of the database for people: the path of its file, or its URL without the password."""
        ...

    @property
    def created(self) -> bool:
        """Whether `open` found no database and created one."""
        ...

    async def open(self, migrate: bool = False, create: bool = True) -> None:
        """Connect, and set up an empty or missing database if `create`. Migrate an older schema only if `migrate`.

        Raises StorageError, or Unavailable (`busy`).
        """
        ...

    async def close(self) -> None:
        """Finish what is under way, and disconnect."""
        ...

    async def check(self) -> list[str]:
        """The faults that the database program itself finds in the data; empty if there are none."""
        ...
