"""Litestar with advanced-alchemy as a first look at its documentation suggests: the ORM's repository, autocommit."""

import os
from uuid import UUID, uuid4

import msgspec
from advanced_alchemy.base import DefaultBase
from advanced_alchemy.extensions.litestar import AsyncSessionConfig, SQLAlchemyAsyncConfig, SQLAlchemyPlugin
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from litestar import Litestar, delete, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from sqlalchemy import Uuid
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column


class Record(DefaultBase):
    """The table."""

    __tablename__ = "records"

    uuid: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    text: Mapped[str]


class Draft(msgspec.Struct):
    """A record that comes in."""

    text: str


class Stored(msgspec.Struct):
    """A record that goes out."""

    uuid: UUID
    text: str


class RecordRepository(SQLAlchemyAsyncRepository[Record]):
    """The records."""

    model_type = Record
    id_attribute = "uuid"


async def provide_records(db_session: NamedDependency[AsyncSession]) -> RecordRepository:
    """Give each request a repository."""
    return RecordRepository(session=db_session)


@post("/new")
async def store(data: JSONBody[list[Draft]], records: NamedDependency[RecordRepository]) -> list[Stored]:
    """Store records."""
    stored = await records.add_many([Record(uuid=uuid4(), text=draft.text) for draft in data])
    return [Stored(record.uuid, record.text) for record in stored]


@delete("/{key:uuid}", status_code=200)
async def remove(key: FromPath[UUID], records: NamedDependency[RecordRepository]) -> Stored:
    """Delete a record."""
    record = await records.delete(key)
    return Stored(record.uuid, record.text)


config = SQLAlchemyAsyncConfig(
    connection_string=os.environ["DATABASE_URL"].replace("sqlite://", "sqlite+aiosqlite://"),
    before_send_handler="autocommit",
    session_config=AsyncSessionConfig(expire_on_commit=False),
)
app = Litestar(
    [store, remove],
    dependencies={"records": Provide(provide_records)},
    plugins=[SQLAlchemyPlugin(config)],
    openapi_config=None,
)
