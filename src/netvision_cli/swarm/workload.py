"""The endless work: producers insert batches, consumers fetch records and delete them. No display, no command line.

When it may go on is decided in `pacing`, and how a call is made and repeated in `calls`. An insert without a response
is sent again under the same uuids, so that the account can be settled no matter what became of the first attempt.
"""

import asyncio
import random
import string
import time
from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

from netvision_cli.client import MAX_PAGE, Record
from netvision_cli.errors import RETRYABLE, NetvisionError, NotConnected, NotFound, Refused, Unauthorized, Unchecked
from netvision_cli.keys import FIRST_BATCH, Run
from netvision_cli.storing import BATCH_CHARACTERS
from netvision_cli.swarm.account import Account, Batch
from netvision_cli.swarm.calls import Caller
from netvision_cli.swarm.heartbeats import Heartbeats, Replica, Service, Services
from netvision_cli.swarm.lifetime import Lifetime
from netvision_cli.swarm.options import SwarmOptions
from netvision_cli.swarm.pacing import IDLE_SECONDS, Pacing

ALPHABET = string.ascii_letters + string.digits
CLEANING_ROUNDS = 3
PAGE_CHARACTERS = 2**24
"""The most characters of a page, well below the most bytes of a response."""

DUPLICATE_DELETE_SHARE = 0.2
"""The share of deletions that are requested twice at the same time: exactly one of the two may succeed."""

START = UUID(int=0)


