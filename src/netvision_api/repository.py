"""The records as one session sees them: what is done in a transaction, or seldom."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy import Table, bindparam, func, insert, select
from sqlalchemy import text as statement

from netvision_api.models import Record
from netvision_api.schemas import StoredRecord

MAX_KEYS = 10_000
"""How many uuids one statement may name; SQLite allows 32 766 parameters."""

table = cast("Table", Record.__table__)
uuid, text = table.c.uuid, table.c.text

STORED = select(uuid, text).where(uuid.in_(bindparam("keys", expanding=True)))
KEYS = select(uuid).order_by(uuid).limit(bindparam("count"))
KEYS_AFTER = KEYS.where(uuid > bindparam("after"))
SIZE = select(func.count()).select_from(table)
DURABILITY = statement(
    "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit"
)


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

    async def store(self, batch: Sequence[StoredRecord]) -> int:
        """Store a batch and return how many of its records are new; those stored already must have the same text.

        Raises ConflictError where one has another text; the caller's transaction then has to be rolled back. It is
        sorted by uuid, lest two overlapping ones wait for each other.
        """
        stored = await self.texts([record.uuid for record in batch])
        if conflicts := {r.uuid for r in batch if stored.get(r.uuid, r.text) != r.text}:
            raise ConflictError(conflicts)
        new = sorted((record.uuid, record.text) for record in batch if record.uuid not in stored)
        if new:
            await self.session.execute(insert(table), [{"uuid": key, "text": value} for key, value in new])
        return len(new)

    async def texts(self, keys: Sequence[UUID]) -> dict[UUID, str]:
        """Return the texts that are stored under these uuids."""
        found: dict[UUID, str] = {}
        for start in range(0, len(keys), MAX_KEYS):
            rows = await self.session.execute(STORED, {"keys": keys[start : start + MAX_KEYS]})
            found.update((key, value) for key, value in rows)
        return found

    async def keys(self, after: UUID | None, count: int) -> list[UUID]:
        """Return the uuids of the first `count` records behind `after`."""
        keys = KEYS_AFTER if after else KEYS
        return list((await self.session.execute(keys, {"after": after, "count": count})).scalars())

    async def size(self) -> int:
        """Count the records."""
        return int((await self.session.execute(SIZE)).scalar_one())

    async def weak_settings(self) -> list[str]:
        """Name the settings of PostgreSQL under which an acknowledged commit can be lost."""
        if self._dialect.name == "sqlite":
            return []
        settings = (await self.session.execute(DURABILITY)).mappings().one()
        return [name for name, value in settings.items() if value == "off"]
