"""What can go wrong, as a tree; each branch has its exit code.

NetvisionError
├── UsageError            2  the command makes no sense
├── ServerError           1  the server failed (5xx), or answered what it must not
│   └── UnexpectedAnswer  1  not what a NetVision answers
├── Unreachable           3  no answer
│   ├── NotConnected      3  the request was never sent
│   ├── ConnectionLost    3  the request may have been served
│   └── TimedOut          3  the request may have been, or may yet be, served
├── Refused               4  the server says no (4xx)
│   ├── NotFound          4
│   └── Unauthorized      4
├── Unbalanced            5  the swarm's account does not balance
├── Unchecked             6  the swarm's account could not be checked
├── ThresholdMissed      99  a number of the swarm is not as it should be
└── Interrupted         130
"""


class NetvisionError(Exception):
    """Something a user has to know, in one sentence that names the next command."""

    exit_code = 1
    retry_after: float | None = None
    """How many seconds the server asks to wait, where it does."""

    may_land_late = False
    """Whether the request may still be served after this error."""


class UsageError(NetvisionError):
    """The command makes no sense as it is."""

    exit_code = 2


class ServerError(NetvisionError):
    """The server failed."""


class UnexpectedAnswer(ServerError):  # noqa: N818 - it names the answer
    """The answer is not one that a NetVision gives."""

    may_land_late = True


class Unreachable(NetvisionError):  # noqa: N818 - the state of the server
    """No answer came."""

    exit_code = 3


class NotConnected(Unreachable):
    """The request was never sent."""


class ConnectionLost(Unreachable):
    """The connection ended before the answer did."""

    may_land_late = True


class TimedOut(Unreachable):
    """The answer took too long."""

    may_land_late = True


class Refused(NetvisionError):  # noqa: N818 - what the server did
    """The server says no."""

    exit_code = 4

    def __init__(self, message: str, problem: str = "") -> None:
        """Give the server's reason, and the name of the problem."""
        super().__init__(message)
        self.problem = problem


class NotFound(Refused):
    """There is no such record."""


class Unauthorized(Refused):
    """The server wants another token, or any."""


class Unbalanced(NetvisionError):  # noqa: N818 - the state of the account
    """Records were lost, resurrected, corrupt or deleted twice."""

    exit_code = 5


class Unchecked(NetvisionError):  # noqa: N818 - the state of the account
    """The final read could not be had."""

    exit_code = 6


class ThresholdMissed(NetvisionError):  # noqa: N818 - what the run did
    """A number of the run is beyond what `--fail-if` allows."""

    exit_code = 99


class Interrupted(NetvisionError):  # noqa: N818 - what the user did
    """The user would not wait for the end."""

    exit_code = 130
