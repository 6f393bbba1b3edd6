"""One record at fixed times beside the work, and one read: how long writes and reads are out, and how much is gone.

A heartbeat is sent when its time has come, however slow the server is: the loop is open. One in two is deleted when it
is `hold` seconds old. The others stay, ever fewer of them with age, so that memory and rows are bounded however long
the run is. A server that loses what it acknowledged in a short time loses one that stays, or brings back one that was
deleted; consumers would have deleted most of their records before anybody could notice.
"""

import asyncio
import random
import string
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from heapq import heappop, heappush
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from netvision_cli.client import Record
from netvision_cli.errors import NetvisionError, NotConnected, NotFound
from netvision_cli.swarm.account import Account, Batch
from netvision_cli.swarm.lifetime import Lifetime
from netvision_cli.swarm.outages import MIN_SECONDS, Outages

TEXT_LENGTH = 16
TIMEOUT_SECONDS = 2.0
"""The deadline of one call."""

MAX_IN_FLIGHT = 64
DELETIONS_PER_BEAT = 2
MAX_DOUBLINGS = 12
"""How often the time that a heartbeat stays can double: the longest is 2 ** (1 + this) times `hold`."""


class Replica(Protocol):
    """What is called to read, several times at once."""

    async def page(self, count: int, after: UUID | None = None) -> list[Record]:
        """Return the first records after a uuid."""


class Service(Replica, Protocol):
    """What a run calls, several times at once."""

    async def store(self, records: Sequence[Record]) -> list[Record]:
        """Store a batch."""

    async def remove(self, key: UUID) -> Record:
        """Delete a record."""


class Services(NamedTuple):
    """Where a run fetches, and where it writes and reads its heartbeats; all may be the same."""

    replica: Replica
    writer: Service
    reader: Replica


class Gap:
    """The longest time between two acknowledgements: a longer loss would have been noticed."""

    def __init__(self) -> None:
        self.last: float | None = None
        self.longest: float | None = None
        self.outages = 0

    def add(self, now: float, outages: int) -> None:
        """Note an acknowledgement, and how many outages there were so far: during one there was nothing to lose."""
        if self.last is not None and outages == self.outages:
            self.longest = max(self.longest or 0.0, now - self.last)
        self.last, self.outages = now, outages


