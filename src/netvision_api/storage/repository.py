"""Every statement on the records' table.

The statements of a request run on the driver's own connection, compiled when this module is imported: executed by
SQLAlchemy they would take several times as long. Each is a transaction of its own and serves many requests.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple, Self, cast
from uuid import UUID

import msgspec
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy import (
    ARRAY,
    Executable,
    Select,
    Table,
    Text,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.sql import ClauseElement

from netvision_api.storage.errors import ConflictError
from netvision_api.storage.models import Record, Records, StoredRecord

PAGE_ROWS = 1000
"""The most records that one statement reads."""

PAGE_BYTES = 2**20
"""The limit of a page in bytes of UTF-8; the record that crosses it is the page's last."""

MIN_UUID = UUID(int=0)

by_value = attrgetter("int")
by_uuid = attrgetter("uuid.int")
"""Integers are compared many times faster than uuids, in the same order."""

table = cast("Table", Record.__table__)
stored = select(table.c.uuid, table.c.text)


class PageRequest(NamedTuple):
    """A page: the uuid it starts after, and how many records it has at most."""

    after: UUID | None
    limit: int


@dataclass(frozen=True, slots=True)
class DriverBackend:
    """The statements for one driver, how their parameters are encoded, and how they are run.

    Both page statements take a uuid and a limit: the page starts at the uuid or, in `get_page_after`, after it.
    `confirm` waits for a standby as a commit does.
    """

    get_many: str
    get_page: str
    get_page_after: str
    create_many: str
    delete_many: str
    confirm: str | None
    encode_uuids: Callable[[Iterable[UUID]], Sequence[object]]
    encode_uuid: Callable[[UUID], object]
    encode_records: Callable[[Records], Sequence[object]]
    decode_uuid: Callable[[Any], UUID]
    fetch: Callable[[Any, str, Sequence[object]], Awaitable[Iterable[Any]]]
    write: Callable[[Any, str, Sequence[object]], Awaitable[Iterable[Any]]]
    transaction: Callable[[Any], AbstractAsyncContextManager[object]]


