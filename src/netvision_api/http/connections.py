"""How many connections are open at a time, and which one is closed when there are too many."""

import logging
import sys
from asyncio import Transport
from typing import Protocol

if sys.platform != "win32":
    import resource

MAX_CONNECTIONS = 10_000
RESERVED_FILES = 256
"""File descriptors that are left to the database, to files, and to connections that are about to be closed."""

logger = logging.getLogger(__name__)


class Connection(Protocol):
    """What is needed of a connection."""

    transport: Transport


class ConnectionLimit:
    """The open connections of a process.

    Beyond the limit the one that has waited longest is closed: first of those without any request yet, then of those
    between two requests. A connection whose request is complete is never closed, so that liveness is served however
    many connections stay open.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        self.without_request: dict[Connection, None] = {}
        self.between_requests: dict[Connection, None] = {}

    def opened(self, connection: Connection) -> None:
        """Count a new connection, and close another one if there are too many."""
        self.count += 1
        if self.count > self.limit:
            oldest = next(iter(self.without_request or self.between_requests or [connection]))
            self.received_request(oldest)
            oldest.transport.abort()
            logger.warning("more than %d connections: one that waits for a request is closed", self.limit)
        self.without_request[connection] = None

    def received_request(self, connection: Connection) -> None:
        """Note that a connection has a complete request, and is not to be closed."""
        self.without_request.pop(connection, None)
        self.between_requests.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """Note that a connection waits for its next request."""
        self.between_requests[connection] = None

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self.count -= 1
        self.received_request(connection)


def raise_file_limit() -> None:
    """Raise the number of files that this process may open to what the system permits."""
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MAX_CONNECTIONS + RESERVED_FILES
        if soft not in (hard, resource.RLIM_INFINITY) and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(wanted, hard), hard))


def max_connections() -> int:
    """Return how many connections a process may keep, given the number of files that it may open."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files < 0 else min(MAX_CONNECTIONS, max(files - RESERVED_FILES, files // 2))
