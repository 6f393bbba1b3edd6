"""All SQL: the records, read and written through one session.

The statements are Core and built once: a row needs no object, no identity map and no refresh.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, cast
from uuid import UUID

from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    CursorResult,
    Executable,
    LargeBinary,
    Select,
    Table,
    Text,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    select,
    true,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy import text as text_statement
from sqlalchemy.dialects import postgresql, sqlite

from netvision_api.models import Record
from netvision_api.schemas import StoredRecord

PAGE_ROWS = 1000
"""The most records that one statement reads."""

PAGE_BYTES = 4 * 2**20
"""What the texts of a page may weigh, in bytes of UTF-8; the record that crosses the bound is the page's last."""

table = cast("Table", Record.__table__)
uuid, text = table.c.uuid, table.c.text

POSTGRESQL_KEYS = uuid == any_(bindparam("keys", type_=ARRAY(Uuid())))
SQLITE_KEYS = uuid.in_(select(func.json_each(bindparam("keys", type_=JSON)).table_valued("value").c.value))
FIND = {"postgresql": select(table).where(POSTGRESQL_KEYS), "sqlite": select(table).where(SQLITE_KEYS)}
REMOVE = {
    "postgresql": delete(table).where(POSTGRESQL_KEYS).returning(uuid, text),
    "sqlite": delete(table).where(SQLITE_KEYS).returning(uuid, text),
}

POSTGRESQL_ROWS = select(
    func.unnest(bindparam("uuids", type_=ARRAY(Uuid())), bindparam("texts", type_=ARRAY(Text())))
    .table_valued("uuid", "text")
    .render_derived()
)
SQLITE_PAIRS = func.json_each(bindparam("rows", type_=JSON)).table_valued("value")
SQLITE_ROWS = select(
    func.json_extract(SQLITE_PAIRS.c.value, "$[0]"), func.json_extract(SQLITE_PAIRS.c.value, "$[1]")
).where(true())
"""SQLite reads `SELECT … ON CONFLICT` as a join's condition unless a WHERE stands between."""

COLUMNS = ["uuid", "text"]
POSTGRESQL_INSERT = postgresql.insert(table).from_select(COLUMNS, POSTGRESQL_ROWS)
SQLITE_INSERT = sqlite.insert(table).from_select(COLUMNS, SQLITE_ROWS)
INSERT: dict[str, Executable] = {"postgresql": POSTGRESQL_INSERT, "sqlite": SQLITE_INSERT}
INSERT_NEW: dict[str, Executable] = {
    "postgresql": POSTGRESQL_INSERT.on_conflict_do_nothing(),
    "sqlite": SQLITE_INSERT.on_conflict_do_nothing(),
}

SIZE = select(func.count()).select_from(table)
DURABILITY = text_statement(
    "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit"
)


class Ask(NamedTuple):
    """A page that is asked for: the uuid it starts behind, and how many records it has at the most."""

    after: UUID | None
    limit: int


class ConflictError(Exception):
    """Some uuids of a batch are stored with other texts."""

    def __init__(self, uuids: set[UUID]) -> None:
        """Name the uuids."""
        super().__init__(f"{len(uuids)} uuids are stored with other texts")
        self.uuids = uuids


