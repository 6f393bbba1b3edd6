"""What a server answers, and the error that its status stands for."""

from http import HTTPStatus
from typing import NamedTuple

import msgspec

from netvision_cli.errors import (
    NetvisionError,
    NotFound,
    Refused,
    ServerError,
    TimedOut,
    Unauthorized,
    UnexpectedAnswer,
)
from netvision_cli.escaping import escape

NOT_SAVED = "not-saved"
"""The outcome of a request that a NetVision failed to serve and will not serve later; a proxy knows of none."""

ABSENT = "record-not-found"
"""The problem that proves a record absent; any other 404 says that the request never came to the records."""

MAX_RETRY_AFTER = 60.0


class Answer(NamedTuple):
    """A whole answer to one request."""

    status: int
    content: bytes
    retry_after: str = ""
    """The header of that name, if any."""


class ProblemDetails(msgspec.Struct):
    """What the client reads of an error answer."""

    type: str = ""
    title: str = ""
    detail: str = ""
    outcome: str = ""


problem_decoder = msgspec.json.Decoder(ProblemDetails)


def failure(url: str, answer: Answer) -> NetvisionError:
    """Make the error that an answer without success stands for."""
    try:
        problem = problem_decoder.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = ProblemDetails()
    reason = escape(problem.detail or problem.title or phrase(answer.status))
    error = error_of(answer.status, f"{url} answered {answer.status}: {reason}", problem)
    error.retry_after = seconds(answer.retry_after)
    return error


def error_of(status: int, message: str, problem: ProblemDetails) -> NetvisionError:
    """Choose the error for a status."""
    error: NetvisionError
    name = problem.type.rpartition(":")[2]
    match status:
        case 404 if name == ABSENT:
            return NotFound(message, name)
        case 404:
            error = refused_for_now(f"{message}; check --url")
        case 401 | 403:
            return Unauthorized(f"{message}; give its token with --token-file or NETVISION_TOKEN", name)
        case 408:
            error = TimedOut(message)
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            error = ServerError(message)
            error.may_land_late = problem.outcome != NOT_SAVED
        case 429:
            error = refused_for_now(message)
        case status if status >= HTTPStatus.BAD_REQUEST:
            return Refused(message, name)
        case _:
            return UnexpectedAnswer(f"{message}; that is not what a NetVision answers, check --url")
    return error


def refused_for_now(message: str) -> ServerError:
    """Make the error of a server that says no to the request, and may say something else later."""
    error = ServerError(message)
    error.exit_code = Refused.exit_code
    return error


def phrase(status: int) -> str:
    """Name a status, if it has a name."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def seconds(retry_after: str) -> float | None:
    """Read a Retry-After in seconds; a date is left alone."""
    is_number = retry_after.isascii() and retry_after.isdecimal()
    return min(float(retry_after), MAX_RETRY_AFTER) if is_number else None
