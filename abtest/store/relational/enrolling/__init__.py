"""What decides about first requests: all that people made, and the draw."""

from abtest.store.relational.enrolling.catalogue import NOTHING, NOTHING_DRAWN, Catalogue, config_version, current
from abtest.store.relational.enrolling.drawing import Positions, Row, draw_all
from abtest.store.relational.enrolling.profiles import Found, Kept, Profile, find_profiles, load_attributes
from abtest.store.relational.enrolling.sorting import by_app, enrolment_of, known_of

__all__ = [
    "NOTHING",
    "NOTHING_DRAWN",
    "Catalogue",
    "Found",
    "Kept",
    "Positions",
    "Profile",
    "Row",
    "by_app",
    "config_version",
    "current",
    "draw_all",
    "enrolment_of",
    "find_profiles",
    "known_of",
    "load_attributes",
]
