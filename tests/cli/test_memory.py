"""The swarm's memory is bounded by its backlog, not by the length of its run."""

import asyncio
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

from netvision_cli.client import Record
from netvision_cli.swarm.options import Range
from tests.cli.simulation import OPTIONS, SimulatedServer, simulate

RECORDS = 12_000
WARM = 3_000
MAX_GROWTH = 256 * 1024


class Watching(SimulatedServer):
    """Notes the memory in use when a few records were stored, and at the last batch."""

    stored = 0
    warm = 0
    last = 0

    def do_store(self, records: Sequence[Record]) -> list[Record]:
        self.stored += len(records)
        self.last = tracemalloc.get_traced_memory()[0]
        if self.stored < WARM:
            self.warm = self.last
        return super().do_store(records)

    async def pass_time(self) -> None:
        await asyncio.sleep(0.001)


def test_memory_does_not_grow_with_the_run() -> None:
    server = Watching(seed=1, flakiness=0.02)
    tracemalloc.start()
    try:
        tally = simulate(server, 1, replace(OPTIONS, records=RECORDS, batch=Range(10, 100), backlog=500)).account.tally
    finally:
        tracemalloc.stop()
    assert tally.balances
    assert server.last - server.warm < MAX_GROWTH
