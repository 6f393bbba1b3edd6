"""Adding texts: read, stored and reported batch by batch."""

import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from netvision_cli.client import Client, Record
from netvision_cli.errors import NetvisionError
from netvision_cli.inputs import NewRecord
from netvision_cli.keys import Run
from netvision_cli.options import TextSource
from netvision_cli.output import progress, reporting, were
from netvision_cli.reading import read_batches
from netvision_cli.storing import BATCH_CHARACTERS, BATCH_RECORDS, store
from netvision_cli.streams import print_data

HOW_TO_GO_ON = {True: "repeat the command to go on", False: "to go on, skip them in the input"}
"""The next step after texts of a file are stored, and after others are."""


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
