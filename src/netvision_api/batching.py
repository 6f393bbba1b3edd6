"""Requests that wait together travel together.

While one statement is under way, the keys that arrive queue up, and all of them go with the next one. Nothing waits for
a timer, a lone request goes at once, and no key joins a statement that has already begun: what it reads is never older
than the request. On SQLite this is group commit: many requests share one sync.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from netvision_api.failures import concerns_everyone, is_conflict
from netvision_api.problems import no_connection

SLOW_SECONDS = 0.02
"""A statement that takes longer is passed by the next one, on a lane beside it."""

TRIES = 5
"""How often a single key's work is done before other transactions in its way make it fail."""

PAUSE_SECONDS = 0.02

Source = TypeVar("Source")
Key = TypeVar("Key")
Result = TypeVar("Result")


class Request(asyncio.Future[Result], Generic[Key, Result]):
    """A key that waits for its result."""

    def __init__(self, key: Key) -> None:
        """Begin to wait."""
        super().__init__()
        self.key = key


@dataclass(frozen=True)
class Work(Generic[Source, Key, Result]):
    """What is done for the keys of a batch, and where.

    `connect` opens a connection; `together` does the work of several keys on it, all or none. `is_wanted` tells that
    others wait for the connection. A batch may weigh `most`, as `weigh` says of each key, but it has one key at least.
    The work of a key whose batch has failed is done by `alone`, where that is another.
    """

    connect: Callable[[], AbstractAsyncContextManager[Source]]
    together: Callable[[Source, Sequence[Key]], Awaitable[Sequence[Result]]]
    is_wanted: Callable[[], bool]
    most: int
    weigh: Callable[[Key], int] = lambda _key: 1
    alone: Callable[[Key], Awaitable[Result]] | None = None


class Batcher(Generic[Source, Key, Result]):
    """Statements one after another; each does the work for all keys that came while the one before ran."""

    def __init__(self, work: Work[Source, Key, Result], *, patience: float, lanes: int = 1) -> None:
        """Take the work, the seconds that a key may wait until its statement begins, and how many may run at a time."""
        self.work = work
        self.patience = patience
        self.most_lanes = lanes
        self.waiting: deque[Request[Key, Result]] = deque()
        self.lanes: set[asyncio.Task[None] | None] = set()
        self.slow: set[asyncio.Task[None] | None] = set()
        self.recoveries: set[asyncio.Task[None]] = set()

    async def submit(self, key: Key) -> Result:
        """Have the work done for a key; raises Problem where its statement could not begin in time."""
        loop = asyncio.get_running_loop()
        request = Request[Key, Result](key)
        self.waiting.append(request)
        expiry = loop.call_later(self.patience, self.expire, request)
        if self.slow >= self.lanes:
            self.open_lane()
        try:
            return await request
        finally:
            expiry.cancel()

    def expire(self, request: Request[Key, Result]) -> None:
        """Give up a key whose statement has not begun."""
        if request in self.waiting and not request.done():
            request.set_exception(no_connection(self.patience))

    def open_lane(self) -> None:
        """Begin to serve what waits, unless enough lanes do so."""
        if self.waiting and len(self.lanes) < self.most_lanes:
            self.lanes.add(asyncio.create_task(self.run()))

    async def run(self) -> None:
        """Run one statement after another while there are keys."""
        try:
            while self.waiting:
                await self.ride()
        finally:
            self.lanes.discard(asyncio.current_task())

    async def ride(self) -> None:
        """Serve one batch after another on one connection, until nothing waits, something fails, or others want it."""
        batch: Sequence[Request[Key, Result]] = []
        try:
            async with self.work.connect() as source:
                while batch := self.take():
                    await self.serve(source, batch)
                    if self.work.is_wanted():
                        return
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait for it
            recovery = asyncio.create_task(self.recover(batch or self.take(), error))
            self.recoveries.add(recovery)
            recovery.add_done_callback(self.recoveries.discard)

    def take(self) -> Sequence[Request[Key, Result]]:
        """Take the keys that wait, as many as one statement may have."""
        batch: list[Request[Key, Result]] = []
        room = self.work.most
        while self.waiting:
            request = self.waiting[0]
            if not request.done():
                room -= self.work.weigh(request.key)
                if batch and room < 0:
                    break
                batch.append(request)
            self.waiting.popleft()
        return batch

    async def serve(self, source: Source, batch: Sequence[Request[Key, Result]]) -> None:
        """Do the work of a batch; where it takes long, let what has come meanwhile pass by."""
        lane = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, self.pass_by, lane)
        try:
            results = await self.work.together(source, [request.key for request in batch])
        finally:
            timer.cancel()
            self.slow.discard(lane)
        for request, result in zip(batch, results, strict=True):
            settle(request, result)

    def pass_by(self, lane: asyncio.Task[None] | None) -> None:
        """Open another lane beside one whose statement takes long."""
        self.slow.add(lane)
        self.open_lane()

    async def recover(self, batch: Sequence[Request[Key, Result]], error: Exception) -> None:
        """Tell everyone what concerns everyone; where one key's trouble has undone the batch, do each alone."""
        if concerns_everyone(error):
            for request in batch:
                settle(request, error)
            return
        await asyncio.gather(*map(self.serve_alone, batch))

    async def serve_alone(self, request: Request[Key, Result]) -> None:
        """Do one key's work, again where only other transactions were in the way."""
        for attempt in range(1, TRIES + 1):
            try:
                settle(request, await self.do_alone(request.key))
            except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for it
                if not is_conflict(error) or attempt == TRIES:
                    settle(request, error)
                    return
                await asyncio.sleep(random.uniform(0, PAUSE_SECONDS * attempt))  # noqa: S311 - no secret
            else:
                return

    async def do_alone(self, key: Key) -> Result:
        """Do one key's work by itself."""
        if self.work.alone:
            return await self.work.alone(key)
        async with self.work.connect() as source:
            return (await self.work.together(source, [key]))[0]


def settle(request: Request[Key, Result], outcome: Result | Exception) -> None:
    """Give a request its result or its error, if anybody still waits for it."""
    if request.done():
        return
    if isinstance(outcome, Exception):
        request.set_exception(outcome)
    else:
        request.set_result(outcome)
