"""`netvision swarm --clean`: delete the records of swarms that ended without doing so.

A swarm's records are recognized by their keys and texts. One that is running changes its records all the time, so those
of a run that are the same after a while belong to one that is dead, or that ran with `--leave`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from netvision_cli.client import Client, Record
from netvision_cli.deleting import delete_keys
from netvision_cli.keys import FIRST_SWARM, Run
from netvision_cli.options import Connection
from netvision_cli.output import print_status, progress

CLOCK_SKEW = 86_400_000
"""By how many milliseconds the clock of the machine that ran a swarm may be fast."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What is stored of one run; two looks at a run that works differ."""

    count: int
    first: UUID
    last: UUID

    def with_key(self, key: UUID) -> "Traces":
        """Return the traces with one record more, the keys ascending."""
        return Traces(self.count + 1, self.first, key)


def run_clean(connection: Connection, watch_seconds: float) -> None:
    """Delete what dead swarms left at a server, and print for each swarm what was done."""
    asyncio.run(clean(connection, watch_seconds))


async def clean(connection: Connection, watch_seconds: float) -> None:
    """Find the runs of swarms, watch them for a while, and delete the records of those that do not change."""
    async with Client(connection.url, token=connection.bearer, timeout=connection.timeout) as client:
        found = await find_runs(client)
        if not found:
            print_status("no swarm has left records here")
            return
        print_status(f"{len(found)} of them found; waiting {watch_seconds:g} s to see which swarms are running")
        await asyncio.sleep(watch_seconds)
        with progress("deleted") as advance:
            for run, traces in found.items():
                if await traces_of(client, run) != traces:
                    print_status(f"left the records of {described(run)}, which is running")
                    continue
                count = await delete_run(client, run, advance)
                print_status(f"deleted {count:,} records of {described(run)}")


def described(run: Run) -> str:
    """Name a run by when it began."""
    return f"the swarm that began {datetime.fromtimestamp(run.milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def run_of(record: Record) -> Run | None:
    """Return the run of a swarm's record; None for a record from elsewhere."""
    is_random_text = record.text.isascii() and record.text.isalnum()
    run = Run.of_swarm_key(record.uuid)
    return run if run and is_random_text and run.milliseconds <= time.time() * 1000 + CLOCK_SKEW else None


async def find_runs(client: Client) -> dict[Run, Traces]:
    """Read the records after the first that can be a swarm's, and return what is stored of each run."""
    found: dict[Run, Traces] = {}
    async with aclosing(client.stream(after=FIRST_SWARM)) as records:
        async for record in records:
            if run := run_of(record):
                found[run] = found.get(run, Traces(0, record.uuid, record.uuid)).with_key(record.uuid)
    return found


async def traces_of(client: Client, run: Run) -> Traces | None:
    """Return what is stored of a run now; None if it is nothing."""
    traces = None
    async with aclosing(keys_of(client, run)) as keys:
        async for key in keys:
            traces = (traces or Traces(0, key, key)).with_key(key)
    return traces


async def keys_of(client: Client, run: Run) -> AsyncGenerator[UUID, None]:
    """Yield the stored keys of a run."""
    async with aclosing(client.stream(after=run.floor)) as records:
        async for record in records:
            if record.uuid > run.ceiling:
                return
            if run_of(record) == run:
                yield record.uuid


async def delete_run(client: Client, run: Run, advance: Callable[[int], None]) -> int:
    """Delete the records of a run; return how many there were."""
    count = 0
    async with aclosing(delete_keys(client, keys_of(client, run))) as deleted:
        async for _ in deleted:
            count += 1
            advance(1)
    return count
