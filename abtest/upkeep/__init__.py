"""What operators watch and erase: the processes that run, warnings, and devices to be forgotten."""

from abtest.upkeep.erasing import Erased, ErasureService
from abtest.upkeep.heartbeat import Heartbeat
from abtest.upkeep.system import ProcessState, State, System, SystemService
from abtest.upkeep.warnings import LARGE_LOG, Warning

__all__ = [
    "LARGE_LOG",
    "Erased",
    "ErasureService",
    "Heartbeat",
    "ProcessState",
    "State",
    "System",
    "SystemService",
    "Warning",
]
