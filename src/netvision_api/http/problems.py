"""Every error response of the service, as problem details (RFC 9457).

Code raises `Problem(TYPE, detail)`. One exception handler, `handle_exception`, maps it, Litestar's own exceptions, the
errors of storage, the failures of the database and anything unforeseen to a response.
"""

import logging
from asyncio import CancelledError
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException
from litestar.status_codes import (
    HTTP_400_BAD_REQUEST,
    HTTP_401_UNAUTHORIZED,
    HTTP_403_FORBIDDEN,
    HTTP_404_NOT_FOUND,
    HTTP_405_METHOD_NOT_ALLOWED,
    HTTP_408_REQUEST_TIMEOUT,
    HTTP_409_CONFLICT,
    HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    HTTP_415_UNSUPPORTED_MEDIA_TYPE,
    HTTP_421_MISDIRECTED_REQUEST,
    HTTP_500_INTERNAL_SERVER_ERROR,
    HTTP_503_SERVICE_UNAVAILABLE,
)
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Scope, Send

from netvision_api.http.headers import request_id
from netvision_api.storage.errors import (
    CommitOutcomeUnknownError,
    NoConnectionError,
    describe,
    describe_cause,
    is_operational,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
DISCONNECT_DETAIL = "client disconnected prematurely"
"""Litestar's detail for a body that breaks off; nobody is there to read the response."""

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
RETRY_AFTER = "1"
NOT_SAVED, UNKNOWN = "not-saved", "unknown"
"""The outcome of a write that failed."""


class ProblemType(msgspec.Struct, frozen=True):
    """A problem type: the name at the end of its URI, its status and its fixed title."""

    name: str
    status: int
    title: str


class InvalidValue(msgspec.Struct, frozen=True):
    """An error in the input: a JSON pointer into the body, and what is wrong there."""

    pointer: str
    detail: str


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """The body of an error response."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[InvalidValue] = []
    outcome: str = ""


MALFORMED_JSON = ProblemType("malformed-json", HTTP_400_BAD_REQUEST, "The body is not JSON")
INVALID_RECORD = ProblemType("invalid-record", HTTP_400_BAD_REQUEST, "The body holds something that is not a record")
NUL_CHARACTER = ProblemType("nul-character", HTTP_400_BAD_REQUEST, "A text holds U+0000")
BATCH_TOO_LARGE = ProblemType("batch-too-large", HTTP_400_BAD_REQUEST, "Too many records in one request")
TEXT_TOO_LONG = ProblemType("text-too-long", HTTP_400_BAD_REQUEST, "A text is too long")
DUPLICATE_UUID = ProblemType("duplicate-uuid", HTTP_400_BAD_REQUEST, "A uuid occurs twice in one request")
COUNT_OUT_OF_RANGE = ProblemType("count-out-of-range", HTTP_400_BAD_REQUEST, "The count has too many digits")
INVALID_PARAMETER = ProblemType("invalid-parameter", HTTP_400_BAD_REQUEST, "A parameter is malformed")
INVALID_REQUEST = ProblemType("invalid-request", HTTP_400_BAD_REQUEST, "The request is malformed")
UNAUTHORIZED = ProblemType("unauthorized", HTTP_401_UNAUTHORIZED, "A valid token is needed")
FORBIDDEN = ProblemType("forbidden", HTTP_403_FORBIDDEN, "The token may only read")
RECORD_NOT_FOUND = ProblemType("record-not-found", HTTP_404_NOT_FOUND, "No such record")
NOT_FOUND = ProblemType("not-found", HTTP_404_NOT_FOUND, "No such resource")
METHOD_NOT_ALLOWED = ProblemType("method-not-allowed", HTTP_405_METHOD_NOT_ALLOWED, "The method is not allowed here")
REQUEST_TIMEOUT = ProblemType("request-timeout", HTTP_408_REQUEST_TIMEOUT, "The body did not arrive in time")
UUID_CONFLICT = ProblemType("uuid-conflict", HTTP_409_CONFLICT, "A uuid is stored with another text")
BODY_TOO_LARGE = ProblemType("body-too-large", HTTP_413_REQUEST_ENTITY_TOO_LARGE, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    "unsupported-media-type", HTTP_415_UNSUPPORTED_MEDIA_TYPE, "The body is not of the type application/json"
)
HOST_NOT_ALLOWED = ProblemType("host-not-allowed", HTTP_421_MISDIRECTED_REQUEST, "The Host is not served here")
OVERLOADED = ProblemType("overloaded", HTTP_503_SERVICE_UNAVAILABLE, "Too many requests are in flight")
INTERNAL = ProblemType("internal", HTTP_500_INTERNAL_SERVER_ERROR, "The service failed")
DATABASE_UNAVAILABLE = ProblemType("database-unavailable", HTTP_503_SERVICE_UNAVAILABLE, "The database is unavailable")


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """A request that cannot be served, and why."""

    def __init__(
        self,
        type_: ProblemType,
        detail: str,
        *,
        errors: list[InvalidValue] | None = None,
        outcome: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Take the type, and what is wrong in this case, with the value and the limit."""
        super().__init__(detail)
        self.type = type_
        self.detail = detail
        self.errors = (errors or [])[:MAX_ERRORS]
        self.outcome = outcome
        self.headers = headers or {}
        if type_.status == HTTP_503_SERVICE_UNAVAILABLE:
            self.headers["Retry-After"] = RETRY_AFTER


def handle_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Turn an exception into a problem response, and log what is not the client's fault."""
    problem = error if isinstance(error, Problem) else translate(error, request)
    if problem.type.status >= HTTP_500_INTERNAL_SERVER_ERROR:
        log(problem, error, request_id(request.scope))
    return to_response(problem, request_id(request.scope))


def log(problem: Problem, error: Exception, request_id: str) -> None:
    """Log a failure under the id of its request, an unforeseen one with its traceback."""
    is_unforeseen = problem.type is INTERNAL
    logger.log(
        logging.ERROR if is_unforeseen else logging.WARNING,
        "request %s: %s (%s)",
        request_id,
        problem.detail,
        describe_cause(error),
        exc_info=error if is_unforeseen else None,
        extra={"fields": {"request_id": request_id}},
    )


def log_cut_off(error: BaseException, request_id: str) -> None:
    """Log why a response that has begun could not be completed, what is unforeseen with its traceback."""
    cause = error.__cause__ or error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    is_foreseen = isinstance(cause, (Problem, CancelledError)) or is_operational(cause)
    logger.log(
        logging.WARNING if is_foreseen else logging.ERROR,
        "request %s: the response was cut off (%s)",
        request_id,
        describe_cause(cause),
        exc_info=None if is_foreseen else error,
        extra={"fields": {"request_id": request_id}},
    )


def to_response(problem: Problem, request_id: str) -> Response[bytes]:
    """Render a problem as a response."""
    content = encode(problem, request_id)
    return Response(content, status_code=problem.type.status, media_type=MEDIA_TYPE, headers=problem.headers)


def encode(problem: Problem, request_id: str) -> bytes:
    """Render the body of a problem."""
    return msgspec.json.encode(
        ProblemDetails(
            type=f"urn:netvision:problem:{problem.type.name}",
            title=problem.type.title,
            status=problem.type.status,
            detail=problem.detail,
            request_id=request_id,
            errors=problem.errors,
            outcome=problem.outcome,
        )
    )


async def send_problem(problem: Problem, scope: Scope, send: Send) -> None:
    """Send a problem before the application is reached, with as little work as possible."""
    content = encode(problem, request_id(scope))
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(content)), **problem.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send(HTTPResponseStartEvent(type="http.response.start", status=problem.type.status, headers=encoded))
    await send(HTTPResponseBodyEvent(type="http.response.body", body=content, more_body=False))


