"""What the log says about connections: why there is none (each reason once), and that there is one again."""

import logging

import psycopg

log = logging.getLogger("abtest.store")

logging.getLogger("psycopg").setLevel(logging.ERROR)  # what used a connection reports its end already


class Notices(logging.Filter):
    """Replaces what each pool says at each attempt to connect."""

    def __init__(self) -> None:
        super().__init__()
        self._said = set[str]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say why there is no connection, unless that was already said since there last was one."""
        for error in record.args or ():
            if isinstance(error, Exception) and (reason := str(error).splitlines()[0]) not in self._said:
                self._said.add(reason)
                log.warning("no connection to the database: %s", reason)
        return False

    def connected(self, server: psycopg.Connection) -> None:
        """Say that there is a connection again."""
        if self._said:
            self._said.clear()
            log.warning("connected to the database again, at %s:%s", server.info.host, server.info.port)


NOTICES = Notices()

pools = logging.getLogger("psycopg.pool")
pools.setLevel(logging.WARNING)
pools.addFilter(NOTICES)
