"""The pacing of producers, on a clock that the test moves."""

from netvision_cli.swarm.options import SwarmOptions
from netvision_cli.swarm.pacing import IDLE_SECONDS, Pacing


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_rate_every_batch_is_due_at_once_and_has_no_response_time() -> None:
    pacing = Pacing(SwarmOptions(), Clock())
    assert [pacing.reserve(50) for _ in range(3)] == [50] * 3
    assert pacing.delay(outstanding=0) == 0
    pacing.acknowledge(pacing.intended_start)
    assert pacing.response_times.count == 0


def test_with_a_rate_the_intended_start_follows_from_the_records_before_it_and_not_from_the_clock() -> None:
    clock = Clock()
    pacing = Pacing(SwarmOptions(rate=100.0), clock)
    pacing.reserve(50)
    assert pacing.intended_start == 100.5
    assert pacing.delay(outstanding=0) == IDLE_SECONDS
    clock.now = 110.0
    assert pacing.delay(outstanding=0) == 0
    pacing.reserve(25)
    assert pacing.intended_start == 100.75


def test_a_response_time_counts_from_the_intended_start() -> None:
    clock = Clock()
    pacing = Pacing(SwarmOptions(rate=100.0), clock)
    intended_start = pacing.intended_start
    clock.now += 7.0
    pacing.acknowledge(intended_start)
    assert pacing.response_times.longest == 7.0


def test_a_full_backlog_delays_and_a_backlog_of_zero_never_does() -> None:
    assert Pacing(SwarmOptions(backlog=10), Clock()).delay(outstanding=11) == IDLE_SECONDS
    assert Pacing(SwarmOptions(backlog=10), Clock()).delay(outstanding=10) == 0
    assert Pacing(SwarmOptions(backlog=0), Clock()).delay(outstanding=10**6) == 0


def test_no_more_records_are_reserved_than_were_requested() -> None:
    pacing = Pacing(SwarmOptions(records=70), Clock())
    assert (pacing.reserve(50), pacing.is_exhausted) == (50, False)
    assert (pacing.reserve(50), pacing.is_exhausted) == (20, True)
