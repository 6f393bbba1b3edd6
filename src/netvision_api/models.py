"""The one table: a record is a uuid and a text."""

from uuid import UUID

from advanced_alchemy.base import DefaultBase
from sqlalchemy import Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column


class Record(DefaultBase):
    """A text under its uuid, which is also its place in every listing."""

    __tablename__ = "records"

    uuid: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    text: Mapped[str] = mapped_column(Text())
