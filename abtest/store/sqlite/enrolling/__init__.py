"""First requests: who is known, and what new devices get."""

from abtest.store.sqlite.enrolling.arrivals import newcomers
from abtest.store.sqlite.enrolling.catalogue import NOTHING, config_version
from abtest.store.sqlite.enrolling.drawing import last_device
from abtest.store.sqlite.enrolling.profiles import Kept, load_attributes
from abtest.store.sqlite.enrolling.requests import enrol, find

__all__ = ["NOTHING", "Kept", "config_version", "enrol", "find", "last_device", "load_attributes", "newcomers"]