class Workload:
    """One run of the swarm against one server."""

    def __init__(
        self,
        client: Service,
        options: SwarmOptions,
        seed: int,
        clock: Callable[[], float] = time.perf_counter,
        *,
        services: Services | None = None,
    ) -> None:
        """Prepare a run; the same seed offers the same texts and batch sizes. The clock counts in seconds.

        Fetches and heartbeats go to other services than the client if any are given.
        """
        services = services or Services(client, client, client)
        self.client = client
        self.replica = services.replica
        self.options = options
        self.seed = seed
        self.run_keys = Run.start_swarm()
        self.lifetime = Lifetime(clock)
        self.account = Account(self.run_keys, lambda: self.lifetime.elapsed)
        self.pacing = Pacing(options, self.lifetime.clock)
        self.caller = Caller(self.lifetime, options.wait)
        self.heartbeats = Heartbeats(services, self.account, self.lifetime, options.heartbeat, options.hold)
        self.producing = options.producers
        self.batches = 0
        self.is_checked = False
        self.refusal: Refused | None = None
        self.start = START if options.delete_foreign else self.run_keys.middle
        self.cursor = self.start
        self.fetching = asyncio.Lock()
        self.claimed: set[UUID] = set()
        self.rng = random.Random(seed)  # noqa: S311 - no secret

    # --- the whole run

    async def run(self) -> None:
        """Work until stopped, delete what remains and settle the account.

        Raises Refused if the server rejects this work, Unreachable if it was never there, Unchecked if there was no
        final read.
        """
        if self.options.duration is not None:
            asyncio.get_running_loop().call_later(self.options.duration, self.stop)
        beating = asyncio.create_task(self.heartbeats.run())
        try:
            await self.work(beating)
        except asyncio.CancelledError:
            beating.cancel()
            raise
        self.heartbeats.stop()
        await beating
        if failure := self.lifetime.failure or self.refusal:
            raise failure

    async def work(self, beating: Awaitable[None]) -> None:
        """Produce and consume until stopped, and settle the account."""
        producers = [self.stop_on_error(self.produce()) for _ in range(self.options.producers)]
        consumers = [self.stop_on_error(self.consume()) for _ in range(self.options.consumers)]
        await asyncio.gather(*producers, *consumers)
        await self.stop_on_error(self.finish(beating))

    async def stop_on_error(self, work: Awaitable[None]) -> None:
        """Do the work of one task; an error in it stops the whole run."""
        try:
            await work
        except NetvisionError as error:
            self.lifetime.fail(error)

    def stop(self) -> None:
        """Stop producing; what is stored is still deleted."""
        self.lifetime.stop()

    @property
    def outstanding(self) -> int:
        """Return how many of the run's records may be stored, without heartbeats and what is missing."""
        return self.account.outstanding

    # --- producers

    async def produce(self) -> None:
        """Insert one batch after another."""
        try:
            while await self.may_produce():
                intended_start = self.pacing.intended_start
                await self.insert(self.next_batch(), intended_start)
        finally:
            self.producing -= 1

    async def may_produce(self) -> bool:
        """Wait for room and for the start of the next batch; return False if there is no more to do."""
        while not self.lifetime.is_stopping:
            if self.pacing.is_exhausted:
                self.stop()
            elif seconds := self.pacing.delay(self.outstanding):
                await asyncio.sleep(seconds)
            else:
                return True
        return False

    def next_batch(self) -> Batch:
        """Make the next batch: its size and texts follow from the seed and its number."""
        self.batches += 1
        rng = random.Random(f"{self.seed}/{self.batches}")  # noqa: S311 - no secret
        size = self.pacing.reserve(min(rng.randint(*self.options.batch), self.fitting(BATCH_CHARACTERS)))
        number = FIRST_BATCH + self.batches
        keys = (self.run_keys.key(number, index) for index in range(size))
        records = [Record(key, "".join(rng.choices(ALPHABET, k=self.options.length))) for key in keys]
        return Batch(number, records)

    def fitting(self, characters: int) -> int:
        """Return how many of the run's texts have so many characters, at least one."""
        return max(1, characters // self.options.length)

    async def insert(self, batch: Batch, intended_start: float) -> None:
        """Insert a batch, repeatedly under the same uuids until the server reports what became of it."""
        self.account.offer(batch)
        try:
            await self.store(batch)
        except Unauthorized:
            raise
        except Refused as refusal:
            self.refusal = refusal
            self.stop()
        else:
            self.pacing.acknowledge(intended_start)

    async def store(self, batch: Batch) -> None:
        """Send an offered batch until it is acknowledged."""

        async def attempt() -> list[Record]:
            try:
                return await self.client.store(batch.records)
            except NetvisionError as error:
                if error.may_land_late:
                    self.account.leave_open(batch)
                raise

        self.account.acknowledge(batch, await self.caller.call_with_retries("insert", attempt))

    # --- consumers

    async def consume(self) -> None:
        """Fetch records and delete them one by one, until none is left."""
        while self.has_work():
            for key in await self.fetch():
                await self.delete(key)
                self.claimed.discard(key)

    def has_work(self) -> bool:
        """Return whether a consumer has something to do, now or later."""
        if self.lifetime.failure or (self.options.leave and self.lifetime.is_stopping):
            return False
        is_filling = self.producing > 0
        return is_filling or self.account.has_work

    async def fetch(self) -> list[UUID]:
        """Continue reading at the cursor, and claim what can be deleted."""
        async with self.fetching:
            keys = await self.caller.call_with_retries("fetch", self.fetch_page)
            if not keys:
                await asyncio.sleep(IDLE_SECONDS)
            return keys

    async def fetch_page(self) -> list[UUID]:
        """Read the next page, judge it, and move the cursor to its end, or back to the start."""
        count = min(self.options.fetch, self.fitting(PAGE_CHARACTERS))
        records, keys = await self.read(self.replica, self.cursor, count)
        if self.options.delete_foreign:
            keys += [record.uuid for record in records if self.is_foreign(record.uuid)]
        is_full = len(records) >= count and records[-1].uuid < self.run_keys.ceiling
        self.cursor = records[-1].uuid if is_full else self.start
        keys = [key for key in keys if key not in self.claimed]
        self.claimed.update(keys)
        return keys

    async def read(self, service: Replica, after: UUID, count: int) -> tuple[list[Record], list[UUID]]:
        """Read one page; return it, and the uuids of its records that can be deleted."""
        began = self.account.begin_read()
        try:
            records = await service.page(count, after if after != START else None)
        except BaseException:
            self.account.abandon_read(began)
            raise
        return records, self.account.end_read(began, after, count, records)

    async def delete(self, key: UUID) -> None:
        """Delete a record, repeatedly until it is known to be absent."""
        failed_since, attempts = 0.0, 0
        while self.needs_deletion(key):
            is_duplicated = self.rng.random() < DUPLICATE_DELETE_SHARE and not self.is_foreign(key)
            removals = (self.remove(key) for _ in range(1 + is_duplicated))
            errors = await asyncio.gather(*removals, return_exceptions=True)
            error = next((error for error in errors if error), None)
            if isinstance(error, BaseException) and not isinstance(error, RETRYABLE):
                raise error
            if error is None or not self.needs_deletion(key):
                return
            failed_since = failed_since or self.lifetime.clock()
            attempts += 1
            await self.caller.backoff("delete", attempts, failed_since, error)

    def needs_deletion(self, key: UUID) -> bool:
        """Return whether a record may still be stored and no attempt to delete it is in flight."""
        return self.is_foreign(key) or self.account.is_deletable(key)

    def is_foreign(self, key: UUID) -> bool:
        """Return whether a record was inserted by someone else."""
        return self.run_keys.place(key) is None

    async def remove(self, key: UUID) -> NetvisionError | None:
        """Try once to delete a record; return the error that leaves its fate unknown."""
        if self.is_foreign(key):
            return await self.remove_foreign(key)
        self.account.ask(key)
        try:
            record = await self.caller.timed_call("delete", lambda: self.client.remove(key))
        except NotFound:
            self.account.deny(key)
        except RETRYABLE as error:
            self.account.doubt(key, was_sent=not isinstance(error, NotConnected))
            return error
        else:
            self.account.confirm(key, record)
        return None

    async def remove_foreign(self, key: UUID) -> NetvisionError | None:
        """Try once to delete a record that someone else inserted."""
        try:
            await self.caller.timed_call("delete", lambda: self.client.remove(key))
        except NotFound:
            return None
        except RETRYABLE as error:
            return error
        self.account.work.foreign += 1
        return None

    # --- the end

    async def finish(self, beating: Awaitable[None]) -> None:
        """Settle the account by a final read; delete what it still finds, and read again."""
        if self.lifetime.failure:
            return
        await self.write_once_more()
        self.heartbeats.stop()
        await beating
        for round_ in range(CLEANING_ROUNDS + 1):
            self.account.settle(await self.read_all())
            keys = [key for key in self.account.live if not self.options.leave or self.account.is_heartbeat(key)]
            if not keys or round_ == CLEANING_ROUNDS:
                break
            await self.delete_all(keys)
        self.account.close()
        self.is_checked = True

    async def write_once_more(self) -> None:
        """Wait until a write is acknowledged: a server that takes none may have an old copy of the records.

        If no call has failed so far, the server is still the one that acknowledged the writes before.
        """
        if not self.caller.error_kinds:
            return
        batch = self.heartbeats.new()
        try:
            await self.store(batch)
        except Unauthorized:
            raise
        except Refused as refusal:
            self.refusal = self.refusal or refusal

    async def delete_all(self, keys: Iterable[UUID]) -> None:
        """Delete records, as many at a time as there are consumers."""
        waiting = iter(keys)

        async def work() -> None:
            for key in waiting:
                await self.delete(key)

        workers = (work() for _ in range(self.options.consumers))
        for result in await asyncio.gather(*workers, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def read_all(self) -> list[UUID]:
        """Read every stored record of this run, page by page, and judge each page; raises Unchecked if one repeats."""
        stored: list[UUID] = []
        count = min(MAX_PAGE, self.fitting(PAGE_CHARACTERS))
        after, is_more = self.run_keys.floor, True
        while is_more:
            records = await self.read_page(after, count)
            if records and records[-1].uuid <= after:
                msg = f"the account could not be checked: the server does not list what comes after {after}"
                raise Unchecked(msg)
            stored += [record.uuid for record in records if not self.is_foreign(record.uuid)]
            is_more = len(records) >= count and records[-1].uuid < self.run_keys.ceiling
            after = records[-1].uuid if records else after
        return stored

    async def read_page(self, after: UUID, count: int) -> list[Record]:
        """Read a page after a uuid, repeatedly until the server responds."""
        records, _ = await self.caller.call_with_retries("fetch", lambda: self.read(self.client, after, count))
        return records
