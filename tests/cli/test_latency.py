"""The histogram: bounded, of known error, and the same however it is put together."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvision_cli.swarm.latency import BUCKETS, Histogram

ERROR = 0.01
SHARES = (0.0, 0.5, 0.95, 0.99, 0.999, 1.0)
DURATIONS = st.lists(st.floats(1e-6, 86_400), max_size=200)


def counted(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)
    return histogram


@given(DURATIONS.filter(bool), st.sampled_from(SHARES))
def test_a_percentile_is_known_to_within_one_per_cent(durations: list[float], share: float) -> None:
    exact = sorted(durations)[max(1, math.ceil(share * len(durations))) - 1]
    assert counted(durations).percentile(share) == pytest.approx(exact, rel=ERROR)


@given(DURATIONS, DURATIONS)
def test_merging_counts_as_one_histogram_would_have(some: list[float], others: list[float]) -> None:
    assert counted(some).merged(counted(others)) == counted(some + others)


@given(DURATIONS, DURATIONS)
def test_a_difference_holds_what_was_counted_since(before: list[float], later: list[float]) -> None:
    histogram = counted(before)
    earlier = histogram.copy()
    for seconds in later:
        histogram.add(seconds)
    since, alone = histogram.since(earlier), counted(later)
    assert (since.counts, since.count) == (alone.counts, alone.count)
    assert since.longest == pytest.approx(alone.longest, rel=ERROR)


@given(st.lists(st.floats(0, 1e9)))
def test_its_size_is_fixed_and_its_longest_is_exact(durations: list[float]) -> None:
    histogram = counted(durations)
    assert len(histogram.counts) == BUCKETS < 1300
    assert (histogram.count, histogram.longest) == (len(durations), max(durations, default=0.0))
    assert all(histogram.percentile(share) <= histogram.longest for share in SHARES)


def test_nothing_counted_has_no_percentiles() -> None:
    assert [Histogram().percentile(share) for share in SHARES] == [0.0] * len(SHARES)