class RecordRepository(SQLAlchemyAsyncRepository[Record]):
    """The records as one connection sees them.

    `get_many`, `get_pages`, `create_many` and `delete_many` replace what they inherit: they take and return values
    instead of instances of the mapped class, and are atomic without a session, as `create_or_compare` is. The other
    methods run in the session.
    """

    model_type = Record
    id_attribute = "uuid"

    def __init__(self, *, session: AsyncSession, connection: Any = None) -> None:  # noqa: ANN401 - the driver's own
        """Take a session, and the driver's connection for the statements that run on it."""
        super().__init__(session=session, wrap_exceptions=False)
        self.connection = connection
        self.backend = SQLITE if self._dialect.name == "sqlite" else POSTGRESQL

    @classmethod
    async def on(cls, connection: AsyncConnection) -> Self:
        """Return the repository of a borrowed connection; it is kept with the driver's, as building one takes a while.

        Its session is not that of the connection: only the statements that run on the driver's connection are for it.
        """
        pooled = await connection.get_raw_connection()
        if (kept := pooled.info.get(cls)) is None:
            session = AsyncSession(connection.engine)
            kept = pooled.info[cls] = cls(session=session, connection=pooled.driver_connection)
        return cast("Self", kept)

    # --- on the driver's connection

    async def get_many(self, uuids: Sequence[UUID]) -> list[StoredRecord | None]:  # type: ignore[override]
        """Return the records with these uuids in their order; None for those that are absent."""
        found = await self.fetch(self.backend.get_many, self.backend.encode_uuids(set(uuids)))
        by_key = {record.uuid: record for record in found}
        return [by_key.get(uuid) for uuid in uuids]

    async def get_pages(self, requests: Sequence[PageRequest]) -> list[list[StoredRecord]]:
        """Return these pages; equal ones are read once."""
        pages = {request: await self.get_page(request) for request in dict.fromkeys(requests)}
        return [pages[request] for request in requests]

    async def get_page(self, request: PageRequest) -> list[StoredRecord]:
        """Return a page, with fewer records than its limit if their texts exceed `PAGE_BYTES`."""
        statement = self.backend.get_page if request.after is None else self.backend.get_page_after
        return await self.fetch(statement, (self.backend.encode_uuid(request.after or MIN_UUID), request.limit))

    async def create_many(self, batches: Sequence[Records]) -> list[int]:
        """Insert several batches, all or none, and return their sizes; raises if a uuid is stored already.

        They are sorted by uuid so that two overlapping inserts do not wait for each other.
        """
        records = sorted((record for batch in batches for record in batch), key=by_uuid)
        await self.backend.write(self.connection, self.backend.create_many, self.backend.encode_records(records))
        return [len(batch) for batch in batches]

    async def create_or_compare(self, batches: Sequence[Records]) -> list[int | ConflictError]:
        """Insert what is new of several batches, and return for each of them how many records that is.

        A batch with a uuid that is stored with another text gets a ConflictError instead, and nothing of it is stored.
        Only where a batch is stored in part do its comparison and its insertion need a transaction.
        """
        results, new = compare(batches, await self.get_texts(batches))
        if any(result in range(1, len(batch)) for result, batch in zip(results, batches, strict=True)):
            async with self.backend.transaction(self.connection):
                results, new = compare(batches, await self.get_texts(batches))
                await self.create_or_confirm(new)
        elif new or 0 in results:
            await self.create_or_confirm(new)
        return results

    async def create_or_confirm(self, records: Records) -> None:
        """Insert records; if there are none, what has been read instead gets as safe as a commit would make it."""
        if records:
            await self.create_many([records])
        else:
            await self.confirm()

    async def confirm(self) -> None:
        """Wait, where replication is synchronous, until a standby has all that was committed before.

        A record that is found stored, or deleted, may come from a commit that has not waited for it to the end.
        """
        if self.backend.confirm:
            await self.backend.write(self.connection, self.backend.confirm, ())

    async def get_texts(self, batches: Sequence[Records]) -> dict[UUID, str]:
        """Return the texts that are stored under the uuids of several batches."""
        uuids = {record.uuid for batch in batches for record in batch}
        return {
            record.uuid: record.text
            for record in await self.fetch(self.backend.get_many, self.backend.encode_uuids(uuids))
        }

    async def delete_many(self, uuids: Sequence[UUID]) -> list[StoredRecord | None]:  # type: ignore[override]
        """Delete the records with these uuids and return them in their order; None for all but the first of equals."""
        keys = self.backend.encode_uuids(sorted(set(uuids), key=by_value))
        rows = self.decode(await self.backend.write(self.connection, self.backend.delete_many, keys))
        deleted = {record.uuid: record for record in rows}
        if not deleted:
            await self.confirm()
        return [deleted.pop(uuid, None) for uuid in uuids]

    async def fetch(self, statement: str, parameters: Sequence[object]) -> list[StoredRecord]:
        """Run a statement that returns records."""
        return self.decode(await self.backend.fetch(self.connection, statement, parameters))

    def decode(self, rows: Iterable[Any]) -> list[StoredRecord]:
        """Return the records of rows."""
        decode = self.backend.decode_uuid
        return [StoredRecord(decode(uuid), text) for uuid, text in rows]

    # --- in the session

    async def get_uuids(self, after: UUID | None, count: int) -> list[UUID]:
        """Return the uuids of the first `count` records after a uuid, or of all."""
        uuids = select(table.c.uuid).order_by(table.c.uuid).limit(count)
        return list((await self.session.scalars(uuids.where(table.c.uuid > after) if after else uuids)).all())


def compare(
    batches: Sequence[Records], texts: Mapping[UUID, str]
) -> tuple[list[int | ConflictError], list[StoredRecord]]:
    """Return the result of each batch beside the texts that are stored, and all records that are to be inserted."""
    results: list[int | ConflictError] = []
    new: dict[UUID, StoredRecord] = {}
    known = dict(texts)
    for batch in batches:
        if conflicts := {record.uuid for record in batch if known.get(record.uuid, record.text) != record.text}:
            results.append(ConflictError(conflicts))
            continue
        added = {record.uuid: record for record in batch if record.uuid not in known}
        known.update((record.uuid, record.text) for record in added.values())
        new.update(added)
        results.append(len(added))
    return results, list(new.values())


# --- PostgreSQL

postgresql = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
uuid_array = bindparam("uuids", type_=ARRAY(Uuid()))
text_array = bindparam("texts", type_=ARRAY(Text()))

POSTGRESQL_PAGE = f"""
    SELECT uuid, text FROM (
        SELECT uuid, text, sum(octet_length(text)) OVER (ORDER BY uuid) - octet_length(text) AS before
        FROM (SELECT uuid, text FROM records WHERE uuid {{bound}} :uuid ORDER BY uuid LIMIT :limit) AS head
    ) AS running
    WHERE before < {PAGE_BYTES} ORDER BY uuid
"""  # noqa: S608 - the bound is ours
"""The database adds up the sizes of the texts in order, until they fill the page."""

POSTGRESQL_CONFIRM = """
    SELECT CASE WHEN current_setting('synchronous_standby_names') <> ''
                THEN pg_logical_emit_message(true, 'netvision', ''::text)::text END
"""
"""Writes something where replication is synchronous, since only a commit that wrote waits for the standby."""


