"""The account over a simulated server: what was harmed is found, and what was merely flaky is forgiven."""

from dataclasses import replace

import pytest

from netvision_cli.swarm.tally import Tally
from tests.cli.flawed import (
    DoublyDeleting,
    Dropping,
    Forgetting,
    Garbling,
    Halving,
    Landing,
    Repeating,
    Replica,
    Reviving,
)
from tests.cli.simulation import OPTIONS, SimulatedServer, simulate

HONEST_RUNS = range(1000)
PARTS = 10
LAGS = (0.05, 0.5, 5.0, 30.0)
SEEDS = range(10)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_honest_server_is_accused_however_flaky_or_stale(part: int) -> None:
    for seed in HONEST_RUNS[part::PARTS]:
        server = SimulatedServer(seed, flakiness=0.05 * (seed % 8))
        replica = Replica(server, LAGS[seed % len(LAGS)]) if seed % 3 == 0 else None
        run = simulate(server, seed, replica=replica)
        tally = run.account.tally
        assert tally.balances, (seed, tally)
        assert run.account.heartbeats.is_even, (seed, run.account.heartbeats)
        assert tally.stale == 0 or replica, (seed, tally)
        assert tally.partial == 0, (seed, tally)


def test_every_record_of_a_quiet_run_is_created_and_deleted() -> None:
    server = SimulatedServer(seed=1)
    assert simulate(server, seed=1).account.tally == Tally(created=60, deleted=60)
    assert not server.texts


def test_leaving_records_is_no_fault() -> None:
    server = SimulatedServer(seed=1)
    tally = simulate(server, 1, replace(OPTIONS, leave=True)).account.tally
    assert tally.balances
    assert tally.remaining == len(server.texts) > 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("flawed", "harm"),
    [
        (Dropping, "lost"),
        (Forgetting, "lost"),
        (Garbling, "corrupt"),
        (Reviving, "resurrected"),
        (DoublyDeleting, "duplicated"),
        (Repeating, "duplicated"),
    ],
)
def test_a_server_that_harms_records_is_found_out(flawed: type[SimulatedServer], harm: str, seed: int) -> None:
    tally = simulate(flawed(seed), seed).account.tally
    assert not tally.balances
    assert getattr(tally, harm) > 0, tally


@pytest.mark.parametrize("seed", SEEDS)
def test_half_of_an_unknown_batch_is_shown_and_forgiven(seed: int) -> None:
    tally = simulate(Halving(seed), seed).account.tally
    assert tally.balances
    assert tally.partial > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_what_lands_late_is_deleted_again_and_counted_apart(seed: int) -> None:
    tally = simulate(Landing(seed), seed, replace(OPTIONS, records=300)).account.tally
    assert tally.balances
    assert tally.resurrected == 0
    assert tally.late > 0
