"""A record: the one table, and the value that is passed around."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from advanced_alchemy.base import DefaultBase
from sqlalchemy import Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column


class Record(DefaultBase):
    """The table: a text under its uuid, which is also its place in every listing."""

    __tablename__ = "records"

    uuid: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    text: Mapped[str] = mapped_column(Text())


class StoredRecord(msgspec.Struct, frozen=True):
    """A record as a value: built in a fraction of the time that the mapped class takes."""

    uuid: UUID
    text: str


Records = Sequence[StoredRecord]
