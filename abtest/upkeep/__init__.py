"""What operators watch: the processes that run."""

from abtest.upkeep.heartbeat import Heartbeat

__all__ = ["Heartbeat"]
