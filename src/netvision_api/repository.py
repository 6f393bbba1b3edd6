"""All SQL: the records, read and written through one session.

The statements are Core and built once: a row needs no object, no identity map and no refresh.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, cast
from uuid import UUID

from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CursorResult,
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
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql, sqlite

from netvision_api.models import Record
from netvision_api.schemas import StoredRecord

PAGE_ROWS = 1000
"""The most records that one statement reads."""

PAGE_BYTES = 4 * 2**20
"""What the texts of a page may weigh, in bytes of UTF-8; the record that crosses the bound is the page's last."""

table = cast("Table", Record.__table__)
uuid, text = table.c.uuid, table.c.text

FIND = select(uuid, text).where(uuid == bindparam("key"))
REMOVE_ON_SQLITE = delete(table).where(uuid.in_(bindparam("keys", expanding=True))).returning(uuid, text)
REMOVE_ON_POSTGRESQL = delete(table).where(uuid == any_(bindparam("keys", type_=ARRAY(Uuid())))).returning(uuid, text)
STORED = select(uuid, text).where(uuid.in_(bindparam("keys", expanding=True)))
SIZE = select(func.count()).select_from(table)
MAX_KEYS = 10_000
"""How many keys one statement may name; SQLite allows 32 766 parameters."""

POSTGRESQL_INSERT = (
    postgresql.insert(table)
    .from_select(
        ["uuid", "text"],
        select(
            func.unnest(bindparam("uuids", type_=ARRAY(Uuid())), bindparam("texts", type_=ARRAY(Text())))
            .table_valued("uuid", "text")
            .render_derived()
        ),
    )
    .on_conflict_do_nothing()
)
SQLITE_INSERT = sqlite.insert(table).on_conflict_do_nothing()


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

    async def find(self, key: UUID) -> StoredRecord | None:
        """Return the record with this uuid, or None."""
        row = (await self.session.execute(FIND, {"key": key})).one_or_none()
        return StoredRecord(*row) if row else None

    async def remove(self, keys: Sequence[UUID]) -> list[StoredRecord | None]:
        """Delete the records with these uuids and return them in their order; None for whoever comes second."""
        statement = REMOVE_ON_SQLITE if self.on_sqlite else REMOVE_ON_POSTGRESQL
        rows = await self.session.execute(statement, {"keys": sorted(set(keys))})
        removed = {key: StoredRecord(key, value) for key, value in rows}
        return [removed.pop(key, None) for key in keys]

    async def page(self, after: UUID | None, limit: int) -> list[StoredRecord]:
        """Return the first `limit` records behind `after`, fewer where their texts would weigh more than a page may."""
        statement = page_statement(from_start=after is None, on_sqlite=self.on_sqlite)
        rows = await self.session.execute(statement, {"after": after, "limit": limit})
        return [StoredRecord(*row) for row in rows]

    async def keys(self, after: UUID | None, count: int) -> list[UUID]:
        """Return the uuids of the first `count` records behind `after`."""
        keys = ahead(select(uuid), from_start=after is None).limit(count)
        return list((await self.session.execute(keys, {"after": after})).scalars())

    async def store(self, batch: Sequence[StoredRecord]) -> int:
        """Store a batch and return how many of its records are new; those stored already must have the same text.

        Raises ConflictError where one has another text; the caller's transaction then has to be rolled back.
        The batch is sorted by uuid, lest two overlapping ones wait for each other.
        """
        new, missing = 0, sorted(batch, key=lambda record: record.uuid)
        while missing:
            inserted = await self.insert(missing)
            new += inserted
            if inserted == len(missing):
                break
            stored = await self.texts([record.uuid for record in missing])
            if conflicts := {r.uuid for r in missing if stored.get(r.uuid, r.text) != r.text}:
                raise ConflictError(conflicts)
            missing = [record for record in missing if record.uuid not in stored]
        return new

    async def insert(self, batch: Sequence[StoredRecord]) -> int:
        """Insert the records whose uuid is not stored, and return how many those were."""
        if self.on_sqlite:
            rows = [{"uuid": record.uuid, "text": record.text} for record in batch]
            result = await self.session.execute(SQLITE_INSERT, rows)
        else:
            columns = {"uuids": [record.uuid for record in batch], "texts": [record.text for record in batch]}
            result = await self.session.execute(POSTGRESQL_INSERT, columns)
        return cast("CursorResult[Any]", result).rowcount

    async def texts(self, keys: Sequence[UUID]) -> dict[UUID, str]:
        """Return the texts stored under these uuids."""
        found: dict[UUID, str] = {}
        for start in range(0, len(keys), MAX_KEYS):
            rows = await self.session.execute(STORED, {"keys": keys[start : start + MAX_KEYS]})
            found.update((key, value) for key, value in rows)
        return found

    async def size(self) -> int:
        """Count the records."""
        return int((await self.session.execute(SIZE)).scalar_one())

    @property
    def on_sqlite(self) -> bool:
        """Tell SQLite from PostgreSQL."""
        return self._dialect.name == "sqlite"


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
