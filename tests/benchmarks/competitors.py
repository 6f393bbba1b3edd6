"""Who competes: which process serves which database."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.benchmarks.apps.records import POOL_SIZE
from tests.benchmarks.plan import Plan
from tests.benchmarks.processes import Meter, Service, finish, running
from tests.benchmarks.storage import Records, opened
from tests.databases import AnyDatabase, PostgresqlDatabase, SqliteDatabase

UVICORN = ("--port", "0", "--loop", "uvloop", "--http", "httptools", "--no-access-log")

Place = Callable[[str], AnyDatabase]
"""Makes an empty database for whoever has this name."""


@dataclass(frozen=True)
class Competitor:
    """A server to measure."""

    name: str
    command: tuple[str, ...]
    """What follows `python -m`."""

    variable: str = "DATABASE_URL"
    """Tells the server its database."""

    source: Path | None = None
    """Where another checkout has its packages."""

    def environment(self, url: str) -> dict[str, str]:
        """Return the environment that the server needs."""
        source = {"PYTHONPATH": str(self.source.resolve())} if self.source else {}
        return {self.variable: url, **source}


@dataclass(frozen=True)
class Contender:
    """A competitor that runs, its records, and what it and its database use."""

    name: str
    service: Service
    records: Records
    server: Meter
    database: Meter | None


def ours(name: str = "ours", source: Path | None = None) -> Competitor:
    """Return NetVision, as its command runs it."""
    command = ("netvision_api", "serve", "--port", "0", "--pool-size", str(POOL_SIZE))
    return Competitor(name, command, "NETVISION_DATABASE_URL", source=source)


def app(name: str) -> Competitor:
    """Return one of the small services."""
    return Competitor(name, ("uvicorn", f"tests.benchmarks.apps.{name}:app", *UVICORN))


def chosen(plan: Plan, *everyone: Competitor) -> Sequence[Competitor]:
    """Return those who take part, and the other checkout where there is one."""
    beside = [ours("beside", plan.beside)] if plan.beside else []
    return [competitor for competitor in (*everyone, *beside) if not plan.only or competitor.name in plan.only]


def on_postgresql(server: PostgresqlDatabase) -> Place:
    """Put databases on a server."""
    return lambda name: server.sibling(f"bench_{name}")


def on_sqlite(folder: Path) -> Place:
    """Put databases into a folder."""
    return lambda name: SqliteDatabase(folder / f"{name}.db")


@asynccontextmanager
async def contending(everyone: Iterable[Competitor], place: Place) -> AsyncIterator[Sequence[Contender]]:
    """Run competitors, each on a database of its own."""
    async with AsyncExitStack() as stack:
        contenders = []
        for competitor in everyone:
            url = await asyncio.to_thread(prepared, place, competitor)
            records = await stack.enter_async_context(opened(url))
            service = stack.enter_context(running(competitor.command, competitor.environment(url)))
            server = records.server()
            meters = Meter(service.pid), Meter(server) if server else None
            contenders.append(Contender(competitor.name, service, records, *meters))
        yield contenders


def prepared(place: Place, competitor: Competitor) -> str:
    """Create a database with our schema, or the other checkout's, so that all tables are alike; returns its URL."""
    url = place(competitor.name).url
    if competitor.source:
        finish(sys.executable, "-m", "netvision_api", "db", "upgrade", **competitor.environment(url))
    else:
        upgrade(Settings(database_url=url))
    return url
