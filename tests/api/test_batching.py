"""Natural batching: keys that wait at the same time share a statement, and nothing else changes for a request."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
from sqlalchemy.exc import DBAPIError

from netvision_api.storage.batching import MAX_ATTEMPTS, Batcher, BatchOperation
from netvision_api.storage.errors import NoConnectionError

pytestmark = pytest.mark.anyio

MAX_BATCH_SIZE = 5


class RefusedError(Exception):
    """A driver's error for a row that a trigger refuses."""

    sqlstate = "P0001"


class DeadlockError(Exception):
    """A driver's error for a row that two transactions want."""

    sqlstate = "40P01"


class Bench:
    """An operation that records its batches, and continues when a test lets it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.connections = 0
        self.is_contended = False
        self.began = asyncio.Event()
        self.may_go = asyncio.Event()
        self.fails: Callable[[int], Exception | None] = lambda _key: None

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        self.connections += 1
        yield

    async def execute(self, _connection: None, keys: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(keys))
        self.began.set()
        await self.may_go.wait()
        return [self.result(key) for key in keys]

    def result(self, key: int) -> int:
        if error := self.fails(key):
            raise error
        return 10 * key

    def batcher(self, timeout: float = 10, max_concurrency: int = 1) -> Batcher[None, int, int]:
        operation = BatchOperation(self.acquire, self.execute, lambda: self.is_contended, MAX_BATCH_SIZE)
        return Batcher(operation, timeout=timeout, max_concurrency=max_concurrency)


async def submitted(batcher: Batcher[None, int, int], *keys: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(key)) for key in keys]
    await asyncio.sleep(0.01)
    return tasks


async def test_keys_that_arrive_during_a_statement_share_the_next() -> None:
    bench = Bench()
    batcher = bench.batcher()
    first = await submitted(batcher, 1)
    rest = await submitted(batcher, 2, 3, 2)
    bench.may_go.set()
    assert await asyncio.gather(*first, *rest) == [10, 20, 30, 20]
    assert bench.batches == [[1], [2, 3, 2]]


async def test_a_batch_has_a_bound() -> None:
    bench = Bench()
    tasks = await submitted(bench.batcher(), *range(MAX_BATCH_SIZE * 2 + 1))
    bench.may_go.set()
    await asyncio.gather(*tasks)
    assert [len(batch) for batch in bench.batches] == [MAX_BATCH_SIZE, MAX_BATCH_SIZE, 1]


async def test_a_key_larger_than_the_bound_is_a_batch_of_its_own() -> None:
    bench = Bench()
    operation = BatchOperation(bench.acquire, bench.execute, lambda: False, MAX_BATCH_SIZE, size_of=lambda key: key)
    batcher = Batcher(operation, timeout=10)
    bench.may_go.set()
    await asyncio.gather(*(batcher.submit(key) for key in (1, MAX_BATCH_SIZE + 1, 2, 3)))
    assert bench.batches == [[1], [MAX_BATCH_SIZE + 1], [2, 3]]


async def test_a_connection_is_kept_while_keys_arrive_and_nobody_else_waits_for_it() -> None:
    bench = Bench()
    tasks = await submitted(bench.batcher(), *range(MAX_BATCH_SIZE * 3))
    bench.may_go.set()
    await asyncio.gather(*tasks)
    assert bench.connections == 1


async def test_a_contended_connection_is_released_after_each_statement() -> None:
    bench = Bench()
    bench.is_contended = True
    tasks = await submitted(bench.batcher(), *range(MAX_BATCH_SIZE * 3))
    bench.may_go.set()
    await asyncio.gather(*tasks)
    assert bench.connections == len(bench.batches) == 3


async def test_a_key_whose_result_is_an_exception_leaves_the_others_alone() -> None:
    bench = Bench()
    conflict = RefusedError()
    operation = BatchOperation(bench.acquire, partial(refuse_even, conflict), lambda: False, MAX_BATCH_SIZE)
    batcher = Batcher(operation, timeout=10)
    results = await asyncio.gather(*map(batcher.submit, (1, 2, 3)), return_exceptions=True)
    assert results == [1, conflict, 3]
    assert bench.connections == 1


async def refuse_even(refusal: Exception, _connection: None, keys: Sequence[int]) -> list[int | Exception]:
    return [key if key % 2 else refusal for key in keys]


async def test_the_failure_of_one_key_does_not_fail_the_others() -> None:
    bench = Bench()
    bench.fails = lambda key: DBAPIError("", {}, RefusedError()) if key == 2 else None
    tasks = await submitted(bench.batcher(), 0, 1, 2, 3)
    bench.may_go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [0, 10, 30]
    assert isinstance(results[2], DBAPIError)
    assert sorted(bench.batches) == [[0], [0, 1, 2, 3], [1], [2], [3]]


async def test_keys_in_the_way_of_other_transactions_are_retried_together() -> None:
    bench = Bench()
    bench.fails = lambda _key: DBAPIError("", {}, DeadlockError()) if len(bench.batches) < MAX_ATTEMPTS else None
    tasks = await submitted(bench.batcher(), 0, 1, 2)
    bench.may_go.set()
    assert await asyncio.gather(*tasks) == [0, 10, 20]
    assert bench.batches == [[0, 1, 2]] * MAX_ATTEMPTS


async def test_a_key_that_stays_in_the_way_fails_alone_after_a_few_attempts() -> None:
    bench = Bench()
    bench.fails = lambda key: DBAPIError("", {}, DeadlockError()) if key == 7 else None
    tasks = await submitted(bench.batcher(), 7, 8)
    bench.may_go.set()
    with pytest.raises(DBAPIError):
        await tasks[0]
    assert await tasks[1] == 80
    assert bench.batches.count([7, 8]) == bench.batches.count([7]) == MAX_ATTEMPTS


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError("planted"), DBAPIError("", {}, Exception("planted")), RuntimeError("planted")],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_that_affects_the_whole_batch_fails_all_of_it_without_a_retry(error: Exception) -> None:
    bench = Bench()
    bench.fails = lambda _key: error
    tasks = await submitted(bench.batcher(), 0, 1, 2)
    bench.may_go.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [error] * 3
    assert bench.batches == [[0, 1, 2]]


async def test_a_request_that_is_cancelled_while_it_waits_is_left_out() -> None:
    bench = Bench()
    batcher = bench.batcher()
    first = await submitted(batcher, 1)
    leaving, staying = await submitted(batcher, 2, 3)
    leaving.cancel()
    bench.may_go.set()
    assert await asyncio.gather(*first, staying) == [10, 30]
    assert bench.batches == [[1], [3]]


async def test_a_request_that_waits_too_long_gets_no_connection() -> None:
    bench = Bench()
    batcher = bench.batcher(timeout=0.05)
    first = await submitted(batcher, 1)
    (late,) = await submitted(batcher, 2)
    with pytest.raises(NoConnectionError, match=r"within 0\.05 s"):
        await late
    bench.may_go.set()
    assert await asyncio.gather(*first) == [10]
    assert bench.batches == [[1]]


async def test_another_worker_starts_beside_a_slow_statement() -> None:
    bench = Bench()
    batcher = bench.batcher(max_concurrency=2)
    tasks = [asyncio.create_task(batcher.submit(1))]
    await bench.began.wait()
    tasks.append(asyncio.create_task(batcher.submit(2)))
    await asyncio.sleep(0.1)
    assert bench.batches == [[1], [2]]
    bench.may_go.set()
    assert await asyncio.gather(*tasks) == [10, 20]


async def test_a_key_that_arrives_while_a_statement_is_slow_does_not_wait_for_it() -> None:
    bench = Bench()
    batcher = bench.batcher(max_concurrency=2)
    tasks = await submitted(batcher, 1)
    await asyncio.sleep(0.05)
    tasks += await submitted(batcher, 2)
    assert bench.batches == [[1], [2]]
    bench.may_go.set()
    assert await asyncio.gather(*tasks) == [10, 20]


async def test_a_worker_starts_again_after_the_queue_was_empty() -> None:
    bench = Bench()
    bench.may_go.set()
    batcher = bench.batcher()
    assert [await batcher.submit(key) for key in (1, 2)] == [10, 20]


async def test_a_worker_starts_again_after_a_failure() -> None:
    bench = Bench()
    bench.may_go.set()
    batcher = bench.batcher()
    bench.fails = lambda key: OSError() if key == 1 else None
    with pytest.raises(OSError):  # noqa: PT011 - planted
        await batcher.submit(1)
    assert await batcher.submit(2) == 20


async def test_no_key_is_lost_or_executed_twice_among_many_that_arrive_and_are_cancelled() -> None:
    bench = Bench()
    bench.may_go.set()
    batcher = bench.batcher(max_concurrency=2)

    async def arrive(key: int) -> int:
        await asyncio.sleep(key % 7 / 1000)
        return await batcher.submit(key)

    tasks = [asyncio.create_task(arrive(key)) for key in range(500)]
    await asyncio.sleep(0.004)
    for task in tasks[::5]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    succeeded = [key for key, result in enumerate(results) if result == 10 * key]
    assert len(succeeded) >= 400
    executed = [key for batch in bench.batches for key in batch]
    assert len(executed) == len(set(executed))
    assert set(succeeded) <= set(executed)
