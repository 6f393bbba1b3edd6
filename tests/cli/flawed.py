"""Servers with planted flaws: some harm records, some are merely unpleasant."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from netvision_cli.client import MAX_PAGE, Record
from netvision_cli.errors import NotConnected, ServerError
from tests.cli.simulation import SimulatedServer

T = TypeVar("T")


class Flawed(SimulatedServer):
    """Does harm at its first opportunity, and now and then later."""

    is_due = True

    def strikes(self) -> bool:
        strikes = self.is_due or self.rng.random() < 0.1
        self.is_due = False
        return strikes


class Dropping(Flawed):
    """Stores all of a batch but one record."""

    def do_store(self, records: Sequence[Record]) -> list[Record]:
        super().do_store(records[1:] if self.strikes() else records)
        return list(records)


class Garbling(Flawed):
    """Stores another text."""

    def put(self, record: Record) -> None:
        text = record.text[::-1] + "!" if self.strikes() else record.text
        super().put(Record(record.uuid, text))


class Reviving(Flawed):
    """Brings deleted records back."""

    def do_remove(self, key: UUID) -> Record:
        record = super().do_remove(key)
        if self.strikes():
            self.put(record)
        return record


class DoublyDeleting(SimulatedServer):
    """Acknowledges the deletion of a record as often as it is requested."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.deleted: dict[UUID, Record] = {}

    def do_remove(self, key: UUID) -> Record:
        if key not in self.deleted:
            self.deleted[key] = super().do_remove(key)
        return self.deleted[key]


class Repeating(Flawed):
    """Lists a record twice."""

    def do_page(self, count: int, after: UUID) -> list[Record]:
        page = super().do_page(count, after)
        return [*page[:1], *page][:count] if page[1:] and self.strikes() else page


class Forgetting(Flawed):
    """Loses a stored record."""

    def do_page(self, count: int, after: UUID) -> list[Record]:
        page = super().do_page(count, after)
        if page and self.strikes():
            self.keys.remove(page[-1].uuid)
            del self.texts[page[-1].uuid]
        return page


class Stuck(SimulatedServer):
    """Answers the request for a large page with one and the same page."""

    def do_page(self, count: int, after: UUID) -> list[Record]:
        return super().do_page(1, UUID(int=0)) * count if count == MAX_PAGE else super().do_page(count, after)


class Halving(SimulatedServer):
    """Stores half of a batch and reports a failure, at the first attempt."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.halved: set[UUID] = set()

    def do_store(self, records: Sequence[Record]) -> list[Record]:
        if records[0].uuid in self.halved:
            return super().do_store(records)
        self.halved.add(records[0].uuid)
        super().do_store(records[::2])
        raise ServerError("503")


class Landing(SimulatedServer):
    """Responds to no insert in time at the first attempt, and serves it much later."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.late_keys: set[UUID] = set()

    async def store(self, records: Sequence[Record]) -> list[Record]:
        if records[0].uuid in self.late_keys:
            return await super().store(records)
        self.late_keys.add(records[0].uuid)
        await self.late(lambda: self.do_store(records))
        raise AssertionError


class FailingOver(SimulatedServer):
    """Goes on, after an outage, with a copy of what it held some time before."""

    def __init__(self, seed: int, at: float, window: float, outage: float) -> None:
        super().__init__(seed)
        self.copied_at, self.fails_at, self.serves_at = at - window, at, at + outage
        self.copy: dict[UUID, str] | None = None
        self.has_failed_over = False

    async def serve(self, work: Callable[[], T]) -> T:
        now = asyncio.get_running_loop().time()
        if self.fails_at <= now < self.serves_at:
            raise NotConnected("refused")
        return await super().serve(work)

    async def pass_time(self) -> None:
        await asyncio.sleep(0.001)
        now = asyncio.get_running_loop().time()
        if self.copy is None and now >= self.copied_at:
            self.copy = dict(self.texts)
        if self.copy is not None and not self.has_failed_over and now >= self.fails_at:
            self.has_failed_over = True
            self.texts, self.keys = self.copy, sorted(self.copy)


class Replica:
    """Serves the pages of a server as they were some time ago."""

    def __init__(self, primary: SimulatedServer, lag: float) -> None:
        self.primary = primary
        self.lag = lag
        self.states: list[tuple[float, dict[UUID, str]]] = [(0.0, {})]

    async def page(self, count: int, after: UUID | None = None) -> list[Record]:
        await self.primary.pass_time()
        now = asyncio.get_running_loop().time()
        self.states.append((now, dict(self.primary.texts)))
        while len(self.states) > 1 and self.states[1][0] <= now - self.lag:
            self.states.pop(0)
        texts = self.states[0][1]
        return [Record(key, texts[key]) for key in sorted(texts) if key > (after or UUID(int=0))][:count]
