"""Storing texts: in batches that can be repeated, since the client makes the uuids."""

import asyncio
import math
import random
from collections.abc import Iterable, Iterator

from netvision_cli.client import Client, Record
from netvision_cli.errors import NetvisionError, NotConnected, Refused, ServerError, Unreachable
from netvision_cli.inputs import Given
from netvision_cli.keys import Run

BATCH_RECORDS = 1000
BATCH_CHARACTERS = 2**20
ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
TOO_LARGE = frozenset({"batch-too-large", "body-too-large"})


def batches(given: Iterable[Given]) -> Iterator[list[Record]]:
    """Give every text a uuid, ascending, and gather them into batches the server takes."""
    keys = Run.start().keys()
    batch: list[Record] = []
    weight = 0
    for item in given:
        if batch and (len(batch) == BATCH_RECORDS or weight + len(item.text) > BATCH_CHARACTERS):
            yield batch
            batch, weight = [], 0
        batch.append(Record(item.uuid or next(keys), item.text))
        weight += len(item.text)
    if batch:
        yield batch


async def store(client: Client, batch: list[Record]) -> None:
    """Store a batch; one that is too large for this server goes in halves."""
    try:
        await store_persistently(client, batch)
    except Refused as refusal:
        if refusal.problem not in TOO_LARGE or len(batch) == 1:
            raise
        middle = len(batch) // 2
        await store(client, batch[:middle])
        await store(client, batch[middle:])


async def store_persistently(client: Client, batch: list[Record]) -> None:
    """Repeat a batch whose fate is unknown: what is stored already is no conflict."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await client.store(batch)
        except (ServerError, Unreachable) as error:
            if attempt == 1 and isinstance(error, NotConnected):
                raise
            if attempt == ATTEMPTS:
                error.args = (f"{error}; the texts from {batch[0].uuid} to {batch[-1].uuid} may be stored",)
                raise
            await asyncio.sleep(pause(attempt, error))
        else:
            return


def pause(attempt: int, error: NetvisionError) -> float:
    """Choose how long to wait before the next attempt, in seconds: longer each time, never in step with others."""
    grown = min(LONGEST_PAUSE_SECONDS, math.ldexp(FIRST_PAUSE_SECONDS, attempt))
    return max(error.retry_after or 0.0, grown * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
