"""A response, and how a failed call becomes an error: one sentence that names the next command."""

import os
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from ssl import SSLCertVerificationError, SSLError
from typing import NamedTuple

import msgspec

from netvision_cli.errors import (
    ConnectionLost,
    NetvisionError,
    NotConnected,
    NotFound,
    Refused,
    RefusedForNow,
    ServerError,
    TimedOut,
    Unauthorized,
    UnexpectedResponse,
)
from netvision_cli.escaping import escape
from netvision_cli.transport.address import Address

NOT_SAVED = "not-saved"
"""The outcome of a request that a NetVision failed to serve and will not serve later; no proxy sends it."""

ABSENT = "record-not-found"
"""The problem that proves a record absent; any other 404 means that the request never reached the records."""

MAX_RETRY_AFTER = 60.0

MAX_HEAD_BYTES = 64 * 2**10
MAX_BODY_BYTES = 64 * 2**20
"""The most bytes of one response, and of one line of a stream: more than a NetVision sends."""

MAX_REASON = 2**10
"""The most characters of a server's words in a message."""

WRONG_NAME = frozenset({62, 64})
WRONG_TIME = frozenset({9, 10})
"""How OpenSSL numbers the reasons for which a certificate is not valid."""

find_number = re.compile(r"\[Errno (\d+)\]").search
"""If no address of a name could be connected to, asyncio reports all of them in one text."""


class Response(NamedTuple):
    """A complete response to one request."""

    status: int
    content: bytes
    retry_after: str = ""
    """The header of that name, if any."""


class TooLargeError(Exception):
    """A response is larger than any of a NetVision."""


class ProblemDetails(msgspec.Struct):
    """What the client reads of an error response."""

    type: str = ""
    title: str = ""
    detail: str = ""
    outcome: str = ""


problem_decoder = msgspec.json.Decoder(ProblemDetails)

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not the JSON that is expected, deep nesting included."""


def error_for_response(url: str, response: Response, headers: Mapping[str, str]) -> NetvisionError:
    """Return the error for a response that is no success, to a request with these headers."""
    try:
        problem = problem_decoder.decode(response.content)
    except MALFORMED:
        problem = ProblemDetails()
    reason = quote(problem.detail or problem.title or phrase(response.status)).removesuffix(".")
    message = f"{url} responded with {response.status}: {reason}"
    if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        message += f"; {advice_on_token(response.status, has_token='Authorization' in headers)}"
    error = error_for_status(response.status, message, problem)
    error.retry_after = seconds(response.retry_after)
    return error


def error_for_status(status: int, message: str, problem: ProblemDetails) -> NetvisionError:
    """Return the error for a status."""
    error: NetvisionError
    name = problem.type.rpartition(":")[2]
    match status:
        case 404 if name == ABSENT:
            return NotFound(message, name)
        case 404:
            error = RefusedForNow(f"{message}; check --url", name)
        case 401 | 403:
            return Unauthorized(message, name)
        case 408:
            error = TimedOut(message)
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            error = ServerError(message)
            error.may_land_late = problem.outcome != NOT_SAVED
        case 429:
            error = RefusedForNow(message, name)
        case status if status >= HTTPStatus.BAD_REQUEST:
            return Refused(message, name)
        case _:
            return UnexpectedResponse(f"{message}; that is not the response of a NetVision, check --url")
    return error


def advice_on_token(status: int, *, has_token: bool) -> str:
    """Return what to do about a token that is missing, wrong or not sufficient."""
    if not has_token:
        return "give its token with --token-file or NETVISION_TOKEN"
    if status == HTTPStatus.FORBIDDEN:
        return "give a token that may do this with --token-file or NETVISION_TOKEN"
    return "check the token that --token-file or NETVISION_TOKEN gives"


def quote(text: str) -> str:
    """Escape and shorten what a server says, for a message of one line."""
    escaped = escape(text[:MAX_REASON])
    return escaped if max(len(text), len(escaped)) <= MAX_REASON else f"{escaped[: MAX_REASON - 1]}…"


def phrase(status: int) -> str:
    """Return the name of a status, empty if it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def seconds(retry_after: str) -> float | None:
    """Parse a Retry-After in seconds; a date is ignored."""
    is_number = retry_after.isascii() and retry_after.isdecimal()
    return min(float(retry_after), MAX_RETRY_AFTER) if is_number else None


def not_connected(address: Address, error: BaseException) -> NotConnected:
    """Return the error that there is no server, or none that can be trusted."""
    tls = next((cause for cause in causes(error) if isinstance(cause, SSLError)), None)
    if tls:
        return NotConnected(f"no TLS with {address.url} ({describe_cause(tls)}). {advice_on_tls(tls)}")
    step = "Start one: netvision-api serve" if address.is_local else "Name another with --url"
    return NotConnected(f"no server at {address.url} ({describe_cause(error)}). {step}")


def advice_on_tls(error: SSLError) -> str:
    """Return what to do about a certificate that is not valid, or a server that does not speak TLS."""
    if not isinstance(error, SSLCertVerificationError):
        return "If it speaks http, write so in --url"
    if error.verify_code in WRONG_NAME:
        return "Call it by a name that its certificate has"
    if error.verify_code in WRONG_TIME:
        return "Check the clock of this machine, or renew the certificate"
    return "If you trust it, name the certificate of its authority in SSL_CERT_FILE"


def timed_out(address: Address, timeout: float) -> TimedOut:
    """Return the error that the response took too long."""
    return TimedOut(f"{address.url} did not respond within {timeout:g} s; wait longer with --timeout")


def connection_lost(address: Address, error: BaseException) -> ConnectionLost:
    """Return the error that the response was not complete."""
    return ConnectionLost(
        f"{address.url} ended the connection before its response was complete ({describe_cause(error)})"
    )


def too_large(address: Address) -> UnexpectedResponse:
    """Return the error that a response has no end in sight."""
    return UnexpectedResponse(f"{address.url} sends larger responses than a NetVision does; check --url")


def describe_cause(error: BaseException) -> str:
    """Describe the error of the operating system or of TLS that caused another one, else that one itself."""
    words = filter(None, map(describe_os_error, causes(error)))
    return quote(next(words, str(error) or type(error).__name__))


def describe_os_error(error: BaseException) -> str | None:
    """Return the description of an error of the operating system or of TLS, None for any other."""
    match error:
        case SSLCertVerificationError():
            return error.verify_message
        case SSLError():
            return (error.reason or "no TLS").replace("_", " ").lower()
        case OSError(errno=int(number)):
            return (os.strerror(number) if number > 0 else str(error.strerror)).lower()
        case TimeoutError():
            return "no response"
        case OSError() if found := find_number(str(error)):
            return os.strerror(int(found[1])).lower()
        case _:
            return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            yield from causes(cause.exceptions[0])
        cause = cause.__cause__ or cause.__context__
