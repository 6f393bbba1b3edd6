"""Natural batching: what waits together travels together, and nothing else changes for a request."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy.exc import DBAPIError

from netvision_api.batching import LARGEST_BATCH, Batcher
from netvision_api.problems import Problem

pytestmark = pytest.mark.anyio


class Lane:
    """Work that notes its batches, and goes on when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go = asyncio.Event()
        self.fails: Callable[[int], Exception | None] = lambda _key: None

    async def work(self, keys: Sequence[int]) -> list[int]:
        self.batches.append(list(keys))
        await self.may_go.wait()
        for key in keys:
            if error := self.fails(key):
                raise error
        return [10 * key for key in keys]


class DeadlockError(Exception):
    """What a driver says of a row that two transactions want."""

    sqlstate = "40P01"


async def submitted(batcher: Batcher[int, int], *keys: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(key)) for key in keys]
    await asyncio.sleep(0.01)
    return tasks


async def test_what_arrives_during_a_statement_goes_with_the_next() -> None:
    lane = Lane()
    batcher = Batcher(lane.work, patience=10)
    first = await submitted(batcher, 1)
    rest = await submitted(batcher, 2, 3, 2)
    lane.may_go.set()
    assert await asyncio.gather(*first, *rest) == [10, 20, 30, 20]
    assert lane.batches == [[1], [2, 3, 2]]


async def test_a_batch_has_a_bound() -> None:
    lane = Lane()
    batcher = Batcher(lane.work, patience=10)
    tasks = await submitted(batcher, *range(LARGEST_BATCH * 2 + 1))
    lane.may_go.set()
    await asyncio.gather(*tasks)
    assert max(map(len, lane.batches)) == LARGEST_BATCH


async def test_the_failure_of_one_does_not_touch_the_others() -> None:
    lane = Lane()
    lane.fails = lambda key: DBAPIError("", {}, DeadlockError()) if key == 2 else None
    batcher = Batcher(lane.work, patience=10)
    tasks = await submitted(batcher, 0, 1, 2, 3)
    lane.may_go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [0, 10, 30]
    assert isinstance(results[2], DBAPIError)


async def test_a_database_that_does_not_work_is_asked_once() -> None:
    lane = Lane()
    busy = DBAPIError("", {}, Exception("database is locked"))
    lane.fails = lambda _key: busy
    batcher = Batcher(lane.work, patience=10)
    tasks = [*await submitted(batcher, 0), *await submitted(batcher, 1, 2)]
    lane.may_go.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [busy] * 3
    assert lane.batches == [[0], [1, 2]]


async def test_an_unknown_outcome_is_not_tried_again() -> None:
    lane = Lane()
    unknown = ConnectionResetError("planted")
    lane.fails = lambda _key: unknown
    batcher = Batcher(lane.work, patience=10)
    tasks = [*await submitted(batcher, 0), *await submitted(batcher, 1, 2)]
    lane.may_go.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [unknown] * 3
    assert lane.batches == [[0], [1, 2]]


async def test_who_leaves_while_waiting_is_left_out() -> None:
    lane = Lane()
    batcher = Batcher(lane.work, patience=10)
    first = await submitted(batcher, 1)
    leaving, staying = await submitted(batcher, 2, 3)
    leaving.cancel()
    lane.may_go.set()
    assert await asyncio.gather(*first, staying) == [10, 30]
    assert lane.batches == [[1], [3]]


async def test_who_waits_too_long_is_told_that_nothing_was_saved() -> None:
    lane = Lane()
    batcher = Batcher(lane.work, patience=0.05)
    first = await submitted(batcher, 1)
    (late,) = await submitted(batcher, 2)
    with pytest.raises(Problem) as caught:
        await late
    assert caught.value.outcome == "not-saved"
    lane.may_go.set()
    assert await asyncio.gather(*first) == [10]
    assert lane.batches == [[1]]


async def test_the_lane_opens_again_after_it_was_empty() -> None:
    lane = Lane()
    lane.may_go.set()
    batcher = Batcher(lane.work, patience=10)
    assert [await batcher.submit(key) for key in (1, 2)] == [10, 20]
