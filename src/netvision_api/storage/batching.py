"""A natural batcher: requests that wait at the same time share a statement.

While one statement runs, the keys that arrive queue up, and the next statement takes all of them. Nothing waits for a
timer, a lone request starts at once, and no key joins a statement that has already begun: what it reads is never older
than the request. On SQLite this is group commit: many requests share one sync to disk.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from netvision_api.storage.errors import NoConnectionError, affects_whole_batch, is_retryable

SLOW_SECONDS = 0.02
"""After this time a running statement no longer holds up those that wait: another worker starts beside it."""

MAX_ATTEMPTS = 10
"""How often a batch, and then a single key, is tried before the transactions in its way make it fail."""

BACKOFF_SECONDS = 0.02

Connection = TypeVar("Connection")
Key = TypeVar("Key")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Pending(Generic[Key, Result]):
    """A key that waits for its result, and until when its statement has to begin, by the event loop's clock."""

    key: Key
    result: asyncio.Future[Result]
    deadline: float


@dataclass(frozen=True)
class BatchOperation(Generic[Connection, Key, Result]):
    """What is done for the keys of a batch, and on which connection."""

    acquire: Callable[[], AbstractAsyncContextManager[Connection]]
    """Borrows a connection."""

    execute: Callable[[Connection, Sequence[Key]], Awaitable[Sequence[Result | Exception]]]
    """Does the work of several keys in one transaction, and returns a result or an exception for each."""

    is_contended: Callable[[], bool]
    """Returns whether others wait for a connection."""

    max_batch_size: int
    """The limit of a batch, in the unit of `size_of`; a key that exceeds it alone is a batch of its own."""

    size_of: Callable[[Key], int] = lambda _key: 1


class Batcher(Generic[Connection, Key, Result]):
    """A queue of keys, and the workers that empty it batch by batch."""

    def __init__(
        self, operation: BatchOperation[Connection, Key, Result], *, timeout: float, max_concurrency: int = 1
    ) -> None:
        """Take the operation, the seconds that a key may wait for its statement to begin, and the limit of workers."""
        self.operation = operation
        self.timeout = timeout
        self.max_concurrency = max_concurrency
        self.waiting: deque[Pending[Key, Result]] = deque()
        self.timer: asyncio.TimerHandle | None = None
        self.workers: set[asyncio.Task[None] | None] = set()
        self.slow_workers: set[asyncio.Task[None] | None] = set()
        self.recoveries: set[asyncio.Task[None]] = set()

    async def submit(self, key: Key) -> Result:
        """Return the result for a key; raises NoConnectionError if its statement could not begin in time."""
        loop = asyncio.get_running_loop()
        pending: Pending[Key, Result] = Pending(key, loop.create_future(), loop.time() + self.timeout)
        self.waiting.append(pending)
        if self.timer is None:
            self.timer = loop.call_at(pending.deadline, self.expire)
        # Every worker is slow, or there is none: two empty sets are equal, so this also starts the first one.
        if self.slow_workers >= self.workers:
            self.start_worker()
        return await pending.result

    def expire(self) -> None:
        """Fail the keys whose statement has not begun in time; the first in the queue is the next that is due."""
        loop = asyncio.get_running_loop()
        while self.waiting and self.waiting[0].deadline <= loop.time():
            resolve(self.waiting.popleft(), NoConnectionError(self.timeout))
        self.timer = loop.call_at(self.waiting[0].deadline, self.expire) if self.waiting else None

    def start_worker(self) -> None:
        """Start a worker if there is something to do and fewer run than may."""
        if self.waiting and len(self.workers) < self.max_concurrency:
            self.workers.add(asyncio.create_task(self.run_worker()))

    async def run_worker(self) -> None:
        """Execute batches until nothing waits."""
        try:
            while self.waiting:
                await self.drain_queue()
        finally:
            self.workers.discard(asyncio.current_task())

    async def drain_queue(self) -> None:
        """Execute batches on one connection until the queue is empty, one fails, or others wait for the connection."""
        batch: Sequence[Pending[Key, Result]] = []
        try:
            async with self.operation.acquire() as connection:
                while batch := self.next_batch():
                    await self.execute_batch(connection, batch)
                    if self.operation.is_contended():
                        return
        except Exception as error:  # noqa: BLE001 - it belongs to the requests that wait
            recovery = asyncio.create_task(self.handle_failure(batch or self.next_batch(), error))
            self.recoveries.add(recovery)
            recovery.add_done_callback(self.recoveries.discard)

    def next_batch(self) -> Sequence[Pending[Key, Result]]:
        """Take the waiting keys off the queue, up to the size of a batch."""
        batch: list[Pending[Key, Result]] = []
        room = self.operation.max_batch_size
        while self.waiting:
            pending = self.waiting[0]
            if not pending.result.done():
                room -= self.operation.size_of(pending.key)
                if batch and room < 0:
                    break
                batch.append(pending)
            self.waiting.popleft()
        return batch

    async def execute_batch(self, connection: Connection, batch: Sequence[Pending[Key, Result]]) -> None:
        """Execute a batch; if that is slow, let another worker start."""
        worker = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, self.mark_slow, worker)
        try:
            await self.execute(connection, batch)
        finally:
            timer.cancel()
            self.slow_workers.discard(worker)

    def mark_slow(self, worker: asyncio.Task[None] | None) -> None:
        """Start another worker beside one whose statement takes long."""
        self.slow_workers.add(worker)
        self.start_worker()

    async def handle_failure(self, batch: Sequence[Pending[Key, Result]], error: Exception, attempt: int = 1) -> None:
        """Retry a batch while only other transactions are in its way; else fail it, or retry each key by itself."""
        if is_retryable(error) and attempt < MAX_ATTEMPTS:
            await asyncio.sleep(random.uniform(0, BACKOFF_SECONDS * attempt))  # noqa: S311 - no secret
            await self.retry(batch, attempt + 1)
        elif len(batch) == 1 or affects_whole_batch(error):
            for pending in batch:
                resolve(pending, error)
        else:
            await asyncio.gather(*(self.retry([pending]) for pending in batch))

    async def retry(self, batch: Sequence[Pending[Key, Result]], attempt: int = 1) -> None:
        """Execute the operation again for a batch that has failed."""
        try:
            async with self.operation.acquire() as connection:
                await self.execute(connection, batch)
        except Exception as error:  # noqa: BLE001 - it belongs to the requests that wait
            await self.handle_failure(batch, error, attempt)

    async def execute(self, connection: Connection, batch: Sequence[Pending[Key, Result]]) -> None:
        """Execute the operation for a batch and resolve its keys."""
        results = await self.operation.execute(connection, [pending.key for pending in batch])
        for pending, result in zip(batch, results, strict=True):
            resolve(pending, result)


def resolve(pending: Pending[Key, Result], outcome: Result | Exception) -> None:
    """Set the result or the error of a key, if its request still waits."""
    if pending.result.done():
        return
    if isinstance(outcome, Exception):
        pending.result.set_exception(outcome)
    else:
        pending.result.set_result(outcome)
