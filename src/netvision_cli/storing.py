"""Storing texts in batches that can be repeated, since the client generates the uuids."""

import asyncio
import math
import random
from itertools import count
from time import perf_counter

from netvision_cli.client import Client, Record
from netvision_cli.errors import RETRYABLE, NetvisionError, NotConnected, Refused

BATCH_RECORDS = 1000
BATCH_CHARACTERS = 2**20
ATTEMPTS = 5
INITIAL_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 5.0
TOO_LARGE = frozenset({"batch-too-large", "body-too-large"})


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
                    error.add(f"the texts from {batch[0].uuid} to {batch[-1].uuid} may be stored")
                raise
            await asyncio.sleep(backoff_seconds(attempt, error))
        else:
            return


def backoff_seconds(attempt: int, error: NetvisionError) -> float:
    """Return the seconds before the next attempt: longer each time, and jittered so that clients do not align."""
    growing = min(MAX_BACKOFF_SECONDS, math.ldexp(INITIAL_BACKOFF_SECONDS, min(attempt, 10)))
    return max(error.retry_after or 0.0, growing * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