def translate(error: Exception, request: Request[Any, Any, Any]) -> Problem:
    """Map an exception that is not a Problem to one."""
    if isinstance(error, HTTPException):
        return translate_http(error, request)
    if isinstance(error, CommitOutcomeUnknownError):
        return Problem(DATABASE_UNAVAILABLE, f"{error}.", outcome=UNKNOWN)
    if isinstance(error, NoConnectionError) or is_operational(error):
        reason = str(error) if isinstance(error, NoConnectionError) else describe(error)
        consequence = "" if request.method in READING_METHODS else "; nothing was saved"
        return Problem(DATABASE_UNAVAILABLE, f"{reason}{consequence}.", outcome=NOT_SAVED)
    return Problem(INTERNAL, "The service failed; its log has the details under this request's id.")


def translate_http(error: HTTPException, request: Request[Any, Any, Any]) -> Problem:
    """Map one of Litestar's own exceptions to a problem."""
    path = request.scope["path"]
    if isinstance(error, MethodNotAllowedException):
        detail = f"{request.method} is not allowed on {path!r}."
        return Problem(METHOD_NOT_ALLOWED, detail, headers={"Allow": (error.headers or {}).get("allow", "")})
    match error.status_code:
        case 404:
            return Problem(NOT_FOUND, f"There is nothing at {path!r}.")
        case 413:
            limit = request.route_handler.resolve_request_max_body_size()
            return Problem(BODY_TOO_LARGE, f"The body is larger than {limit} bytes.")
        case status if status < HTTP_500_INTERNAL_SERVER_ERROR:
            return Problem(INVALID_REQUEST, error.detail)
        case _ if error.detail == DISCONNECT_DETAIL:
            return Problem(INVALID_REQUEST, "The connection ended before the body was complete.")
    return Problem(INTERNAL, "The service failed; its log has the details under this request's id.")
