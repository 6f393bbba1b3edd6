"""The five endpoints."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, post, route
from litestar.connection import ASGIConnection
from litestar.enums import HttpMethod
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, RawBody
from litestar.response import Stream
from litestar.types import ASGIApp

from netvision_api.http.admission import count_response, expect_response
from netvision_api.http.formats import Format, negotiate
from netvision_api.http.openapi import (
    DeleteOperation,
    PageOperation,
    RecordsOperation,
    StoreOperation,
    problem_responses,
    records_response,
)
from netvision_api.http.paths import READ, parse_after, parse_key, parse_uuid
from netvision_api.http.problems import (
    BATCH_TOO_LARGE,
    BODY_TOO_LARGE,
    COUNT_OUT_OF_RANGE,
    DATABASE_UNAVAILABLE,
    DUPLICATE_UUID,
    INVALID_PARAMETER,
    INVALID_RECORD,
    INVALID_REQUEST,
    MALFORMED_JSON,
    NOT_FOUND,
    NUL_CHARACTER,
    RECORD_NOT_FOUND,
    REQUEST_TIMEOUT,
    TEXT_TOO_LONG,
    UNSUPPORTED_MEDIA_TYPE,
    UUID_CONFLICT,
    Problem,
)
from netvision_api.http.responses import OK, RecordsResponse
from netvision_api.http.schemas import Batch
from netvision_api.http.streams import chain, characters, may_be_truncated, pages, pages_by_uuid, prefetch, rendered
from netvision_api.storage.errors import ConflictError
from netvision_api.storage.models import Records, StoredRecord
from netvision_api.storage.repository import PAGE_ROWS
from netvision_api.storage.service import RecordService

STORE_PROBLEMS = (
    MALFORMED_JSON,
    INVALID_RECORD,
    NUL_CHARACTER,
    BATCH_TOO_LARGE,
    TEXT_TOO_LONG,
    DUPLICATE_UUID,
    INVALID_REQUEST,
    UUID_CONFLICT,
    BODY_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    REQUEST_TIMEOUT,
)
RECORD_OR_LIST = list[StoredRecord] | StoredRecord
NOT_FOUND_PROBLEMS = (RECORD_NOT_FOUND, NOT_FOUND)

CREATED = 201
NO_LIMIT = 10**18
"""More records than a count can request."""

is_json = re.compile(r'\s*application/json\s*(;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE).fullmatch


async def requires_json(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Reject a body that is not declared as JSON: any page in a browser could otherwise post a form to this service.

    It is asynchronous, though it awaits nothing, because Litestar would run it in a thread.
    """
    content_type = connection.headers.get("content-type", "")
    if "content-encoding" in connection.headers:
        encoding = connection.headers["content-encoding"]
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"The body must be plain, not in Content-Encoding {encoding[:80]!r}.")
    if not is_json(content_type):
        detail = f"The Content-Type must be application/json in UTF-8, not {content_type[:80]!r}."
        raise Problem(UNSUPPORTED_MEDIA_TYPE, detail)


class RecordsController(Controller):
    """Store, list, read and delete records."""

    tags = ("records",)

    # Litestar registers handlers by name, and adds an OPTIONS of its own unless this one comes first.
    @route("/{key:str}", http_method=[HttpMethod.OPTIONS], include_in_schema=False, sync_to_thread=False)
    def allowed_methods(self, key: FromPath[str]) -> Response[None]:
        """List the methods of a key; Litestar would leave DELETE out."""
        parse_key(key)
        return Response(None, status_code=204, headers={"Allow": "DELETE, GET, HEAD, OPTIONS"})

    @post(
        "/new",
        operation_id="storeRecords",
        summary="Store records",
        operation_class=StoreOperation,
        guards=[requires_json],
        responses={
            200: records_response("All of them were stored already, with the same texts.", RECORD_OR_LIST),
            201: records_response("The stored records, in input order; at least one is new.", RECORD_OR_LIST),
            **problem_responses(*STORE_PROBLEMS, DATABASE_UNAVAILABLE),
        },
    )
    async def store(self, request: Request[Any, Any, Any], body: RawBody) -> ASGIApp:
        """Store a batch of records, all of them or none.

        A single object is accepted too, and gets a single object back. A batch that brings its own uuids can be
        repeated safely: records stored already with the same texts are no conflict.
        """
        batch = Batch.decode(body, request.app.state.settings)
        new = await insert_batch(batch, service_of(request)) if batch.records else 0
        request.app.state.metrics.stored.inc(new)
        format_ = negotiate(request)
        content = format_.render_one(batch.records[0]) if batch.is_single else format_.render_list(batch.records)
        return RecordsResponse(format_, content, CREATED if new else OK)

    @route(
        "/all",
        http_method=READ,
        opt={"name": "listRecords"},
        summary="List all records",
        operation_class=RecordsOperation,
        responses={
            200: records_response("Every record, ordered by uuid.", list[StoredRecord]),
            **problem_responses(DATABASE_UNAVAILABLE),
        },
    )
    async def list_all(self, request: Request[Any, Any, Any]) -> ASGIApp:
        """Stream every record: those stored during the whole read appear exactly once."""
        records = service_of(request)
        first = await records.list_page(None, PAGE_ROWS)
        return await stream(request, negotiate(request), pages(records, first, NO_LIMIT))

    @route(
        "/{key:str}",
        http_method=READ,
        opt={"name": "readRecords"},
        summary="Read one record, or the first ones",
        operation_class=PageOperation,
        responses={
            200: records_response("The record, or the first records.", RECORD_OR_LIST),
            **problem_responses(
                *NOT_FOUND_PROBLEMS, COUNT_OUT_OF_RANGE, INVALID_PARAMETER, INVALID_REQUEST, DATABASE_UNAVAILABLE
            ),
        },
    )
    async def read(self, request: Request[Any, Any, Any]) -> ASGIApp:
        """Read one record by its uuid, or the first `count` records, of those after `after` if that is given.

        A full page of up to 1000 records has a `Link` to the next one; larger counts are streamed, without it.
        """
        key, after = parse_key(key_of(request)), parse_after(after_of(request))
        if isinstance(key, UUID):
            record = await service_of(request).get(key)
            expect_response(request, len(record.text) if record else 0)
            return record_response(request, record, key)
        return await list_response(request, service_of(request), key, after)

    @delete(
        "/{key:str}",
        status_code=200,
        operation_id="deleteRecord",
        summary="Delete a record",
        operation_class=DeleteOperation,
        responses={
            200: records_response("The deleted record.", StoredRecord),
            **problem_responses(*NOT_FOUND_PROBLEMS, COUNT_OUT_OF_RANGE, INVALID_REQUEST, DATABASE_UNAVAILABLE),
        },
    )
    async def delete(self, request: Request[Any, Any, Any]) -> ASGIApp:
        """Delete one record; of any number of concurrent deletes exactly one succeeds."""
        uuid = parse_uuid(key_of(request))
        record = await service_of(request).delete(uuid)
        request.app.state.metrics.deleted.inc(record is not None)
        return record_response(request, record, uuid)


