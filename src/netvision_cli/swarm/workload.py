"""The endless work: producers insert batches, consumers fetch records and delete them. No display, no command line.

Calls in flight are never cancelled: tasks look at a flag between calls, and the client's own timeouts act. A server
that is away is waited for; whatever was sent without an answer is sent again, under the same uuids.

Without a rate the loop is closed: whoever waits for a slow server offers less, and so measures fewer of the slow calls.
With one it is open: each batch has an intended start, which follows from the records before it and the rate alone; a
slow or absent server does not move it. A batch that no producer, or no room in the backlog, was free for starts late,
and counts that wait into its response time: from intended start to acknowledgement, all attempts and pauses included.
"""

import asyncio
import random
import string
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar
from uuid import UUID

from netvision_cli.client import MAX_PAGE, Record
from netvision_cli.errors import (
    NetvisionError,
    NotConnected,
    NotFound,
    Refused,
    ServerError,
    Unauthorized,
    Unchecked,
    Unreachable,
)
from netvision_cli.keys import Run
from netvision_cli.options import SwarmOptions
from netvision_cli.storing import pause
from netvision_cli.swarm.account import Account, Batch
from netvision_cli.swarm.latency import Calls, Histogram

ALPHABET = string.ascii_letters + string.digits
IDLE_SECONDS = 0.02
DRAIN_PAUSE_SECONDS = 1.0
CLEANING_ROUNDS = 3
CONTESTED = 0.2
"""The share of deletions that are asked twice at the same time: exactly one of the two may succeed."""

START = UUID(int=0)

T = TypeVar("T")


class Service(Protocol):
    """What a workload calls, several times at once."""

    async def store(self, records: Sequence[Record]) -> list[Record]:
        """Store a batch."""

    async def page(self, count: int, after: UUID | None = None) -> list[Record]:
        """Return the first records behind a uuid."""

    async def remove(self, key: UUID) -> Record:
        """Delete a record."""


