"""Every setting: its environment variable, its default, and what it does."""

import os

from msgspec import Struct


class Setting(Struct, frozen=True):
    """One row of the table of settings."""

    name: str
    default: str | int | float
    help: str

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"ABTEST_{self.name.upper()}"


DATABASE = Setting("database", "sqlite:///abtest.db", "Where everything is kept: sqlite:///PATH.")
ADDRESS = Setting("address", "127.0.0.1", "The address to listen on; 0.0.0.0 or :: for every one.")
PORT = Setting("port", 8080, "The port to listen on; 0 takes a free one.")
PROCESSES = Setting("processes", 0, "Server processes that share the port; 0 is one per core.")
STATS_INTERVAL = Setting("stats_interval", 5.0, "Seconds from one update of the statistics to the next.")

SETTINGS = (DATABASE, ADDRESS, PORT, PROCESSES, STATS_INTERVAL)


class Settings(Struct, frozen=True):
    """What a server or a worker runs with. `processes`: 0 is one per core; `stats_interval` in seconds."""

    database: str = str(DATABASE.default)
    address: str = str(ADDRESS.default)
    port: int = int(PORT.default)
    processes: int = int(PROCESSES.default)
    stats_interval: float = float(STATS_INTERVAL.default)

    @property
    def process_count(self) -> int:
        """How many server processes: as set, or one per core that this process may use."""
        if self.processes:
            return self.processes
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
