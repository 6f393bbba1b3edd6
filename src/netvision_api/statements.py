"""The statements of every request, on the driver's own connection: each commits itself, and serves many at once.

SQLAlchemy's pool lends the connection. Its execution would take several times as long as the driver's, and these four
are where the time goes; everything else is in `repository`.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from netvision_api.schemas import StoredRecord

PAGE_ROWS = 1000
"""The most records that one statement reads."""

PAGE_BYTES = 4 * 2**20
"""What the texts of a page may weigh, in bytes of UTF-8; the record that crosses the bound is the page's last."""

BEGINNING = UUID(int=0)

by_value = attrgetter("int")
by_uuid = attrgetter("uuid.int")
"""Integers are compared many times faster than uuids, in the same order."""


class Ask(NamedTuple):
    """A page that is asked for: the uuid it starts behind, and how many records it has at the most."""

    after: UUID | None
    limit: int


@dataclass(frozen=True)
class Dialect:
    """How a database is spoken to: its SQL, how parameters are written, a uuid is read, and a statement is run.

    `page` has one parameter for the limit and one for the uuid that it starts at or, in `page_after`, behind.
    """

    find: str
    page: str
    page_after: str
    insert: str
    remove: str
    keys: Callable[[Iterable[UUID]], Sequence[object]]
    key: Callable[[UUID], object]
    columns: Callable[[Sequence[StoredRecord]], Sequence[object]]
    uuid: Callable[[Any], UUID]
    run: Callable[[Any, str, Sequence[object]], Awaitable[Iterable[Any]]]


class Statements:
    """The statements on one connection."""

    def __init__(self, connection: Any, dialect: Dialect) -> None:  # noqa: ANN401 - the driver's own type
        """Take a driver's connection that has begun no transaction."""
        self.connection = connection
        self.dialect = dialect

    async def find(self, keys: Sequence[UUID]) -> list[StoredRecord | None]:
        """Return the records with these uuids in their order; None for those that are absent."""
        found = await self.records(self.dialect.find, self.dialect.keys(set(keys)))
        by_key = {record.uuid: record for record in found}
        return [by_key.get(key) for key in keys]

    async def pages(self, asked: Sequence[Ask]) -> list[list[StoredRecord]]:
        """Return these pages; those that are the same are read once."""
        pages = {ask: await self.page(ask) for ask in dict.fromkeys(asked)}
        return [pages[ask] for ask in asked]

    async def page(self, ask: Ask) -> list[StoredRecord]:
        """Return a page, with fewer records than asked for where their texts would weigh more than a page may."""
        statement = self.dialect.page if ask.after is None else self.dialect.page_after
        return await self.records(statement, (ask.limit, self.dialect.key(ask.after or BEGINNING)))

    async def insert(self, batches: Sequence[Sequence[StoredRecord]]) -> list[int]:
        """Insert several batches, all or none, and return their sizes; raises where a uuid is stored already.

        They are sorted by uuid, lest two overlapping inserts wait for each other.
        """
        records = sorted((record for batch in batches for record in batch), key=by_uuid)
        await self.dialect.run(self.connection, self.dialect.insert, self.dialect.columns(records))
        return [len(batch) for batch in batches]

    async def remove(self, keys: Sequence[UUID]) -> list[StoredRecord | None]:
        """Delete the records with these uuids and return them in their order; None for whoever comes second."""
        rows = await self.records(self.dialect.remove, self.dialect.keys(sorted(set(keys), key=by_value)))
        removed = {record.uuid: record for record in rows}
        return [removed.pop(key, None) for key in keys]

    async def records(self, statement: str, parameters: Sequence[object]) -> list[StoredRecord]:
        """Run a statement that returns records."""
        read = self.dialect.uuid
        rows = await self.dialect.run(self.connection, statement, parameters)
        return [StoredRecord(read(key), text) for key, text in rows]


async def run_on_postgresql(connection: Any, statement: str, parameters: Sequence[object]) -> Iterable[Any]:  # noqa: ANN401
    """Run a statement on asyncpg."""
    return await connection.fetch(statement, *parameters)  # type: ignore[no-any-return]


async def run_on_sqlite(connection: Any, statement: str, parameters: Sequence[object]) -> Iterable[Any]:  # noqa: ANN401
    """Run a statement on aiosqlite."""
    return await connection.execute_fetchall(statement, parameters)  # type: ignore[no-any-return]


def in_json(values: object) -> Sequence[str]:
    """Write a list as the one parameter of a statement that reads it by `json_each`."""
    return (msgspec.json.encode(values).decode(),)


POSTGRESQL_PAGE = f"""
    SELECT uuid, text FROM (
        SELECT uuid, text, sum(octet_length(text)) OVER (ORDER BY uuid) - octet_length(text) AS before
        FROM (SELECT uuid, text FROM records WHERE uuid {{bound}} $2 ORDER BY uuid LIMIT $1) AS head
    ) AS running
    WHERE before < {PAGE_BYTES} ORDER BY uuid
"""  # noqa: S608 - the bound is ours
"""The texts are weighed by the database, in order, until they are enough."""

SQLITE_PAGE = f"""
    SELECT uuid, text FROM records JOIN (
        SELECT uuid, sum(weight) OVER (ORDER BY uuid) - weight AS before FROM (
            SELECT uuid, length(CAST(text AS BLOB)) AS weight FROM records
            WHERE uuid {{bound}} ?2 ORDER BY uuid LIMIT ?1
        )
    ) USING (uuid)
    WHERE before < {PAGE_BYTES} ORDER BY uuid
"""  # noqa: S608 - the bound is ours
"""SQLite copies what a window function runs over, so it runs over the weights alone."""

POSTGRESQL = Dialect(
    find="SELECT uuid, text FROM records WHERE uuid = ANY($1)",
    page=POSTGRESQL_PAGE.format(bound=">="),
    page_after=POSTGRESQL_PAGE.format(bound=">"),
    insert="INSERT INTO records (uuid, text) SELECT * FROM unnest($1::uuid[], $2::text[])",
    remove="DELETE FROM records WHERE uuid = ANY($1) RETURNING uuid, text",
    keys=lambda keys: (list(keys),),
    key=lambda key: key,
    columns=lambda records: ([record.uuid for record in records], [record.text for record in records]),
    uuid=lambda key: key,
    run=run_on_postgresql,
)
SQLITE = Dialect(
    find="SELECT uuid, text FROM records WHERE uuid IN (SELECT value FROM json_each(?))",
    page=SQLITE_PAGE.format(bound=">="),
    page_after=SQLITE_PAGE.format(bound=">"),
    insert="""
        INSERT INTO records (uuid, text)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
    """,
    remove="DELETE FROM records WHERE uuid IN (SELECT value FROM json_each(?)) RETURNING uuid, text",
    keys=lambda keys: in_json([key.hex for key in keys]),
    key=lambda key: key.hex,
    columns=lambda records: in_json([(record.uuid.hex, record.text) for record in records]),
    uuid=UUID,
    run=run_on_sqlite,
)