class Workload:
    """One run of the swarm against one server."""

    def __init__(self, client: Service, options: SwarmOptions, seed: int) -> None:
        """Prepare a run; the same seed offers the same texts and batch sizes."""
        self.client = client
        self.options = options
        self.seed = seed
        self.run_keys = Run.start()
        self.account = Account(self.run_keys)
        self.calls = {"insert": Calls(), "fetch": Calls(), "delete": Calls()}
        self.responses = Histogram()
        self.stopping = asyncio.Event()
        self.producing = options.producers
        self.offered = 0
        self.batches = 0
        self.clock = asyncio.get_running_loop().time
        self.started = self.clock()
        self.cpu_started = time.process_time()
        self.stopped = self.started
        self.due = self.started
        self.is_checked = False
        self.has_answered = False
        self.away: NetvisionError | None = None
        self.failure: NetvisionError | None = None
        self.refusal: Refused | None = None
        self.start = START if options.delete_foreign else self.run_keys.floor
        self.cursor = self.start
        self.fetching = asyncio.Lock()
        self.claimed: set[UUID] = set()
        self.chance = random.Random(seed)  # noqa: S311 - no secret

    # --- the whole

    async def run(self) -> None:
        """Work until told to stop, delete what is left and settle the account.

        Raises Refused where the server will not have this work, Unreachable where it was never there, Unchecked where
        there was no final read.
        """
        if self.options.duration is not None:
            asyncio.get_running_loop().call_later(self.options.duration, self.stop)
        producers = [self.guarded(self.produce()) for _ in range(self.options.producers)]
        consumers = [self.guarded(self.consume()) for _ in range(self.options.consumers)]
        await asyncio.gather(*producers, *consumers)
        await self.guarded(self.finish())
        if failure := self.failure or self.refusal:
            raise failure

    async def guarded(self, work: Awaitable[None]) -> None:
        """Do one task's work; what ends it ends the whole run."""
        try:
            await work
        except NetvisionError as error:
            self.failure = self.failure or error
            self.stopping.set()

    def stop(self) -> None:
        """Stop producing; what is stored is still deleted."""
        if not self.stopping.is_set():
            self.stopped = self.clock()
            self.stopping.set()

    @property
    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return self.clock() - self.started

    @property
    def waiting(self) -> int:
        """Return how many of the run's records may be stored."""
        return len(self.account.live)

    # --- producers

    async def produce(self) -> None:
        """Insert one batch after another."""
        try:
            while await self.may_produce():
                intended = self.due
                await self.insert(self.next_batch(), intended)
        finally:
            self.producing -= 1

    async def may_produce(self) -> bool:
        """Wait for room and for the time of the next batch; False when there is no more to do."""
        while not self.stopping.is_set():
            if self.options.records is not None and self.offered >= self.options.records:
                self.stop()
            elif seconds := self.seconds_ahead():
                await asyncio.sleep(seconds)
            else:
                return True
        return False

    def seconds_ahead(self) -> float:
        """Return how long to wait before looking again whether there is room and the next batch is due; 0 if so."""
        if 0 < self.options.backlog < self.waiting:
            return IDLE_SECONDS
        return min(IDLE_SECONDS, max(0.0, self.due - self.clock()))

    def next_batch(self) -> Batch:
        """Make the next batch: its size and texts follow from the seed and its number."""
        self.batches += 1
        chance = random.Random(f"{self.seed}/{self.batches}")  # noqa: S311 - no secret
        size = chance.randint(*self.options.batch)
        if self.options.records is not None:
            size = min(size, self.options.records - self.offered)
        self.offered += size
        if self.options.rate is not None:
            self.due += size / self.options.rate
        keys = (self.run_keys.key(self.batches, index) for index in range(size))
        records = [Record(key, "".join(chance.choices(ALPHABET, k=self.options.length))) for key in keys]
        return Batch(self.batches, records)

    async def insert(self, batch: Batch, intended: float) -> None:
        """Insert a batch, again and again under the same uuids until the server says what became of it."""

        async def attempt() -> list[Record]:
            try:
                return await self.client.store(batch.records)
            except NetvisionError as error:
                if error.may_land_late:
                    self.account.leave_open(batch)
                raise

        self.account.offer(batch)
        try:
            answer = await self.persist("insert", attempt)
        except Unauthorized:
            raise
        except Refused as refusal:
            self.refusal = refusal
            self.stop()
        else:
            self.account.acknowledge(batch, answer)
            if self.options.rate is not None:
                self.responses.add(self.clock() - intended)

    # --- consumers

    async def consume(self) -> None:
        """Fetch records and delete them one by one, until nothing is left."""
        while self.has_work():
            for key in await self.fetch():
                await self.delete(key)
                self.claimed.discard(key)

    def has_work(self) -> bool:
        """Tell whether a consumer has something to do, now or later."""
        if self.failure or (self.options.leave and self.stopping.is_set()):
            return False
        is_filling = self.producing > 0
        return is_filling or any(not entry.came_back and entry.acknowledged for entry in self.account.live.values())

    async def fetch(self) -> list[UUID]:
        """Read on from where the last consumer stopped, and claim what can be deleted."""
        async with self.fetching:
            keys = await self.persist("fetch", self.fetch_page)
            if not keys:
                await asyncio.sleep(IDLE_SECONDS)
            return keys

    async def fetch_page(self) -> list[UUID]:
        """Read the next page, judge by it, and move the cursor behind it, or back to the start."""
        answer, keys = await self.read(self.cursor, self.options.fetch)
        if self.options.delete_foreign:
            keys += [record.uuid for record in answer if not self.run_keys.place(record.uuid)]
        is_full = len(answer) >= self.options.fetch and answer[-1].uuid < self.run_keys.ceiling
        self.cursor = answer[-1].uuid if is_full else self.start
        keys = [key for key in keys if key not in self.claimed]
        self.claimed.update(keys)
        return keys

    async def read(self, after: UUID, count: int) -> tuple[list[Record], list[UUID]]:
        """Read one page; return it, and those of its records that can be deleted."""
        began = self.account.begin_read()
        try:
            answer = await self.client.page(count, after if after != START else None)
        except BaseException:
            self.account.abandon_read(began)
            raise
        return answer, self.account.end_read(began, after, count, answer)

    async def delete(self, key: UUID) -> None:
        """Delete a record, again and again until it is known not to be there."""
        failed_since, tries = 0.0, 0
        while self.is_foreign(key) or self.account.is_deletable(key):
            is_contested = self.chance.random() < CONTESTED and not self.is_foreign(key)
            attempts = (self.remove(key) for _ in range(1 + is_contested))
            errors = await asyncio.gather(*attempts, return_exceptions=True)
            error = next((error for error in errors if error), None)
            if isinstance(error, BaseException) and not isinstance(error, ServerError | Unreachable):
                raise error
            if error is None or not (self.is_foreign(key) or self.account.is_deletable(key)):
                return
            failed_since = failed_since or self.clock()
            tries += 1
            await self.rest("delete", tries, failed_since, error)

    def is_foreign(self, key: UUID) -> bool:
        """Tell whether somebody else inserted a record."""
        return self.run_keys.place(key) is None

    async def remove(self, key: UUID) -> NetvisionError | None:
        """Try once to delete a record; return the error that leaves its fate unknown."""
        if self.is_foreign(key):
            return await self.remove_foreign(key)
        self.account.ask(key)
        try:
            answer = await self.timed("delete", lambda: self.client.remove(key))
        except NotFound:
            self.account.deny(key)
        except (ServerError, Unreachable) as error:
            self.account.doubt(key, was_sent=not isinstance(error, NotConnected))
            return error
        else:
            self.account.confirm(key, answer)
        return None

    async def remove_foreign(self, key: UUID) -> NetvisionError | None:
        """Try once to delete somebody else's record."""
        try:
            await self.timed("delete", lambda: self.client.remove(key))
        except NotFound:
            return None
        except (ServerError, Unreachable) as error:
            return error
        self.account.tally.foreign += 1
        return None

    # --- the end

    async def finish(self) -> None:
        """Settle the account by a final read; what it still finds is deleted, and read for again."""
        for round_ in range(CLEANING_ROUNDS + 1):
            if self.failure:
                return
            self.account.settle(await self.read_all())
            if self.options.leave or not self.account.live or round_ == CLEANING_ROUNDS:
                break
            for key in list(self.account.live):
                await self.delete(key)
        self.account.close()
        self.is_checked = True

    async def read_all(self) -> list[UUID]:
        """Read what is stored of this run, page by page, and judge by it."""
        stored: list[UUID] = []
        after, is_more = self.run_keys.floor, True
        while is_more:
            answer, _ = await self.persist("fetch", lambda start=after: self.read(start, MAX_PAGE))  # type: ignore[misc]
            stored += [record.uuid for record in answer if not self.is_foreign(record.uuid)]
            is_more = len(answer) >= MAX_PAGE and answer[-1].uuid < self.run_keys.ceiling
            after = answer[-1].uuid if answer else after
        return stored

    # --- calls

    async def persist(self, kind: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call until there is an answer; raises what no repetition can mend."""
        failed_since, tries = 0.0, 0
        while True:
            try:
                return await self.timed(kind, call)
            except (ServerError, Unreachable) as error:
                failed_since = failed_since or self.clock()
                tries += 1
                await self.rest(kind, tries, failed_since, error)

    async def timed(self, kind: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call once, and note how long it took or that it failed."""
        calls = self.calls[kind]
        started = self.clock()
        try:
            answer = await call()
        except (ServerError, Unreachable) as error:
            calls.errors += 1
            self.away = error
            raise
        except Refused:
            self.answered(calls, started)
            raise
        self.answered(calls, started)
        return answer

    def answered(self, calls: Calls, started: float) -> None:
        """Note an answer."""
        calls.durations.add(self.clock() - started)
        self.has_answered = True
        self.away = None

    async def rest(self, kind: str, tries: int, failed_since: float, error: NetvisionError) -> None:
        """Wait before the next attempt, longer each time; raise where it has no sense to wait any more."""
        if self.failure:
            raise self.failure
        self.calls[kind].retries += 1
        seconds = pause(tries, error)
        nothing_is_stored = not self.has_answered and isinstance(error, NotConnected)
        if self.stopping.is_set() and nothing_is_stored:
            raise error
        if self.stopping.is_set():
            if self.clock() - max(failed_since, self.stopped) > self.options.wait:
                msg = f"the account could not be checked: {error}"
                raise Unchecked(msg) from error
            await asyncio.sleep(min(seconds, DRAIN_PAUSE_SECONDS))
            return
        if not self.has_answered and self.elapsed > self.options.wait:
            raise error if isinstance(error, Unreachable) else Unreachable(str(error)) from error
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
