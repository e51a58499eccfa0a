"""What the services need from a store, as Protocols by concern. `sqlite` implements them."""

from abtest.store.audit import (
    ALL_DEVICES,
    OUTSIDE_AUDIENCE,
    AssignmentRecord,
    AssignmentRow,
    AuditStore,
    Chunk,
    DeviceRecord,
    EventChunk,
    EventLedger,
    ExperimentRecord,
    JournalEnd,
    Ledger,
    PhaseRecord,
    StatusRecord,
)
from abtest.store.catalogue import Alteration, AppStore, Due, ExperimentStore, TestDeviceStore
from abtest.store.enrolment import Delivered, Enrolment, EnrolmentStore
from abtest.store.events import EventStore
from abtest.store.figures import (
    AudienceCounts,
    DayFigures,
    FoldingStore,
    Measured,
    MeasureStore,
    MetricFigures,
    NewDevices,
    ResultStore,
    Summary,
    SummaryStore,
    Tested,
)
from abtest.store.journal import JournalStore
from abtest.store.people import AccessTokenStore, PeopleStore, SessionStore
from abtest.store.protocols import Store
from abtest.store.upkeep import Condition, ConditionStore, lacking

__all__ = [
    "ALL_DEVICES",
    "OUTSIDE_AUDIENCE",
    "AccessTokenStore",
    "Alteration",
    "AppStore",
    "AssignmentRecord",
    "AssignmentRow",
    "AudienceCounts",
    "AuditStore",
    "Chunk",
    "Condition",
    "ConditionStore",
    "DayFigures",
    "Delivered",
    "DeviceRecord",
    "Due",
    "Enrolment",
    "EnrolmentStore",
    "EventChunk",
    "EventLedger",
    "EventStore",
    "ExperimentRecord",
    "ExperimentStore",
    "FoldingStore",
    "JournalEnd",
    "JournalStore",
    "Ledger",
    "MeasureStore",
    "Measured",
    "MetricFigures",
    "NewDevices",
    "PeopleStore",
    "PhaseRecord",
    "ResultStore",
    "SessionStore",
    "StatusRecord",
    "Store",
    "Summary",
    "SummaryStore",
    "TestDeviceStore",
    "Tested",
    "lacking",
]