def service_of(request: Request[Any, Any, Any]) -> RecordService:
    """Return the service of the application; as a dependency it would take a tenth of a request's time."""
    service: RecordService = request.app.state.records
    return service


def key_of(request: Request[Any, Any, Any]) -> str:
    """Return the parameter of the path, which is described in `openapi`: as an argument it would be validated twice."""
    key: str = request.scope["path_params"]["key"]
    return key


def after_of(request: Request[Any, Any, Any]) -> str | None:
    """Return the parameter that a page starts after, None if there is none."""
    return request.query_params.get("after") if request.scope["query_string"] else None


async def insert_batch(batch: Batch, records: RecordService) -> int:
    """Store a batch, and return how many of its records are new."""
    try:
        return await records.create(batch.records)
    except ConflictError as conflict:
        raise batch.conflict(conflict.uuids) from conflict


async def list_response(
    request: Request[Any, Any, Any], records: RecordService, count: int, after: UUID | None
) -> ASGIApp:
    """Return the first `count` records after a uuid: at once if they fit one page, else as a stream."""
    format_, root = negotiate(request), request.app.state.settings.root_path
    first = await records.list_page(after, min(count, PAGE_ROWS)) if count else []
    if count > PAGE_ROWS:
        return await stream(request, format_, pages(records, first, count))
    if count and len(first) == count:
        return list_at_once(request, format_, first, next_link(root, count, first[-1].uuid))
    if not may_be_truncated(first):
        return list_at_once(request, format_, first)
    uuids = await records.list_uuids(after, count)
    link = next_link(root, count, uuids[-1]) if len(uuids) == count else ""
    return await stream(request, format_, pages_by_uuid(records, uuids), link)


def list_at_once(request: Request[Any, Any, Any], format_: Format, records: Records, link: str = "") -> ASGIApp:
    """Return a page as a response of a known length."""
    expect_response(request, characters(records))
    content = format_.render_list(records)
    count_response(request, len(content))
    return RecordsResponse(format_, content, link=link)


def record_response(request: Request[Any, Any, Any], record: StoredRecord | None, uuid: UUID) -> ASGIApp:
    """Return a single record, or raise the Problem that there is none."""
    if record is None:
        raise Problem(RECORD_NOT_FOUND, f"No record has the uuid {uuid}.")
    format_ = negotiate(request)
    return RecordsResponse(format_, format_.render_one(record))


def next_link(root: str, count: int, last: UUID) -> str:
    """Return the Link header of a full page, as seen in front of a proxy that offers the service under a path."""
    return f'<{root}/{count}?after={last}>; rel="next"'


async def stream(
    request: Request[Any, Any, Any], format_: Format, source: AsyncIterator[Records], link: str = ""
) -> ASGIApp:
    """Return records page by page; if a later page fails, the connection is aborted."""
    headers = {"Vary": "Accept"} | ({"Link": link} if link else {})
    chunks = prefetch(rendered(request, format_, source))
    response = Stream(chain(await anext(chunks, b""), chunks), media_type=format_.media_type, headers=headers)
    return response.to_asgi_response(app=None, request=request)
