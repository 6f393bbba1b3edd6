"""What can go wrong, as a tree; each branch has its exit status.

NetvisionError
├── UsageError               2  the command makes no sense
├── ServerError              1  the server failed (5xx)
│   └── UnexpectedResponse   1  the response is not one of a NetVision
├── OutputError              1  the result of a command cannot be written
├── Unreachable              3  no response
│   ├── NotConnected         3  the request was never sent
│   ├── ConnectionLost       3  the request may have been served
│   └── TimedOut             3  the request may have been served, or may still be
├── Refused                  4  the server rejects the request (4xx)
│   ├── NotFound             4
│   ├── Unauthorized         4
│   └── RefusedForNow        4  the same request may be served later
├── Unbalanced               5  the account of a swarm does not balance
├── Unchecked                6  the account of a swarm could not be checked
├── ThresholdMissed         99  a metric of a swarm is beyond its threshold
└── Interrupted            130
"""


class NetvisionError(Exception):
    """Something a user has to know, in one sentence that names the next command."""

    exit_code = 1
    retry_after: float | None = None
    """The Retry-After of the response in seconds, if it has one."""

    may_land_late = False
    """Whether the request may still be served after this error."""

    def add(self, text: str) -> None:
        """Add to the message; the error keeps its class and exit status."""
        self.args = (f"{self}; {text}",)


class UsageError(NetvisionError):
    """The command makes no sense as it is."""

    exit_code = 2


class ServerError(NetvisionError):
    """The server failed."""


class UnexpectedResponse(ServerError):  # noqa: N818 - it names the response
    """The response is not one that a NetVision sends."""

    may_land_late = True


class OutputError(NetvisionError):
    """Standard output cannot be written."""


class Unreachable(NetvisionError):  # noqa: N818 - the state of the server
    """No response arrived."""

    exit_code = 3


class NotConnected(Unreachable):
    """The request was never sent."""


class ConnectionLost(Unreachable):
    """The connection ended before the response was complete."""

    may_land_late = True


class TimedOut(Unreachable):
    """The response took too long."""

    may_land_late = True


class Refused(NetvisionError):  # noqa: N818 - what the server did
    """The server rejects the request."""

    exit_code = 4

    def __init__(self, message: str, problem: str = "") -> None:
        """Take the server's reason, and the name of the problem."""
        super().__init__(message)
        self.problem = problem


class NotFound(Refused):
    """There is no such record."""


class Unauthorized(Refused):
    """The server requires a token, or another one."""


class RefusedForNow(Refused):
    """The server does not serve this request now, and may do so later: too many requests, or not a NetVision."""


class Unbalanced(NetvisionError):  # noqa: N818 - the state of the account
    """Records were lost, resurrected, corrupt or duplicated."""

    exit_code = 5


class Unchecked(NetvisionError):  # noqa: N818 - the state of the account
    """The final read was not possible."""

    exit_code = 6


class ThresholdMissed(NetvisionError):  # noqa: N818 - the result of the run
    """A metric of the run is beyond what `--fail-if` allows."""

    exit_code = 99


class Interrupted(NetvisionError):  # noqa: N818 - what the user did
    """The user did not wait for the end."""

    exit_code = 130


RETRYABLE = (ServerError, Unreachable, RefusedForNow)
"""The errors after which the same request may succeed."""
