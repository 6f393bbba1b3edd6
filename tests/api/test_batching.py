"""Natural batching: what waits together travels together, and nothing else changes for a request."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.exc import DBAPIError

from netvision_api.batching import TRIES, Batcher, Work
from netvision_api.problems import Problem

pytestmark = pytest.mark.anyio

MOST = 5


class RefusedError(Exception):
    """What a driver says of a row that a trigger refuses."""

    sqlstate = "P0001"


class DeadlockError(Exception):
    """What a driver says of a row that two transactions want."""

    sqlstate = "40P01"


class Bench:
    """Work that notes its batches, and goes on when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.alone: list[int] = []
        self.connections = 0
        self.are_wanted = False
        self.began = asyncio.Event()
        self.may_go = asyncio.Event()
        self.fails: Callable[[int], Exception | None] = lambda _key: None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[None]:
        self.connections += 1
        yield

    async def together(self, _source: None, keys: Sequence[int]) -> list[int]:
        self.batches.append(list(keys))
        self.began.set()
        await self.may_go.wait()
        return [self.result(key) for key in keys]

    async def by_itself(self, key: int) -> int:
        self.alone.append(key)
        return self.result(key)

    def result(self, key: int) -> int:
        if error := self.fails(key):
            raise error
        return 10 * key

    def batcher(self, patience: float = 10, lanes: int = 1) -> Batcher[None, int, int]:
        work = Work(self.connect, self.together, lambda: self.are_wanted, MOST, alone=self.by_itself)
        return Batcher(work, patience=patience, lanes=lanes)


async def submitted(batcher: Batcher[None, int, int], *keys: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(key)) for key in keys]
    await asyncio.sleep(0.01)
    return tasks


async def test_what_arrives_during_a_statement_goes_with_the_next() -> None:
    bench = Bench()
    batcher = bench.batcher()
    first = await submitted(batcher, 1)
    rest = await submitted(batcher, 2, 3, 2)
    bench.may_go.set()
    assert await asyncio.gather(*first, *rest) == [10, 20, 30, 20]
    assert bench.batches == [[1], [2, 3, 2]]


async def test_a_batch_has_a_bound() -> None:
    bench = Bench()
    tasks = await submitted(bench.batcher(), *range(MOST * 2 + 1))
    bench.may_go.set()
    await asyncio.gather(*tasks)
    assert [len(batch) for batch in bench.batches] == [MOST, MOST, 1]


async def test_a_key_heavier_than_the_bound_travels_alone() -> None:
    bench = Bench()
    work = Work(bench.connect, bench.together, lambda: False, MOST, weigh=lambda key: key)
    batcher = Batcher(work, patience=10)
    bench.may_go.set()
    await asyncio.gather(*(batcher.submit(key) for key in (1, MOST + 1, 2, 3)))
    assert bench.batches == [[1], [MOST + 1], [2, 3]]


async def test_a_connection_is_kept_while_keys_come_and_nobody_else_wants_it() -> None:
    bench = Bench()
    tasks = await submitted(bench.batcher(), *range(MOST * 3))
    bench.may_go.set()
    await asyncio.gather(*tasks)
    assert bench.connections == 1


async def test_a_connection_that_others_want_is_given_up_after_each_statement() -> None:
    bench = Bench()
    bench.are_wanted = True
    tasks = await submitted(bench.batcher(), *range(MOST * 3))
    bench.may_go.set()
    await asyncio.gather(*tasks)
    assert bench.connections == len(bench.batches) == 3


async def test_the_failure_of_one_does_not_touch_the_others() -> None:
    bench = Bench()
    bench.fails = lambda key: DBAPIError("", {}, RefusedError()) if key == 2 else None
    tasks = await submitted(bench.batcher(), 0, 1, 2, 3)
    bench.may_go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [0, 10, 30]
    assert isinstance(results[2], DBAPIError)
    assert sorted(bench.alone) == [0, 1, 2, 3]


