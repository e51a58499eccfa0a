"""What operators watch: the processes that run, and whether all is well."""

from abtest.upkeep.heartbeat import Heartbeat
from abtest.upkeep.system import ProcessState, State, System, SystemService
from abtest.upkeep.warnings import LARGE_LOG, Warning

__all__ = ["LARGE_LOG", "Heartbeat", "ProcessState", "State", "System", "SystemService", "Warning"]
