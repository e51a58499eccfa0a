"""First requests: what people made that decides about them, the draw, and which devices came lately."""

from abtest.store.relational.enrolling.arrivals import newcomers
from abtest.store.relational.enrolling.catalogue import (
    NOTHING,
    NOTHING_DRAWN,
    Catalogue,
    config_version,
    current,
    read_catalogue,
)
from abtest.store.relational.enrolling.drawing import Positions, Row, draw_all
from abtest.store.relational.enrolling.profiles import (
    Found,
    Kept,
    Profile,
    ProfileStatements,
    ask_profiles,
    load_attributes,
    put_profiles,
    said_of,
)
from abtest.store.relational.enrolling.sorting import by_app, enrolment_of, known_of

__all__ = [
    "NOTHING",
    "NOTHING_DRAWN",
    "Catalogue",
    "Found",
    "Kept",
    "Positions",
    "Profile",
    "ProfileStatements",
    "Row",
    "ask_profiles",
    "by_app",
    "config_version",
    "current",
    "draw_all",
    "enrolment_of",
    "known_of",
    "load_attributes",
    "newcomers",
    "put_profiles",
    "read_catalogue",
    "said_of",
]