async def test_work_that_others_were_in_the_way_of_is_done_again_a_few_times() -> None:
    bench = Bench()
    bench.fails = lambda _key: DBAPIError("", {}, DeadlockError())
    tasks = await submitted(bench.batcher(), 7)
    bench.may_go.set()
    with pytest.raises(DBAPIError):
        await tasks[0]
    assert bench.alone == [7] * TRIES


async def test_work_succeeds_once_nobody_is_in_its_way() -> None:
    bench = Bench()
    bench.fails = lambda _key: DBAPIError("", {}, DeadlockError()) if len(bench.alone) < TRIES - 1 else None
    tasks = await submitted(bench.batcher(), 7)
    bench.may_go.set()
    assert await tasks[0] == 70


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError("planted"), DBAPIError("", {}, Exception("planted")), RuntimeError("planted")],
    ids=lambda error: type(error).__name__,
)
async def test_what_concerns_everyone_is_told_to_everyone_and_not_tried_again(error: Exception) -> None:
    bench = Bench()
    bench.fails = lambda _key: error
    tasks = await submitted(bench.batcher(), 0, 1, 2)
    bench.may_go.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [error] * 3
    assert bench.alone == []


async def test_who_leaves_while_waiting_is_left_out() -> None:
    bench = Bench()
    batcher = bench.batcher()
    first = await submitted(batcher, 1)
    leaving, staying = await submitted(batcher, 2, 3)
    leaving.cancel()
    bench.may_go.set()
    assert await asyncio.gather(*first, staying) == [10, 30]
    assert bench.batches == [[1], [3]]


async def test_who_waits_too_long_is_told_that_nothing_was_saved() -> None:
    bench = Bench()
    batcher = bench.batcher(patience=0.05)
    first = await submitted(batcher, 1)
    (late,) = await submitted(batcher, 2)
    with pytest.raises(Problem) as caught:
        await late
    assert caught.value.outcome == "not-saved"
    bench.may_go.set()
    assert await asyncio.gather(*first) == [10]
    assert bench.batches == [[1]]


async def test_a_slow_statement_is_passed_by_on_another_lane() -> None:
    bench = Bench()
    batcher = bench.batcher(lanes=2)
    tasks = [asyncio.create_task(batcher.submit(1))]
    await bench.began.wait()
    tasks.append(asyncio.create_task(batcher.submit(2)))
    await asyncio.sleep(0.1)
    assert bench.batches == [[1], [2]]
    bench.may_go.set()
    assert await asyncio.gather(*tasks) == [10, 20]


async def test_what_comes_while_a_statement_is_already_slow_does_not_wait_for_it() -> None:
    bench = Bench()
    batcher = bench.batcher(lanes=2)
    tasks = await submitted(batcher, 1)
    await asyncio.sleep(0.05)
    tasks += await submitted(batcher, 2)
    assert bench.batches == [[1], [2]]
    bench.may_go.set()
    assert await asyncio.gather(*tasks) == [10, 20]


async def test_the_lane_opens_again_after_it_was_empty() -> None:
    bench = Bench()
    bench.may_go.set()
    batcher = bench.batcher()
    assert [await batcher.submit(key) for key in (1, 2)] == [10, 20]


async def test_the_lane_opens_again_after_a_failure() -> None:
    bench = Bench()
    bench.may_go.set()
    batcher = bench.batcher()
    bench.fails = lambda key: OSError() if key == 1 else None
    with pytest.raises(OSError):  # noqa: PT011 - planted
        await batcher.submit(1)
    assert await batcher.submit(2) == 20


async def test_no_key_is_lost_or_served_twice_among_many_that_come_and_leave() -> None:
    bench = Bench()
    bench.may_go.set()
    batcher = bench.batcher(lanes=2)

    async def come(key: int) -> int:
        await asyncio.sleep(key % 7 / 1000)
        return await batcher.submit(key)

    tasks = [asyncio.create_task(come(key)) for key in range(500)]
    await asyncio.sleep(0.004)
    for task in tasks[::5]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    answered = [key for key, result in enumerate(results) if result == 10 * key]
    assert len(answered) >= 400
    served = [key for batch in bench.batches for key in batch]
    assert len(served) == len(set(served))
    assert set(answered) <= set(served)
