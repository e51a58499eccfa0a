"""PostgreSQL servers that are killed, fail over and come back."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.postgres import Pair, Server, new_folder

SYNCHRONOUS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"


@contextmanager
def alone() -> Iterator[Server]:
    """A PostgreSQL server that runs until the end of the block."""
    with new_folder() as folder:
        server = Server(folder).make()
        server.start()
        try:
            yield server
        finally:
            if server.processes():
                server.stop()


@contextmanager
def cluster() -> Iterator["Cluster"]:
    """A primary and its standby, which run until the end of the block."""
    with new_folder() as first, new_folder() as second:
        made = Cluster(first, second)
        try:
            for server in (made.primary, made.standby):
                server.configure(wal_keep_size="64MB")  # for pg_rewind
            yield made
        finally:
            made.stop()


class Cluster(Pair):
    """A primary and a standby, which can change roles."""

    def insist(self) -> None:
        """Wait until the standby is synchronous: from then on, no answer is given that the standby lacks."""
        self.wait_for_standby()
        while self.primary.execute(SYNCHRONOUS) != [(1,)]:
            time.sleep(0.02)

    def deafen(self) -> None:
        """From now on, the standby gets nothing from the primary."""
        self.standby.configure(primary_conninfo="")
        while self.primary.execute("SELECT FROM pg_stat_replication"):
            time.sleep(0.02)

    def promote(self) -> None:
        """Promote the standby, which takes the place of the primary."""
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self, rewind: bool) -> None:
        """Make the old primary, whatever its state, a standby of the new one: by pg_rewind, or from a new copy."""
        if self.standby.processes():
            kill(self.standby)
        if rewind:
            self.standby.rewind(self.primary)
        else:
            shutil.rmtree(self.standby.data)
            self.standby.follow(self.primary)
        self.standby.start()


def kill(server: Server) -> None:
    """kill -9 of all processes of a server at once."""
    while processes := server.processes():
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    _forget(server)


def kill_first(server: Server) -> None:
    """kill -9 of the first process, which started all others; these end by themselves."""
    os.kill(server.processes()[0], signal.SIGKILL)
    while server.processes():
        time.sleep(0.02)
    _forget(server)


def _forget(server: Server) -> None:
    """Let it start again even if the id of its first process is still in use, as that of a zombie is."""
    for file in (server.data / "postmaster.pid", server.folder / ".s.PGSQL.5432.lock"):
        file.unlink(missing_ok=True)


def hang(server: Server) -> None:
    """Stop all its processes with SIGSTOP, so that they keep their connections."""
    for pid in server.processes():
        os.kill(pid, signal.SIGSTOP)