async def fetch_from_asyncpg(connection: Any, statement: str, parameters: Sequence[object]) -> Iterable[Any]:  # noqa: ANN401
    """Run a statement on asyncpg."""
    return cast("Iterable[Any]", await connection.fetch(statement, *parameters))


async def write_to_asyncpg(connection: Any, statement: str, parameters: Sequence[object]) -> Iterable[Any]:  # noqa: ANN401
    """Run a statement that writes on asyncpg; raises CommitOutcomeUnknownError if a warning comes with it."""
    return cast("Iterable[Any]", await connection.write(statement, *parameters))


def asyncpg_transaction(connection: Any) -> AbstractAsyncContextManager[object]:  # noqa: ANN401
    """Open a transaction that writes on asyncpg."""
    return cast("AbstractAsyncContextManager[object]", connection.write_transaction())


# --- SQLite: a list is one parameter in JSON, which the statement reads as a table

sqlite = SQLiteDialect_aiosqlite()
items = func.json_each(bindparam("items")).table_valued("value")

SQLITE_PAGE = f"""
    SELECT uuid, text FROM records JOIN (
        SELECT uuid, sum(size) OVER (ORDER BY uuid) - size AS before FROM (
            SELECT uuid, length(CAST(text AS BLOB)) AS size FROM records
            WHERE uuid {{bound}} :uuid ORDER BY uuid LIMIT :limit
        )
    ) USING (uuid)
    WHERE before < {PAGE_BYTES} ORDER BY uuid
"""  # noqa: S608 - the bound is ours
"""SQLite copies the rows of a window function, so it runs over the sizes alone."""


async def fetch_from_aiosqlite(connection: Any, statement: str, parameters: Sequence[object]) -> Iterable[Any]:  # noqa: ANN401
    """Run a statement on aiosqlite."""
    return cast("Iterable[Any]", await connection.execute_fetchall(statement, parameters))


@asynccontextmanager
async def aiosqlite_transaction(connection: Any) -> AsyncIterator[None]:  # noqa: ANN401
    """Open a transaction that writes on aiosqlite."""
    await connection.execute_fetchall("BEGIN IMMEDIATE")
    try:
        yield
        await connection.commit()
    except BaseException:
        await connection.rollback()
        raise


def as_json_parameter(values: object) -> Sequence[str]:
    """Encode a list as the one parameter of a statement that reads it by `json_each`."""
    return (msgspec.json.encode(values).decode(),)


# --- both


def backend_for(
    dialect: Dialect,
    uuids: Any,  # noqa: ANN401 - an array or a subquery
    new_records: Select[Any],
    page: str,
    **codec: Any,  # noqa: ANN401 - the other fields
) -> DriverBackend:
    """Compile the statements for a dialect, with its notation of a list of uuids and of a list of new records."""

    def compiled(statement: Executable) -> str:
        return str(cast("ClauseElement", statement).compile(dialect=dialect))

    is_named = table.c.uuid == uuids if dialect is postgresql else table.c.uuid.in_(uuids)
    return DriverBackend(
        get_many=compiled(stored.where(is_named)),
        get_page=compiled(text(page.format(bound=">="))),
        get_page_after=compiled(text(page.format(bound=">"))),
        create_many=compiled(insert(table).from_select(["uuid", "text"], new_records)),
        delete_many=compiled(delete(table).where(is_named).returning(table.c.uuid, table.c.text)),
        **codec,
    )


POSTGRESQL = backend_for(
    postgresql,
    any_(uuid_array),
    select(func.unnest(uuid_array), func.unnest(text_array)),
    POSTGRESQL_PAGE,
    encode_uuids=lambda uuids: (list(uuids),),
    encode_uuid=lambda uuid: uuid,
    encode_records=lambda records: ([record.uuid for record in records], [record.text for record in records]),
    decode_uuid=lambda uuid: uuid,
    fetch=fetch_from_asyncpg,
    write=write_to_asyncpg,
    confirm=POSTGRESQL_CONFIRM,
    transaction=asyncpg_transaction,
)
SQLITE = backend_for(
    sqlite,
    select(items.c.value),
    select(*(func.json_extract(items.c.value, literal_column(f"'$[{n}]'")) for n in (0, 1))),
    SQLITE_PAGE,
    encode_uuids=lambda uuids: as_json_parameter([uuid.hex for uuid in uuids]),
    encode_uuid=lambda uuid: uuid.hex,
    encode_records=lambda records: as_json_parameter([(record.uuid.hex, record.text) for record in records]),
    decode_uuid=UUID,
    fetch=fetch_from_aiosqlite,
    write=fetch_from_aiosqlite,
    confirm=None,
    transaction=aiosqlite_transaction,
)
