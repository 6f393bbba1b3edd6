"""Requests that wait together travel together.

While one statement is under way, the keys that arrive queue up, and all of them go with the next one. Nothing waits for
a timer, a lone request goes at once, and no key joins a statement that has already begun. On SQLite this is group
commit: many requests share one sync.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError

from netvision_api.problems import DATABASE_UNAVAILABLE, Problem

LARGEST_BATCH = 500
"""How many keys one statement takes."""

ROW_CLASSES = frozenset({"23", "40", "55"})
"""SQLSTATE classes of trouble with single rows: constraints, conflicts of transactions, locks."""

Key = TypeVar("Key")
Result = TypeVar("Result")
Work = Callable[[Sequence[Key]], Awaitable[Sequence[Result]]]


class Request(asyncio.Future[Result], Generic[Key, Result]):
    """A key that waits for its result."""

    def __init__(self, key: Key) -> None:
        """Begin to wait."""
        super().__init__()
        self.key = key


class Batcher(Generic[Key, Result]):
    """One lane of statements; each does the work for all keys that came while the one before ran."""

    def __init__(self, work: Work[Key, Result], patience: float) -> None:
        """Take the work for a list of keys, and the seconds that a key may wait until its statement begins."""
        self.work = work
        self.patience = patience
        self.waiting: list[Request[Key, Result]] = []
        self.lane: asyncio.Task[None] | None = None

    async def submit(self, key: Key) -> Result:
        """Have the work done for a key; raises Problem where its statement could not begin in time."""
        request = Request[Key, Result](key)
        self.waiting.append(request)
        expiry = asyncio.get_running_loop().call_later(self.patience, self.expire, request)
        if self.lane is None:
            self.lane = asyncio.create_task(self.run())
        try:
            return await request
        finally:
            expiry.cancel()

    def expire(self, request: Request[Key, Result]) -> None:
        """Give up a key whose statement has not begun."""
        if request in self.waiting and not request.done():
            detail = f"The database was busy for {self.patience:g} s; nothing was saved. Try again."
            request.set_exception(Problem(DATABASE_UNAVAILABLE, detail, outcome="not-saved"))

    async def run(self) -> None:
        """Run one statement after another while there are keys."""
        try:
            while self.waiting:
                batch, self.waiting = self.waiting[:LARGEST_BATCH], self.waiting[LARGEST_BATCH:]
                if wanted := [request for request in batch if not request.done()]:
                    await self.serve(wanted)
        finally:
            self.lane = None

    async def serve(self, batch: Sequence[Request[Key, Result]]) -> None:
        """Do the work for a batch; where one key's trouble has undone it for all, for each key alone."""
        try:
            results = await self.work([request.key for request in batch])
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait for it
            if len(batch) > 1 and is_one_keys_trouble(error):
                for request in batch:
                    await self.serve([request])
                return
            for request in batch:
                settle(request, error)
        else:
            for request, result in zip(batch, results, strict=True):
                settle(request, result)


def is_one_keys_trouble(error: Exception) -> bool:
    """Tell a constraint, a conflict of transactions or a lock on a row from a database that does not work at all."""
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, DBAPIError) and sqlstate[:2] in ROW_CLASSES


def settle(request: "Request[Key, Result]", outcome: "Result | Exception") -> None:
    """Give a request its result or its error, if anybody still waits for it."""
    if request.done():
        return
    if isinstance(outcome, Exception):
        request.set_exception(outcome)
    else:
        request.set_result(outcome)