class RecordRepository(SQLAlchemyAsyncRepository[Record]):
    """The records as one session sees them."""

    model_type = Record
    id_attribute = "uuid"

    async def find(self, keys: Sequence[UUID]) -> list[StoredRecord | None]:
        """Return the records with these uuids in their order; None for those that are absent."""
        found = await self.rows(FIND[self.dialect], {"keys": self.encoded(set(keys))})
        by_key = {record.uuid: record for record in found}
        return [by_key.get(key) for key in keys]

    async def remove(self, keys: Sequence[UUID]) -> list[StoredRecord | None]:
        """Delete the records with these uuids and return them in their order; None for whoever comes second."""
        rows = await self.rows(REMOVE[self.dialect], {"keys": self.encoded(set(keys))})
        removed = {record.uuid: record for record in rows}
        return [removed.pop(key, None) for key in keys]

    async def pages(self, asked: Sequence[Ask]) -> list[list[StoredRecord]]:
        """Return these pages; those that are the same are read once."""
        pages = {ask: await self.page(*ask) for ask in dict.fromkeys(asked)}
        return [pages[ask] for ask in asked]

    async def page(self, after: UUID | None, limit: int) -> list[StoredRecord]:
        """Return the first `limit` records behind `after`, fewer where their texts would weigh more than a page may."""
        statement = page_statement(from_start=after is None, on_sqlite=self.dialect == "sqlite")
        return await self.rows(statement, {"after": after, "limit": limit})

    async def keys(self, after: UUID | None, count: int) -> list[UUID]:
        """Return the uuids of the first `count` records behind `after`."""
        keys = ahead(select(uuid), from_start=after is None).limit(count)
        return list((await self.execute(keys, {"after": after})).scalars())

    async def store(self, batch: Sequence[StoredRecord]) -> int:
        """Store a batch and return how many of its records are new; those stored already must have the same text.

        Raises ConflictError where one has another text; the caller's transaction then has to be rolled back.
        The batch is sorted by uuid, lest two overlapping ones wait for each other.
        """
        new, missing = 0, sorted(batch, key=by_uuid)
        while missing:
            inserted = await self.insert_new(missing)
            new += inserted
            if inserted == len(missing):
                break
            found = await self.find([record.uuid for record in missing])
            stored = {record.uuid: record.text for record in found if record}
            if conflicts := {r.uuid for r in missing if stored.get(r.uuid, r.text) != r.text}:
                raise ConflictError(conflicts)
            missing = [record for record in missing if record.uuid not in stored]
        return new

    async def insert_all(self, batches: Sequence[Sequence[StoredRecord]]) -> list[int]:
        """Insert several batches with one statement, and return their sizes; raises where a uuid is stored already."""
        records = sorted((record for batch in batches for record in batch), key=by_uuid)
        await self.execute(INSERT[self.dialect], self.columns(records))
        return [len(batch) for batch in batches]

    async def insert_new(self, batch: Sequence[StoredRecord]) -> int:
        """Insert the records whose uuid is not stored, and return how many those were."""
        result = await self.execute(INSERT_NEW[self.dialect], self.columns(batch))
        return result.rowcount

    async def size(self) -> int:
        """Count the records."""
        return int((await self.execute(SIZE)).scalar_one())

    async def weak_settings(self) -> list[str]:
        """Name the settings of PostgreSQL under which an acknowledged commit can be lost."""
        if self.dialect == "sqlite":
            return []
        settings = (await self.execute(DURABILITY)).mappings().one()
        return [name for name, value in settings.items() if value == "off"]

    async def rows(self, statement: Executable, parameters: dict[str, object]) -> list[StoredRecord]:
        """Run a statement that returns records."""
        return [StoredRecord(row.uuid, row.text) for row in await self.execute(statement, parameters)]

    async def execute(self, statement: Executable, parameters: dict[str, object] | None = None) -> CursorResult[Any]:
        """Run a statement on the session's connection, without the ORM's own work around it."""
        return await (await self.session.connection()).execute(statement, parameters)

    def encoded(self, keys: Iterable[UUID]) -> object:
        """Write uuids as the parameter of a statement, in order: whoever wants the same rows locks them alike."""
        return [key.hex for key in sorted(keys)] if self.dialect == "sqlite" else sorted(keys)

    def columns(self, records: Sequence[StoredRecord]) -> dict[str, object]:
        """Write records as the parameters of an insert."""
        if self.dialect == "sqlite":
            return {"rows": [(record.uuid.hex, record.text) for record in records]}
        return {"uuids": [record.uuid for record in records], "texts": [record.text for record in records]}

    @property
    def dialect(self) -> str:
        """Name the database: postgresql or sqlite."""
        return self._dialect.name


by_uuid = attrgetter("uuid")


def ahead(statement: Select[Any], *, from_start: bool) -> Select[Any]:
    """Order a statement's records, from the first on or from behind the parameter `after`."""
    return (statement if from_start else statement.where(uuid > bindparam("after"))).order_by(uuid)


@cache
def page_statement(*, from_start: bool, on_sqlite: bool) -> Select[Any]:
    """Build the statement of a page: its texts are weighed by the database, in order, until they are enough.

    SQLite copies what a window function runs over, so there it runs over the weights alone.
    """
    weight = func.length(sql_cast(text, LargeBinary)) if on_sqlite else func.octet_length(text)
    columns = [uuid, weight.label("weight")] if on_sqlite else [uuid, text, weight.label("weight")]
    head = ahead(select(*columns), from_start=from_start).limit(bindparam("limit")).subquery("head")
    before: ColumnElement[int] = func.sum(head.c.weight).over(order_by=head.c.uuid, rows=(None, -1))
    running = select(*head.c, before.label("before")).subquery("running")
    page = select(table).join(running, uuid == running.c.uuid) if on_sqlite else select(running.c.uuid, running.c.text)
    return page.where(func.coalesce(running.c.before, 0) < PAGE_BYTES).order_by(running.c.uuid)
