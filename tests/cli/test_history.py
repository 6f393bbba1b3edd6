"""The history of a run: bounded, and complete."""

from functools import reduce

import pytest

from netvision_cli.swarm.history import MAX_INTERVALS, MINUTE, History
from netvision_cli.swarm.latency import Calls
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.summary import bottleneck_warning
from netvision_cli.swarm.tally import Tally


def moments(count: int, cpu: float = 0.1, busy_after: int = 0) -> list[Snapshot]:
    """Take a snapshot every second of a run that deletes one record a second."""
    calls = {"delete": Calls()}
    taken = []
    for second in range(count + 1):
        if second:
            calls["delete"].durations.add(0.001 * second)
        taken.append(
            Snapshot(
                until=float(second),
                seconds=float(second),
                cpu_seconds=cpu * max(0, second - busy_after),
                tally=Tally(deleted=second),
                calls={name: called.copy() for name, called in calls.items()},
                response_times=None,
                outstanding=0,
                outage="",
                lag=None,
                is_stopping=False,
            )
        )
    return taken


def history_of(taken: list[Snapshot]) -> History:
    history = History(taken[0])
    for moment in taken[1:]:
        history.add(moment)
    return history


@pytest.mark.parametrize("seconds", [1, 2, MAX_INTERVALS, MAX_INTERVALS + 1, 3 * MAX_INTERVALS, 5 * MAX_INTERVALS + 3])
def test_a_history_is_bounded_and_nothing_of_the_run_is_missing(seconds: int) -> None:
    taken = moments(seconds)
    intervals = history_of(taken).intervals
    assert len(intervals) <= MAX_INTERVALS + 1
    assert len(intervals) > MAX_INTERVALS // 2 or seconds <= MAX_INTERVALS
    assert reduce(Snapshot.merged, intervals) == taken[-1]
    starts = [interval.until - interval.seconds for interval in intervals]
    assert starts == [0.0, *(interval.until for interval in intervals[:-1])]


def test_the_intervals_of_a_history_are_of_one_length() -> None:
    *whole, _last = history_of(moments(3 * MAX_INTERVALS + 1)).intervals
    assert len({interval.seconds for interval in whole}) == 1


def test_the_last_minute_is_known_by_the_second() -> None:
    minute = history_of(moments(100)).minute
    assert len(minute) == MINUTE
    assert {(second.seconds, second.deleted) for second in minute} == {(1.0, 1)}


@pytest.mark.parametrize(("cpu", "busy_seconds"), [(0.5, 0), (0.89, 0), (0.97, 40)])
def test_seconds_in_which_the_process_used_nearly_a_core_are_counted(cpu: float, busy_seconds: float) -> None:
    assert history_of(moments(40, cpu)).busy_seconds == busy_seconds


def test_a_process_that_was_busy_for_a_part_of_the_run_was_the_bottleneck_then() -> None:
    assert bottleneck_warning(history_of(moments(40, cpu=1.0, busy_after=30)).busy_seconds, 40)
    assert not bottleneck_warning(history_of(moments(40, cpu=1.0, busy_after=38)).busy_seconds, 40)
