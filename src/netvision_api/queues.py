"""The database's work for requests, in four queues: find records, read pages, store batches, remove records."""

from uuid import UUID

from anyio import CancelScope

from netvision_api.batching import Batcher, Work
from netvision_api.database import Database
from netvision_api.schemas import Records, StoredRecord
from netvision_api.settings import Settings
from netvision_api.statements import Ask, Statements

READ_LANES, WRITE_LANES = 4, 2
MOST_KEYS = 64
MOST_PAGES = 32
MOST_BYTES = 2**20
"""What one statement may carry, in records, pages or bytes; a request with more of its own travels by itself."""

RECORD_WEIGHT = 64
"""What a record weighs beside its text, in bytes."""

Found = StoredRecord | None


class Queues:
    """Where requests wait for the database, together with others of their kind."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Prepare the queues of a database."""
        self.database = database
        are_wanted, patience = database.writer.are_wanted, settings.pool_timeout
        write_lanes = 1 if settings.is_sqlite else WRITE_LANES

        async def store_alone(batch: Records) -> int:
            async with database.transaction() as records:
                return await records.store(batch)

        find = Work(database.reading, Statements.find, database.reader.are_wanted, most=MOST_KEYS)
        read = Work(database.reading, Statements.pages, database.reader.are_wanted, most=MOST_PAGES)
        store = Work(database.writing, Statements.insert, are_wanted, most=MOST_BYTES, weigh=weight, alone=store_alone)
        remove = Work(database.writing, Statements.remove, are_wanted, most=MOST_KEYS)

        self.finds: Batcher[Statements, UUID, Found] = Batcher(find, patience=patience, lanes=READ_LANES)
        self.pages: Batcher[Statements, Ask, list[StoredRecord]] = Batcher(read, patience=patience, lanes=READ_LANES)
        self.stores: Batcher[Statements, Records, int] = Batcher(store, patience=patience, lanes=write_lanes)
        self.removals: Batcher[Statements, UUID, Found] = Batcher(remove, patience=patience, lanes=write_lanes)

    async def keys(self, after: UUID | None, count: int) -> list[UUID]:
        """Return the uuids of the first `count` records behind `after`, read to the end even if the client leaves."""
        with CancelScope(shield=True):
            async with self.database.looking() as records:
                found = await records.keys(after, count)
        return found


def weight(batch: Records) -> int:
    """Weigh the records of a POST, about in bytes."""
    return sum(RECORD_WEIGHT + len(record.text) for record in batch)
