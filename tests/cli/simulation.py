"""A server and a clock that are simulated: hours of faults in a moment, the same ones for the same seed.

The simulated server takes the place of the client: a workload calls it as it would call the real one.
"""

import asyncio
import random
import selectors
from bisect import bisect_right, insort
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID

from netvision_cli.client import Record
from netvision_cli.errors import ConnectionLost, NotConnected, NotFound, ServerError, TimedOut
from netvision_cli.swarm.heartbeats import Replica, Services
from netvision_cli.swarm.options import Range, SwarmOptions
from netvision_cli.swarm.workload import Workload

T = TypeVar("T")

OPTIONS = SwarmOptions(
    records=60, producers=2, consumers=3, batch=Range(3, 20), backlog=40, wait=3600, heartbeat=10, hold=30
)


class JumpingSelector(selectors.DefaultSelector):
    """A selector that does not wait: it moves the clock on."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits for something that never comes"
        self.now += timeout
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everything sleeps."""

    def __init__(self) -> None:
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


class SimulatedServer:
    """A records service in memory, honest but as flaky as requested."""

    def __init__(self, seed: int, flakiness: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.flakiness = flakiness
        self.texts: dict[UUID, str] = {}
        self.keys: list[UUID] = []

    async def store(self, records: Sequence[Record]) -> list[Record]:
        return await self.serve(lambda: self.do_store(records))

    async def page(self, count: int, after: UUID | None = None) -> list[Record]:
        return await self.serve(lambda: self.do_page(count, after or UUID(int=0)))

    async def remove(self, key: UUID) -> Record:
        return await self.serve(lambda: self.do_remove(key))

    def do_store(self, records: Sequence[Record]) -> list[Record]:
        for record in records:
            self.put(record)
        return list(records)

    def put(self, record: Record) -> None:
        if record.uuid not in self.texts:
            self.texts[record.uuid] = record.text
            insort(self.keys, record.uuid)

    def do_page(self, count: int, after: UUID) -> list[Record]:
        start = bisect_right(self.keys, after)
        return [Record(key, self.texts[key]) for key in self.keys[start : start + count]]

    def do_remove(self, key: UUID) -> Record:
        if key not in self.texts:
            raise NotFound(str(key))
        self.keys.remove(key)
        return Record(key, self.texts.pop(key))

    async def serve(self, work: Callable[[], T]) -> T:
        """Do the work and respond, or let one of the two fail."""
        await self.pass_time()
        if self.rng.random() < self.flakiness:
            await self.rng.choice(self.faults())(work)
        result = work()
        await self.pass_time()
        return result

    async def pass_time(self) -> None:
        await asyncio.sleep(self.rng.expovariate(200))

    def faults(self) -> list[Callable[[Callable[[], Any]], Coroutine[Any, Any, None]]]:
        return [self.not_there, self.lost_before, self.lost_after, self.late, self.overloaded, self.unknown]

    async def not_there(self, _work: Callable[[], object]) -> None:
        raise NotConnected("refused")

    async def lost_before(self, _work: Callable[[], object]) -> None:
        raise ConnectionLost("reset before the work")

    async def lost_after(self, work: Callable[[], object]) -> None:
        self.try_to(work)
        raise ConnectionLost("reset after the work")

    async def late(self, work: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(self.rng.uniform(0, 60), self.try_to, work)
        await asyncio.sleep(10)
        raise TimedOut("no response in time")

    async def overloaded(self, _work: Callable[[], object]) -> None:
        raise ServerError("503")

    async def unknown(self, work: Callable[[], object]) -> None:
        self.try_to(work)
        raise ServerError("503, outcome unknown")

    def try_to(self, work: Callable[[], object]) -> None:
        """Do work whose response is lost."""
        try:
            work()
        except NotFound:
            return


def simulate(
    server: SimulatedServer, seed: int, options: SwarmOptions = OPTIONS, replica: Replica | None = None
) -> Workload:
    """Run a workload against a simulated server to its end; a replica serves what is fetched meanwhile."""

    async def run() -> Workload:
        reader = replica or server
        services = Services(replica=reader, writer=server, reader=reader)
        workload = Workload(server, options, seed, asyncio.get_running_loop().time, services=services)
        await workload.run()
        return workload

    random.seed(seed)
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(run())
