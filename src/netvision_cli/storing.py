"""Storing texts in batches that can be repeated, since the client generates the uuids."""

import asyncio
import math
import random
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from itertools import count
from time import perf_counter

from netvision_cli.client import Client, Record
from netvision_cli.errors import RETRYABLE, NetvisionError, NotConnected, Refused
from netvision_cli.inputs import NewRecord
from netvision_cli.keys import Run
from netvision_cli.options import TextSource
from netvision_cli.output import progress, reporting, were
from netvision_cli.reading import read_batches
from netvision_cli.streams import print_data

BATCH_RECORDS = 1000
BATCH_CHARACTERS = 2**20
ATTEMPTS = 5
HOW_TO_GO_ON = {True: "repeat the command to go on", False: "to go on, skip them in the input"}
"""The next step after texts of a file are stored, and after others are."""

INITIAL_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 5.0
TOO_LARGE = frozenset({"batch-too-large", "body-too-large"})


async def add_records(client: Client, records: Iterable[NewRecord], source: TextSource) -> None:
    """Store records in batches, and print their uuids as soon as they are stored.

    A server that is away is waited for as long as the source says, by default only after the first batch.
    """
    is_typed = sys.stdin.isatty() and not source.file
    stored = under_way = 0

    def so_far() -> str:
        done = f"{were(stored, 'text')} stored before that" if stored or under_way else ""
        done += f", and {under_way} more may be" if under_way else ""
        return f"{done}; {HOW_TO_GO_ON[bool(source.file)]}" if stored else done

    with progress("stored", is_shown=not is_typed) as advance, reporting(so_far):
        async with aclosing(batches(records)) as read:
            async for batch in read:
                under_way = len(batch)
                try:
                    await store(client, batch, source.patience(is_started=stored > 0))
                except NetvisionError:
                    under_way = 0
                    raise
                stored, under_way = stored + under_way, 0
                advance(len(batch))
                print_data("".join(f"{record.uuid}\n" for record in batch), flush=True)


async def batches(records: Iterable[NewRecord]) -> AsyncGenerator[list[Record], None]:
    """Yield records in batches that the server accepts; those without a uuid get one, ascending."""
    keys = Run.start().keys()
    async with aclosing(read_batches(records, BATCH_RECORDS, BATCH_CHARACTERS)) as read:
        async for batch in read:
            yield [Record(record.uuid or next(keys), record.text) for record in batch]


async def store(client: Client, batch: list[Record], wait: float = 0.0) -> None:
    """Store a batch; one that is too large for this server is split in halves."""
    try:
        await store_with_retries(client, batch, wait)
    except Refused as refusal:
        if refusal.problem not in TOO_LARGE or len(batch) == 1:
            raise
        middle = len(batch) // 2
        await store(client, batch[:middle], wait)
        await store(client, batch[middle:], wait)


async def store_with_retries(client: Client, batch: list[Record], wait: float) -> None:
    """Repeat a batch whose outcome is unknown, since records that are stored already are no conflict.

    A server that is away is waited for, for `wait` seconds.
    """
    deadline = perf_counter() + wait
    is_unknown = False
    for attempt in count(1):
        try:
            await client.store(batch)
        except RETRYABLE as error:
            is_unknown |= error.may_land_late
            is_away = attempt == 1 and isinstance(error, NotConnected)
            if perf_counter() >= deadline and (is_away or attempt >= ATTEMPTS):
                if is_unknown:
                    unknown = f"the texts from {batch[0].uuid} to {batch[-1].uuid} may be stored"
                    # The message of an exception is its arguments; the exception keeps its class and exit status.
                    error.args = (f"{error}; {unknown}",)
                raise
            await asyncio.sleep(backoff_seconds(attempt, error))
        else:
            return


def backoff_seconds(attempt: int, error: NetvisionError) -> float:
    """Return the seconds before the next attempt: longer each time, and jittered so that clients do not align."""
    growing = min(MAX_BACKOFF_SECONDS, math.ldexp(INITIAL_BACKOFF_SECONDS, min(attempt, 10)))
    return max(error.retry_after or 0.0, growing * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
