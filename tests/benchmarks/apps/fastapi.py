"""FastAPI as its documentation shows it: Pydantic models, and a session of SQLAlchemy's ORM per request."""

import os
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.benchmarks.apps.records import POOL_SIZE


class Base(DeclarativeBase):
    """What the tables have in common."""


class Record(Base):
    """The table."""

    __tablename__ = "records"

    uuid: Mapped[UUID] = mapped_column(primary_key=True)
    text: Mapped[str]


class RecordCreate(BaseModel):
    """A record that comes in."""

    uuid: UUID = Field(default_factory=uuid4)
    text: str


class RecordPublic(BaseModel):
    """A record that goes out."""

    model_config = ConfigDict(from_attributes=True)

    uuid: UUID
    text: str


url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=0)
session_factory = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give each request a session."""
    async with session_factory() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]

app = FastAPI()


@app.post("/new", status_code=201)
async def create_records(records: list[RecordCreate], session: Session) -> list[RecordPublic]:
    """Store records."""
    stored = [Record(**record.model_dump()) for record in records]
    session.add_all(stored)
    await session.commit()
    return [RecordPublic.model_validate(record) for record in stored]


@app.get("/{count:int}")
async def read_records(count: int, session: Session) -> list[RecordPublic]:
    """Answer with the first records."""
    records = await session.scalars(select(Record).order_by(Record.uuid).limit(count))
    return [RecordPublic.model_validate(record) for record in records]


@app.get("/{uuid}")
async def read_record(uuid: UUID, session: Session) -> RecordPublic:
    """Answer with one record."""
    return RecordPublic.model_validate(await found(session, uuid))


@app.delete("/{uuid}")
async def delete_record(uuid: UUID, session: Session) -> RecordPublic:
    """Delete a record."""
    record = await found(session, uuid)
    await session.delete(record)
    await session.commit()
    return RecordPublic.model_validate(record)


async def found(session: AsyncSession, uuid: UUID) -> Record:
    """Read a record, or answer 404."""
    record = await session.get(Record, uuid)
    if record is None:
        raise HTTPException(status_code=404, detail="Record not found")
    return record
