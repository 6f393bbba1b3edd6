"""Every error the service answers, as problem details (RFC 9457).

A `Kind` is a row of the contract's table of errors. Code raises `Problem(KIND, detail)`; one handler, `answer`, turns
it, Litestar's own exceptions, the database's failures and anything unforeseen into a response.
"""

import logging
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
from sqlalchemy.exc import SQLAlchemyError

from netvision_api import failures
from netvision_api.headers import request_id
from netvision_api.logs import Seldom

logger = logging.getLogger(__name__)
trouble = Seldom(logger)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
CLIENT_LEFT = "client disconnected prematurely"
"""What Litestar says where a body breaks off; nobody is there to read the answer."""

RETRY_AFTER = "1"
NOT_SAVED, UNKNOWN = "not-saved", "unknown"
"""What became of a write that failed."""


class Kind(msgspec.Struct, frozen=True):
    """One kind of problem: the name at the end of its type, its status and its fixed title."""

    name: str
    status: int
    title: str


class Error(msgspec.Struct, frozen=True):
    """One fault of the input: a JSON pointer into the body, and what is wrong there."""

    pointer: str
    detail: str


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """The body of an error answer."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[Error] = []
    outcome: str = ""


MALFORMED_JSON = Kind("malformed-json", HTTP_400_BAD_REQUEST, "The body is not JSON")
INVALID_RECORD = Kind("invalid-record", HTTP_400_BAD_REQUEST, "The body holds something that is not a record")
NUL_CHARACTER = Kind("nul-character", HTTP_400_BAD_REQUEST, "A text holds U+0000")
BATCH_TOO_LARGE = Kind("batch-too-large", HTTP_400_BAD_REQUEST, "Too many records in one request")
TEXT_TOO_LONG = Kind("text-too-long", HTTP_400_BAD_REQUEST, "A text is too long")
DUPLICATE_UUID = Kind("duplicate-uuid", HTTP_400_BAD_REQUEST, "A uuid occurs twice in one request")
COUNT_OUT_OF_RANGE = Kind("count-out-of-range", HTTP_400_BAD_REQUEST, "The count has too many digits")
INVALID_PARAMETER = Kind("invalid-parameter", HTTP_400_BAD_REQUEST, "A parameter is malformed")
INVALID_REQUEST = Kind("invalid-request", HTTP_400_BAD_REQUEST, "The request is malformed")
UNAUTHORIZED = Kind("unauthorized", HTTP_401_UNAUTHORIZED, "A valid token is needed")
FORBIDDEN = Kind("forbidden", HTTP_403_FORBIDDEN, "The token may only read")
RECORD_NOT_FOUND = Kind("record-not-found", HTTP_404_NOT_FOUND, "No such record")
NOT_FOUND = Kind("not-found", HTTP_404_NOT_FOUND, "No such resource")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", HTTP_405_METHOD_NOT_ALLOWED, "The method is not allowed here")
REQUEST_TIMEOUT = Kind("request-timeout", HTTP_408_REQUEST_TIMEOUT, "The body did not come in time")
UUID_CONFLICT = Kind("uuid-conflict", HTTP_409_CONFLICT, "A uuid is stored with another text")
BODY_TOO_LARGE = Kind("body-too-large", HTTP_413_REQUEST_ENTITY_TOO_LARGE, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind(
    "unsupported-media-type", HTTP_415_UNSUPPORTED_MEDIA_TYPE, "The body is not of the type application/json"
)
HOST_NOT_ALLOWED = Kind("host-not-allowed", HTTP_421_MISDIRECTED_REQUEST, "The Host is not served here")
OVERLOADED = Kind("overloaded", HTTP_503_SERVICE_UNAVAILABLE, "Too many requests are in flight")
INTERNAL = Kind("internal", HTTP_500_INTERNAL_SERVER_ERROR, "The service failed")
DATABASE_UNAVAILABLE = Kind("database-unavailable", HTTP_503_SERVICE_UNAVAILABLE, "The database is unavailable")


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """A request that cannot be served, and why."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: list[Error] | None = None,
        outcome: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Say what is wrong in this case, with the value and the limit."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = (errors or [])[:MAX_ERRORS]
        self.outcome = outcome
        self.headers = headers or {}
        if kind.status == HTTP_503_SERVICE_UNAVAILABLE:
            self.headers["Retry-After"] = RETRY_AFTER


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Turn whatever was raised into a problem, and log what nobody foresaw."""
    problem = error if isinstance(error, Problem) else translate(error, request)
    if problem.kind is INTERNAL:
        logger.error("request %s: %s (%s)", request_id(request.scope), problem.detail, cause(error), exc_info=error)
    elif problem.kind.status >= HTTP_500_INTERNAL_SERVER_ERROR:
        trouble.warning(f"{problem.detail} ({cause(error)})", request_id(request.scope))
    return response(problem, request_id(request.scope))


def response(problem: Problem, request_id: str) -> Response[bytes]:
    """Render a problem as a response."""
    content = details(problem, request_id)
    return Response(content, status_code=problem.kind.status, media_type=MEDIA_TYPE, headers=problem.headers)


def details(problem: Problem, request_id: str) -> bytes:
    """Render the body of a problem."""
    kind = problem.kind
    return msgspec.json.encode(
        ProblemDetails(
            type=f"urn:netvision:problem:{kind.name}",
            title=kind.title,
            status=kind.status,
            detail=problem.detail,
            request_id=request_id,
            errors=problem.errors,
            outcome=problem.outcome,
        )
    )


def no_connection(patience: float) -> Problem:
    """Say that no database connection was free in time; `patience` is in seconds."""
    detail = f"No database connection was free within {patience:g} s; nothing was saved."
    return Problem(DATABASE_UNAVAILABLE, detail, outcome=NOT_SAVED)


async def refuse(problem: Problem, scope: Scope, send: Send) -> None:
    """Answer a problem before the application is reached, with as little work as can be."""
    content = details(problem, request_id(scope))
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(content)), **problem.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send(HTTPResponseStartEvent(type="http.response.start", status=problem.kind.status, headers=encoded))
    await send(HTTPResponseBodyEvent(type="http.response.body", body=content, more_body=False))


def translate(error: Exception, request: Request[Any, Any, Any]) -> Problem:
    """Find the kind of an exception that is not our own."""
    if isinstance(error, HTTPException):
        return translate_http(error, request)
    if failures.is_unavailability(error):
        return Problem(DATABASE_UNAVAILABLE, f"{failures.describe(error)}; nothing was saved.", outcome=NOT_SAVED)
    return Problem(INTERNAL, "The service failed; its log has the details under this request's id.")


def translate_http(error: HTTPException, request: Request[Any, Any, Any]) -> Problem:
    """Find the kind of one of Litestar's own exceptions."""
    path = request.scope["path"]
    if isinstance(error, MethodNotAllowedException):
        detail = f"{request.method} is not allowed on {path!r}."
        return Problem(METHOD_NOT_ALLOWED, detail, headers={"Allow": (error.headers or {}).get("allow", "")})
    match error.status_code:
        case 404:
            return Problem(NOT_FOUND, f"There is nothing at {path!r}.")
        case 413:
            limit = request.route_handler.resolve_request_max_body_size()
            detail = f"The body is larger than {limit} bytes."
            return Problem(BODY_TOO_LARGE, detail, headers={"Connection": "close"})
        case status if status < HTTP_500_INTERNAL_SERVER_ERROR:
            return Problem(INVALID_REQUEST, error.detail)
        case _ if error.detail == CLIENT_LEFT:
            return Problem(INVALID_REQUEST, "The connection ended before the body was complete.")
    return Problem(INTERNAL, "The service failed; its log has the details under this request's id.")


def cause(error: BaseException) -> str:
    """Name what lies under an error, for the log: its class and first line, no statement and no parameter."""
    origin = error.__cause__ or error
    if isinstance(origin, SQLAlchemyError):
        origin = getattr(origin, "orig", None) or origin
    return f"{type(origin).__name__}: {str(origin).partition(chr(10))[0]}"
