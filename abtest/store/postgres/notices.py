"""What the log says of connections: why there is none, once, and that there is one again."""

import logging

import psycopg

log = logging.getLogger("abtest.store")

logging.getLogger("psycopg").setLevel(logging.ERROR)  # it tells of each connection that ended; so does who used it


class Notices(logging.Filter):
    """In place of what the pools say at each attempt of each of them."""

    _reason = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say why there is no connection, unless that was said last."""
        for error in record.args or ():
            if isinstance(error, Exception) and (reason := str(error).splitlines()[0]) != self._reason:
                self._reason = reason
                log.warning("no connection to the database: %s", reason)
        return False

    def connected(self, server: psycopg.Connection) -> None:
        """Say that there is a connection again."""
        if self._reason:
            self._reason = ""
            log.warning("connected to the database again, at %s:%s", server.info.host, server.info.port)


NOTICES = Notices()

pools = logging.getLogger("psycopg.pool")
pools.setLevel(logging.WARNING)
pools.addFilter(NOTICES)
