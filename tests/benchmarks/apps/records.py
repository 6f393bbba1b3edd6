"""What the floor and the bare app share: the statements, and JSON by msgspec."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

POOL_SIZE = 8

PAGE = "SELECT uuid, text FROM records ORDER BY uuid LIMIT $1"
READ = "SELECT uuid, text FROM records WHERE uuid = $1"
REMOVE = "DELETE FROM records WHERE uuid = $1 RETURNING uuid, text"
INSERT = "INSERT INTO records (uuid, text) SELECT * FROM unnest($1::uuid[], $2::text[])"
ALL = "SELECT uuid, text FROM records ORDER BY uuid"


class Record(msgspec.Struct):
    """A record."""

    uuid: UUID
    text: str


class Draft(msgspec.Struct):
    """A record that may have no uuid yet."""

    text: str
    uuid: UUID | None = None


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(list[Draft]).decode


def record(row: asyncpg.Record) -> Record:
    """Read a row."""
    return Record(row[0], row[1])


def drafts(body: bytes) -> list[Record]:
    """Read a body, and give a uuid to those that have none."""
    return [Record(draft.uuid or uuid7(), draft.text) for draft in decode(body)]


def columns(records: Sequence[Record]) -> tuple[list[UUID], list[str]]:
    """Lay records out as the parameters of the insert."""
    return [record.uuid for record in records], [record.text for record in records]
