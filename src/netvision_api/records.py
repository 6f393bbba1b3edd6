"""The five endpoints: what a request means, between the wire and the repository."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.params import FromPath, PathParameter, QueryParameter, RawBody
from litestar.response import Stream

from netvision_api.formats import Format, negotiate
from netvision_api.openapi import (
    COUNT_OR_UUID,
    ONLY_UUID,
    READ,
    PageOperation,
    RecordsOperation,
    StoreOperation,
    problems,
    records,
)
from netvision_api.problems import (
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
from netvision_api.queues import Queues
from netvision_api.repository import ConflictError
from netvision_api.schemas import Batch, Records, StoredRecord, parse_after, parse_key, parse_uuid
from netvision_api.security import requires_json
from netvision_api.statements import PAGE_ROWS, Ask
from netvision_api.streams import may_be_cut, pages, pages_of, read_ahead

BAD_BODY = (
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
EITHER = list[StoredRecord] | StoredRecord
ABSENT = (RECORD_NOT_FOUND, NOT_FOUND)

EVERYTHING = 10**18
"""More records than a count can ask for."""


class RecordsController(Controller):
    """Store, list, read and delete records."""

    tags = ("records",)

    @post(
        "/new",
        operation_id="storeRecords",
        operation_class=StoreOperation,
        guards=[requires_json],
        responses={
            200: records("All of them were stored already, with the same texts.", EITHER),
            201: records("The stored records, in input order; at least one is new.", EITHER),
            **problems(*BAD_BODY, DATABASE_UNAVAILABLE),
        },
    )
    async def store(
        self,
        request: Request[Any, Any, Any],
        body: RawBody,
        queues: NamedDependency[Queues],
    ) -> Response[bytes]:
        """Store a batch of records, all of them or none.

        A single object is taken too, and answered with a single object. A batch that brings its own uuids can be
        repeated safely: records stored already with the same texts are no conflict.
        """
        batch = Batch.decode(body, request.app.state.settings)
        new = await store(batch, queues) if batch.records else 0
        kind = negotiate(request)
        content = kind.one(batch.records[0]) if batch.is_single else kind.whole(batch.records)
        return respond(kind, content, status_code=201 if new else 200)

    @route(
        "/all",
        http_method=READ,
        opt={"name": "listRecords"},
        operation_class=RecordsOperation,
        responses={
            200: records("Every record, ordered by uuid.", list[StoredRecord]),
            **problems(DATABASE_UNAVAILABLE),
        },
    )
    async def list_all(self, request: Request[Any, Any, Any], queues: NamedDependency[Queues]) -> Response[Any]:
        """Stream every record: those stored during the whole read appear exactly once."""
        first = await queues.pages.submit(Ask(None, PAGE_ROWS))
        return stream(negotiate(request), pages(queues, first, EVERYTHING))

    @route(
        "/{key:str}",
        http_method=READ,
        opt={"name": "readRecords"},
        operation_class=PageOperation,
        responses={
            200: records("The record, or the first records.", EITHER),
            **problems(*ABSENT, COUNT_OUT_OF_RANGE, INVALID_PARAMETER, INVALID_REQUEST, DATABASE_UNAVAILABLE),
        },
    )
    async def read(
        self,
        request: Request[Any, Any, Any],
        queues: NamedDependency[Queues],
        key: Annotated[str, PathParameter(schema_extra=COUNT_OR_UUID)],
        after: Annotated[str | None, QueryParameter(schema_extra=ONLY_UUID)] = None,
    ) -> Response[Any]:
        """Read one record by its uuid, or the first `count` records behind `after`."""
        wanted, start = parse_key(key), parse_after(after)
        if isinstance(wanted, UUID):
            return one(request, await queues.finds.submit(wanted), wanted)
        return await first_records(request, queues, wanted, start)

    @delete(
        "/{key:str}",
        status_code=200,
        operation_id="deleteRecord",
        operation_class=RecordsOperation,
        responses={
            200: records("The deleted record.", StoredRecord),
            **problems(*ABSENT, COUNT_OUT_OF_RANGE, INVALID_REQUEST, DATABASE_UNAVAILABLE),
        },
    )
    async def remove(
        self,
        request: Request[Any, Any, Any],
        queues: NamedDependency[Queues],
        key: Annotated[str, PathParameter(schema_extra=ONLY_UUID)],
    ) -> Response[bytes]:
        """Delete one record; of any number of concurrent deletes exactly one succeeds."""
        wanted = parse_uuid(key)
        return one(request, await queues.removals.submit(wanted), wanted)

    @route("/{key:str}", http_method=[HttpMethod.OPTIONS], include_in_schema=False, sync_to_thread=False)
    def options(self, key: FromPath[str]) -> Response[None]:  # noqa: ARG002 - any key has the same methods
        """Name the methods of a key; Litestar would leave DELETE out."""
        return Response(None, status_code=204, headers={"Allow": "DELETE, GET, HEAD, OPTIONS"})


async def store(batch: Batch, queues: Queues) -> int:
    """Store a batch, and return how many of its records are new."""
    try:
        return await queues.stores.submit(batch.records)
    except ConflictError as conflict:
        raise batch.conflict(conflict.uuids) from conflict


async def first_records(
    request: Request[Any, Any, Any], queues: Queues, count: int, after: UUID | None
) -> Response[Any]:
    """Answer the first `count` records behind `after`: at once where they fit one page, else as a stream."""
    kind = negotiate(request)
    first = await queues.pages.submit(Ask(after, min(count, PAGE_ROWS))) if count else []
    if count > PAGE_ROWS:
        return stream(kind, pages(queues, first, count))
    if count and len(first) == count:
        return respond(kind, kind.whole(first), headers={"Link": next_page(count, first[-1].uuid)})
    if not may_be_cut(first):
        return respond(kind, kind.whole(first))
    keys = await queues.keys(after, count)
    headers = {"Link": next_page(count, keys[-1])} if len(keys) == count else {}
    return stream(kind, pages_of(queues, keys), headers=headers)


def one(request: Request[Any, Any, Any], record: StoredRecord | None, wanted: UUID) -> Response[bytes]:
    """Answer a single record, or that there is none."""
    if record is None:
        raise Problem(RECORD_NOT_FOUND, f"No record has the uuid {wanted}.")
    kind = negotiate(request)
    return respond(kind, kind.one(record))


def next_page(count: int, last: UUID) -> str:
    """Write the Link header of a full page."""
    return f'</{count}?after={last}>; rel="next"'


def respond(
    kind: Format, content: bytes, *, status_code: int = 200, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """Answer rendered records."""
    headers = {"Vary": "Accept", **(headers or {})}
    return Response(content, status_code=status_code, media_type=kind.media_type, headers=headers)


def stream(kind: Format, source: AsyncIterator[Records], *, headers: dict[str, str] | None = None) -> Response[Any]:
    """Answer records page by page; where a later page fails, the connection is aborted."""
    headers = {"Vary": "Accept", **(headers or {})}
    return Stream(read_ahead(kind.stream(source)), media_type=kind.media_type, headers=headers)
