"""Storing texts in batches that can be repeated, since the client generates the uuids."""

import asyncio
import math
import random
from collections.abc import Iterable, Iterator

from netvision_cli.client import Client, Record
from netvision_cli.errors import RETRYABLE, NetvisionError, NotConnected, Refused
from netvision_cli.inputs import NewRecord
from netvision_cli.keys import Run

BATCH_RECORDS = 1000
BATCH_CHARACTERS = 2**20
ATTEMPTS = 5
INITIAL_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 5.0
TOO_LARGE = frozenset({"batch-too-large", "body-too-large"})


def batches(records: Iterable[NewRecord]) -> Iterator[list[Record]]:
    """Give every text a uuid, ascending, and group them into batches that the server accepts."""
    keys = Run.start().keys()
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and (len(batch) == BATCH_RECORDS or size + len(record.text) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(Record(record.uuid or next(keys), record.text))
        size += len(record.text)
    if batch:
        yield batch


async def store(client: Client, batch: list[Record]) -> None:
    """Store a batch; one that is too large for this server is split in halves."""
    try:
        await store_with_retries(client, batch)
    except Refused as refusal:
        if refusal.problem not in TOO_LARGE or len(batch) == 1:
            raise
        middle = len(batch) // 2
        await store(client, batch[:middle])
        await store(client, batch[middle:])


async def store_with_retries(client: Client, batch: list[Record]) -> None:
    """Repeat a batch whose outcome is unknown: records that are stored already are no conflict."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await client.store(batch)
        except RETRYABLE as error:
            if attempt == 1 and isinstance(error, NotConnected):
                raise
            if attempt == ATTEMPTS:
                # The message of an exception is its arguments; the exception itself keeps its class and exit status.
                error.args = (f"{error}; the texts from {batch[0].uuid} to {batch[-1].uuid} may be stored",)
                raise
            await asyncio.sleep(backoff_seconds(attempt, error))
        else:
            return


def backoff_seconds(attempt: int, error: NetvisionError) -> float:
    """Return the seconds before the next attempt: longer each time, and jittered so that clients do not align."""
    growing = min(MAX_BACKOFF_SECONDS, math.ldexp(INITIAL_BACKOFF_SECONDS, attempt))
    return max(error.retry_after or 0.0, growing * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