class Heartbeats:
    """The heartbeats of one run."""

    def __init__(self, services: Services, account: Account, lifetime: Lifetime, interval: float, hold: float) -> None:
        """Send one every `interval` seconds; 0 means none."""
        self.writer, self.reader = services.writer, services.reader
        self.account = account
        self.lifetime = lifetime
        self.interval = interval
        self.hold = hold
        self.writes = Outages(lifetime.clock, 2 * interval)
        self.reads = Outages(lifetime.clock, 2 * interval)
        self.insertions, self.deletions = Gap(), Gap()
        self.number = 0
        self.requests = 0
        self.unsettled: deque[Batch] = deque()
        """Sent without a clear response; each is sent again before there is a new one."""

        self.due: list[tuple[float, int, UUID]] = []
        """When which heartbeat is to be deleted, as a heap."""

        self.newest: UUID | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopping = asyncio.Event()
        self.last_beat = lifetime.clock()

    async def run(self) -> None:
        """Send one heartbeat after another until stopped, and wait for those in flight."""
        beat = self.lifetime.clock()
        while self.interval and not self.stopping.is_set():
            self.notice_a_pause()
            self.beat()
            now = self.lifetime.clock()
            beat = max(beat + self.interval, now)
            with suppress(TimeoutError):
                async with asyncio.timeout(beat - now):
                    await self.stopping.wait()
        if self.tasks:
            await asyncio.wait(self.tasks)
        self.writes.stop()
        self.reads.stop()

    def stop(self) -> None:
        """Send no more heartbeats."""
        self.stopping.set()

    def beat(self) -> None:
        """Start the calls of one moment."""
        if len(self.tasks) >= MAX_IN_FLIGHT:
            return
        self.start(self.write())
        self.start(self.read())
        self.requests += 2
        for _ in range(DELETIONS_PER_BEAT):
            if self.due and self.due[0][0] <= self.lifetime.clock() and not self.writes.failing:
                _, number, key = heappop(self.due)
                self.start(self.delete(number, key))

    def start(self, call: Coroutine[Any, Any, None]) -> None:
        """Start a call."""
        task = asyncio.create_task(call)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def notice_a_pause(self) -> None:
        """Blame no server for a time in which this process itself did not run."""
        now = self.lifetime.clock()
        if now - self.last_beat > self.interval + MIN_SECONDS / 2:
            self.writes.look_away()
            self.reads.look_away()
        self.last_beat = now

    # --- calls

    async def write(self) -> None:
        """Insert a heartbeat: one whose fate is unknown again, or else a new one."""
        batch = self.unsettled.popleft() if self.unsettled else self.new()
        sent = self.writes.send()
        try:
            records = await self.writer.store(batch.records)
        except NetvisionError as error:
            if error.may_land_late:
                self.account.leave_open(batch)
            self.unsettled.append(batch)
            self.writes.fail(sent, str(error))
            return
        self.account.acknowledge(batch, records)
        self.notice_a_pause()
        self.writes.respond(sent)
        self.keep(batch.records[0].uuid, batch.number)

    def new(self) -> Batch:
        """Make the next heartbeat."""
        self.number += 1
        text = "".join(random.choices(string.ascii_letters + string.digits, k=TEXT_LENGTH))  # noqa: S311 - no secret
        batch = Batch(self.number, [Record(self.account.run.key(self.number, 0), text)])
        self.account.offer(batch)
        return batch

    def keep(self, key: UUID, number: int) -> None:
        """Decide how long an acknowledged heartbeat stays: the more often its number is even, the longer."""
        now = self.lifetime.clock()
        doublings = min((number & -number).bit_length() - 1, MAX_DOUBLINGS)
        if doublings:
            self.insertions.add(now, self.writes.begun)
        heappush(self.due, (now + self.hold * (2 ** (doublings + 1) if doublings else 1), number, key))
        self.newest = max(key, self.newest or key)

    async def read(self) -> None:
        """Read the newest heartbeat back."""
        after = UUID(int=self.newest.int - 1) if self.newest else self.account.run.floor
        sent = self.reads.send()
        began = self.account.begin_read()
        try:
            records = await self.reader.page(1, after)
        except NetvisionError as error:
            self.account.abandon_read(began)
            self.reads.fail(sent, str(error))
        except BaseException:
            self.account.abandon_read(began)
            raise
        else:
            self.account.end_read(began, after, 1, records)
            self.notice_a_pause()
            self.reads.respond(sent)

    async def delete(self, number: int, key: UUID) -> None:
        """Try once to delete a heartbeat whose time has come; without a clear response it is tried again."""
        if not self.account.is_deletable(key):
            return
        self.account.ask(key)
        self.requests += 1
        try:
            record = await self.writer.remove(key)
        except NotFound:
            self.account.deny(key)
        except NetvisionError as error:
            self.account.doubt(key, was_sent=not isinstance(error, NotConnected))
            heappush(self.due, (self.lifetime.clock() + self.interval, number, key))
        else:
            self.account.confirm(key, record)
            if number % 2:
                self.deletions.add(self.lifetime.clock(), self.writes.begun)

    # --- what they show

    def outages(self) -> dict[str, dict[str, Any]]:
        """Return the outages of writes and of reads; nothing without heartbeats."""
        return {"writes": self.writes.as_dict(), "reads": self.reads.as_dict()} if self.interval else {}

    def as_dict(self) -> dict[str, Any] | None:
        """Return their numbers, and how short a loss they would have shown, in seconds; None if there were none."""
        if not self.interval:
            return None
        tally = self.account.heartbeats.as_dict()
        noticed = {"insert": self.insertions.longest, "delete": self.deletions.longest}
        return {
            "interval": self.interval,
            "requests": self.requests,
            **tally,
            "noticed": {call: None if gap is None else round(gap, 3) for call, gap in noticed.items()},
        }
