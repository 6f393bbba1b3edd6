"""Texts read by a thread, since standard input may be silent for long, and handed on in batches."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from threading import Condition, Thread

from netvision_cli.inputs import NewRecord

FLUSH_SECONDS = 1.0


async def read_batches(
    records: Iterable[NewRecord], max_records: int, max_characters: int
) -> AsyncGenerator[list[NewRecord], None]:
    """Yield records in batches of bounded size, each at most a second after its first record was read."""
    reader = Reader(records, max_records, max_characters)
    Thread(target=reader.read, daemon=True).start()
    while batch := await reader.take():
        yield batch


class Reader:
    """Reads records in a thread, one batch ahead."""

    def __init__(self, records: Iterable[NewRecord], max_records: int, max_characters: int) -> None:
        self.records = records
        self.max_records = max_records
        self.max_characters = max_characters
        self.batch: list[NewRecord] = []
        self.size = 0
        self.is_full = False
        self.has_ended = False
        self.error: Exception | None = None
        self.taken = Condition()
        self.changed = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def read(self) -> None:
        """Read to the end, or to the first error; called in the thread."""
        try:
            for record in self.records:
                self.put(record)
        except Exception as error:  # noqa: BLE001 - raised where the batches are taken
            self.error = error
        self.has_ended = True
        self.notify()

    def put(self, record: NewRecord) -> None:
        """Add a record to the batch, after the batch is taken if it is full."""
        with self.taken:
            is_too_long = self.size + len(record.text) > self.max_characters
            if self.batch and (is_too_long or len(self.batch) == self.max_records):
                self.is_full = True
                self.notify()
                self.taken.wait_for(lambda: not self.batch)
            self.batch.append(record)
            self.size += len(record.text)
            if len(self.batch) == 1:
                self.notify()

    def notify(self) -> None:
        """Wake the event loop, if it still runs."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.changed.set)

    async def take(self) -> list[NewRecord]:
        """Return the next batch, an empty one at the end; raises the error that ended the reading."""
        await self.wait_for(lambda: bool(self.batch))
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await self.wait_for(lambda: self.is_full)
        if self.error:
            raise self.error
        with self.taken:
            batch, self.batch, self.size, self.is_full = self.batch, [], 0, False
            self.taken.notify()
        return batch

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds or everything is read."""
        while not (condition() or self.has_ended):
            await self.changed.wait()
            self.changed.clear()
