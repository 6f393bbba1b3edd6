"""Heartbeats over a simulated server: what is lost in a short time is found, and how long writes and reads are out."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from netvision_cli.client import Record
from netvision_cli.errors import ServerError
from netvision_cli.swarm.findings import DELETE, INSERT, MAX_DELETIONS, DeletionTimes
from netvision_cli.swarm.heartbeats import Heartbeats
from netvision_cli.swarm.workload import Workload
from tests.cli.flawed import FailingOver, Replica
from tests.cli.simulation import OPTIONS, SimulatedServer, simulate

QUIET = replace(OPTIONS, producers=1, consumers=1, rate=0.1, records=None, duration=12.0, heartbeat=0.1, hold=4.0)
"""Heartbeats with hardly any work beside them."""


def noticed(run: Workload) -> dict[str, int]:
    found = [each.call for each in run.account.findings.found]
    return {call: found.count(call) for call in (INSERT, DELETE)}


@pytest.mark.parametrize("window", [0.25, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_inserts_and_deletions_that_are_lost_in_a_window_are_found_and_dated(window: float, seed: int) -> None:
    at = 8.0 + 0.07 * seed
    run = simulate(FailingOver(seed, at, window, outage=1.0), seed, QUIET)
    found = run.account.findings
    assert noticed(run)[INSERT] == pytest.approx(window / 0.1, abs=2)
    assert noticed(run)[DELETE] == pytest.approx(window / 0.2, abs=2)
    assert not run.account.tally.balances
    assert found.first == pytest.approx(at - window, abs=0.21)
    assert found.last == pytest.approx(at, abs=0.21)
    assert run.heartbeats.writes.next_beginning(found.last or 0.0) == pytest.approx(at, abs=0.15)


def test_nothing_is_found_after_a_failover_that_loses_nothing() -> None:
    run = simulate(FailingOver(1, at=8.0, window=0.0, outage=1.0), 1, QUIET)
    assert run.account.tally.balances
    assert run.account.heartbeats.is_even


def test_heartbeats_prove_their_grain_and_are_deleted_at_the_end() -> None:
    server = SimulatedServer(1)
    run = simulate(server, 1, replace(QUIET, leave=True))
    numbers = run.heartbeats.as_dict() or {}
    assert run.account.heartbeats.created == numbers["created"] == pytest.approx(120, abs=3)
    assert all(0.19 < gap < 0.3 for gap in numbers["noticed"].values())
    assert len(server.texts) == run.account.tally.remaining
    assert run.account.heartbeats.remaining == 0


@pytest.mark.parametrize("outage", [(0.0, 2.0), (5.0, 1.5), (10.5, 4.0)], ids=["start", "middle", "end"])
def test_an_outage_is_as_long_as_nothing_is_acknowledged(outage: tuple[float, float]) -> None:
    at, seconds = outage
    run = simulate(FailingOver(1, at=at, window=0.0, outage=seconds), 1, QUIET)
    for figures in run.heartbeats.outages().values():
        (period,) = figures["periods"]
        assert period["began"] == pytest.approx(at, abs=0.15)
        assert period["seconds"] == pytest.approx(seconds, abs=0.25)
        assert period["error"] == "refused"
        assert figures["availability"] == pytest.approx(100 * (1 - seconds / figures["watched"]), abs=3)
    assert run.account.tally.balances


class ReadOnly(SimulatedServer):
    """Takes no writes for a while, and is slow to say so."""

    def is_out(self) -> bool:
        return 5.0 <= asyncio.get_running_loop().time() < 7.0

    async def store(self, records: list[Record]) -> list[Record]:  # type: ignore[override]
        if self.is_out():
            raise ServerError("read-only")
        return await super().store(records)


class Suspended(SimulatedServer):
    """Holds every request for a while, and serves all of them then."""

    async def pass_time(self) -> None:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(7.0 - now if 5.0 <= now < 7.0 else 0.001)


def test_reads_go_on_while_writes_are_out() -> None:
    run = simulate(ReadOnly(1), 1, QUIET)
    writes, reads = run.heartbeats.outages().values()
    assert (writes["count"], reads["count"]) == (1, 0)
    assert writes["total"] == pytest.approx(2.0, abs=0.2)
    assert writes["periods"][0]["error"] == "read-only"


def test_a_server_that_holds_every_request_is_out_though_none_fails() -> None:
    run = simulate(Suspended(1), 1, QUIET)
    assert run.caller.error_kinds == {}
    for figures in run.heartbeats.outages().values():
        assert (figures["count"], figures["periods"][0]["error"]) == (1, "no response")
        assert figures["total"] == pytest.approx(2.0, abs=0.2)


def test_heartbeats_are_bounded_however_long_the_run_and_the_outage() -> None:
    server = FailingOver(1, at=400.0, window=0.0, outage=600.0)
    most = 0

    class Watching(Heartbeats):
        """Notes how many heartbeats may be stored."""

        def beat(self) -> None:
            nonlocal most
            most = max(most, self.account.live_heartbeats + len(self.unsettled) + len(self.tasks))
            super().beat()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netvision_cli.swarm.workload.Heartbeats", Watching)
        run = simulate(server, 1, replace(QUIET, duration=1200.0, heartbeat=1.0, hold=10.0))
    assert run.account.tally.balances
    assert most < 120


@pytest.mark.parametrize("lag", [0.05, 2.0])
def test_a_lagging_replica_is_stale_and_harms_nothing(lag: float) -> None:
    for seed in range(3):
        server = SimulatedServer(seed)
        run = simulate(server, seed, replace(OPTIONS, heartbeat=0.5, hold=3), Replica(server, lag))
        tally = run.account.tally
        assert tally.balances, (seed, tally)
        assert tally.stale > 0
        assert 0 < run.account.longest_stale < lag + 1.5


def test_without_heartbeats_there_are_none() -> None:
    run = simulate(SimulatedServer(1), 1, replace(OPTIONS, heartbeat=0))
    assert (run.heartbeats.as_dict(), run.heartbeats.outages(), run.account.heartbeats.created) == (None, {}, 0)


def test_of_the_times_of_deletions_the_latest_are_kept() -> None:
    times = DeletionTimes(size=4)
    for number in range(6):
        times.add(UUID(int=number), float(number))
    times.add(UUID(int=5), 9.0)
    assert [times.of(UUID(int=number)) for number in range(6)] == [None, None, None, 3.0, 4.0, 9.0]
    assert MAX_DELETIONS > 4
