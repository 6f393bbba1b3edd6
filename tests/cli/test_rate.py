"""With a rate the loop is open: a slow server shows in the response times, and moves no intended start."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from netvision_cli.client import Record
from netvision_cli.swarm.options import Range
from tests.cli.simulation import OPTIONS, SimulatedServer, simulate

RATE, SECONDS = 100.0, 20.0
PACED = replace(OPTIONS, records=None, duration=SECONDS, rate=RATE, batch=Range(10, 10), backlog=0, consumers=20)
STALL_SECONDS = 10.0


class Stalling(SimulatedServer):
    """Responds at once, except to one insert, which takes ten seconds."""

    has_stalled = False

    async def pass_time(self) -> None:
        await asyncio.sleep(0.001)

    async def store(self, records: Sequence[Record]) -> list[Record]:
        if not self.has_stalled:
            self.has_stalled = True
            await asyncio.sleep(STALL_SECONDS)
        return await super().store(records)


def test_a_stall_shows_in_the_response_times_of_all_who_had_to_wait() -> None:
    run = simulate(Stalling(1), 1, replace(PACED, producers=1))
    service, response = run.caller.calls["insert"].durations, run.pacing.response_times
    assert service.count == response.count
    assert service.percentile(0.99) < 0.1
    assert 1 < response.percentile(0.75) < STALL_SECONDS
    assert response.longest >= STALL_SECONDS


def test_a_stall_moves_no_intended_start() -> None:
    for producers in (1, 2):
        tally = simulate(Stalling(1), 1, replace(PACED, producers=producers)).account.tally
        assert abs(tally.created - RATE * SECONDS) <= 20


def test_a_server_in_time_responds_as_fast_as_it_serves() -> None:
    run = simulate(SimulatedServer(1), 1, replace(PACED, producers=10))
    service, response = run.caller.calls["insert"].durations, run.pacing.response_times
    assert service.percentile(0.5) <= response.percentile(0.5) * 1.01 < 2 * service.percentile(0.5)


def test_what_a_full_backlog_holds_back_counts_from_its_intended_start() -> None:
    run = simulate(Stalling(1), 1, replace(PACED, backlog=50, consumers=1, fetch=1, producers=1))
    assert run.pacing.response_times.percentile(0.99) > run.caller.calls["insert"].durations.percentile(0.99) * 10


def test_a_closed_loop_has_no_response_times() -> None:
    assert simulate(SimulatedServer(1), 1).pacing.response_times.count == 0
