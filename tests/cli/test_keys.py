"""The small values of the client: keys of a run, durations, ranges and batches."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from itertools import islice, pairwise
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvision_cli.adding import batches
from netvision_cli.client import Record
from netvision_cli.inputs import NewRecord
from netvision_cli.keys import BATCH_BITS, FIRST_SWARM, MAX_BATCH, RUN_BITS, SWARM_RUN_BITS, Run
from netvision_cli.storing import BATCH_CHARACTERS, BATCH_RECORDS
from netvision_cli.swarm.options import parse_range
from netvision_cli.units import parse_duration

TIMES = st.integers(0, 2**48 - 1)
TAGS = st.integers(0, 2**RUN_BITS - 1)
SWARM_TAGS = st.integers(0, 2**SWARM_RUN_BITS - 1)
RUNS = st.builds(Run.of, TIMES, TAGS)
BATCHES = st.integers(1, 2**BATCH_BITS - 1)
POSITIONS = st.integers(0, MAX_BATCH - 1)
PLACES = st.tuples(BATCHES, POSITIONS)


# --- keys


@given(RUNS, PLACES)
def test_a_key_has_its_place_in_its_run(run: Run, place: tuple[int, int]) -> None:
    assert run.place(run.key(*place)) == place


@given(RUNS, PLACES)
def test_a_key_is_a_uuid_of_version_7(run: Run, place: tuple[int, int]) -> None:
    key = run.key(*place)
    assert (key.version, key.variant) == (7, RFC_4122)


@given(TIMES, TAGS, PLACES)
def test_a_key_carries_the_time_of_its_run(milliseconds: int, tag: int, place: tuple[int, int]) -> None:
    assert Run.of(milliseconds, tag).key(*place).int >> 80 == milliseconds


@given(RUNS, PLACES, PLACES)
def test_keys_ascend_with_batch_and_position(run: Run, one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (run.key(*one) < run.key(*other)) == (one < other)


@given(RUNS, PLACES)
def test_keys_lie_between_the_floor_and_the_ceiling_of_their_run(run: Run, place: tuple[int, int]) -> None:
    assert run.floor < run.key(*place) <= run.ceiling


@given(RUNS, RUNS, PLACES)
def test_a_key_of_another_run_has_no_place(run: Run, other: Run, place: tuple[int, int]) -> None:
    assert (run.place(other.key(*place)) is None) == (run != other)


@given(RUNS, st.uuids())
def test_another_uuid_has_no_place_but_between_floor_and_ceiling(run: Run, key: UUID) -> None:
    assert (run.place(key) is not None) == (run.floor <= key <= run.ceiling)


@given(TIMES, SWARM_TAGS, PLACES)
def test_the_key_of_a_swarm_is_a_marked_uuid_of_version_8_that_leads_to_its_run(
    milliseconds: int, tag: int, place: tuple[int, int]
) -> None:
    run = Run.of_swarm(milliseconds, tag)
    key = run.key(*place)
    assert (key.version, key.variant, str(key)[14:17]) == (8, RFC_4122, "85a")
    assert (run.place(key), run.milliseconds) == (place, milliseconds)
    assert Run.of_swarm_key(key) == (run if key > FIRST_SWARM else None)


@given(st.one_of(st.builds(Run.key, RUNS, BATCHES, POSITIONS), st.uuids(version=4)))
def test_a_key_from_elsewhere_leads_to_no_swarm(key: UUID) -> None:
    assert Run.of_swarm_key(key) is None


def test_a_run_begins_now_and_is_not_another() -> None:
    before = time.time_ns() // 1_000_000
    runs = {start() for start in (Run.start, Run.start_swarm) for _ in range(25)}
    after = time.time_ns() // 1_000_000
    assert len(runs) == 50
    assert all(before <= run.floor.int >> 80 <= after for run in runs)


def test_the_keys_of_a_run_ascend_across_batches() -> None:
    run = Run.start()
    keys = list(islice(run.keys(), 2 * MAX_BATCH + 5))
    assert all(one < other for one, other in pairwise([run.floor, *keys, run.ceiling]))
    assert all(run.place(key) for key in keys[:: MAX_BATCH // 2])


# --- durations and ranges


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("10m", 600), ("2h", 7200), ("1.5s", 1.5), ("0s", 0), (" 1 S ", 1), ("30", 30)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "+1s", "1d", "1e3s", "1.s", ".5s", "1s 2s", "soon", "nan", "inf", "٣s", "1_0s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "bounds"), [("10:100", (10, 100)), ("50", (50, 50)), ("1:1", (1, 1)), (f"1:{MAX_BATCH}", (1, MAX_BATCH))]
)
def test_a_range_is_read(text: str, bounds: tuple[int, int]) -> None:
    assert parse_range(text) == bounds
    assert parse_range(parse_range(text)) == bounds


@pytest.mark.parametrize(
    "text", ["", ":", "10:", ":10", "0:5", "0", "9:3", "a:b", "1:2:3", "-1:5", "1.5", f"1:{MAX_BATCH + 1}", "٣:٤"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a range such as"):
        parse_range(text)


# --- batches


def batched(records: Iterable[NewRecord], *, is_first_enough: bool = False) -> list[list[Record]]:
    """Return the batches of records, or the first of them."""

    async def take() -> list[list[Record]]:
        async with aclosing(batches(records)) as read:
            return [await anext(read)] if is_first_enough else [batch async for batch in read]

    return asyncio.run(take())


@given(st.lists(st.integers(0, BATCH_CHARACTERS // 2 + 10), max_size=20))
def test_batches_keep_the_order_and_their_bounds_in_characters(sizes: list[int]) -> None:
    texts = ["x" * size for size in sizes]
    made = batched(NewRecord(text) for text in texts)
    assert [record.text for batch in made for record in batch] == texts
    assert all(batch for batch in made)
    assert all(len(batch) == 1 or sum(len(record.text) for record in batch) <= BATCH_CHARACTERS for batch in made)


@pytest.mark.parametrize("count", [0, 1, BATCH_RECORDS, BATCH_RECORDS + 1, 3 * BATCH_RECORDS + 7])
def test_batches_are_bounded_and_as_few_as_can_be(count: int) -> None:
    made = batched(NewRecord(str(number)) for number in range(count))
    assert [len(batch) for batch in made[:-1]] == [BATCH_RECORDS] * (len(made) - 1)
    assert sum(map(len, made)) == count
    keys = [record.uuid for batch in made for record in batch]
    assert keys == sorted(set(keys))


def test_a_given_uuid_is_kept_beside_those_that_are_made() -> None:
    given_key = UUID(int=1)
    ((first, second, third),) = batched([NewRecord("a"), NewRecord("b", given_key), NewRecord("c")])
    assert second.uuid == given_key
    assert first.uuid < third.uuid
    assert {first.uuid.version, third.uuid.version} == {7}


def test_batches_are_made_on_demand() -> None:
    read = 0

    def endless() -> Iterator[NewRecord]:
        nonlocal read
        while True:
            read += 1
            yield NewRecord("x")

    batched(endless(), is_first_enough=True)
    assert read <= 2 * BATCH_RECORDS + 1
