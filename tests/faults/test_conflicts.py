"""Transactions in each other's way, and a database that only reads: the service's trouble, never the client's."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from uuid import UUID

import httpx
import pytest

from tests.faults.postgresql import WAITING_FOR_A_LOCK, WatchedDatabase
from tests.faults.stage import RECORD, WRITES, check_unavailable, prepare, write
from tests.servers import wait_until

ROUNDS, CLIENTS, KEYS = 40, 8, 12
FIRST, SECOND = ({"uuid": str(UUID(int=number)), "text": "a"} for number in (1, 2))


@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
def test_transactions_that_cannot_be_serialized_never_fail_a_client(
    http: httpx.Client, database: WatchedDatabase, chance: Random, isolation: str
) -> None:
    records = [{"uuid": str(UUID(int=number)), "text": "a"} for number in range(KEYS)]

    def work(seed: int) -> list[tuple[str, int]]:
        own = Random(seed)
        answers = []
        for _ in range(ROUNDS):
            batch = own.sample(records, 6)
            answers += [("POST", http.post("/new", json=batch)), ("DELETE", http.delete(f"/{batch[0]['uuid']}"))]
        return [(method, answer.status_code) for method, answer in answers]

    with database.default("default_transaction_isolation", isolation), ThreadPoolExecutor(CLIENTS) as pool:
        runs = pool.map(work, [chance.randrange(2**32) for _ in range(CLIENTS)])
        seen = Counter(status for run in runs for status in run)
    print(seen)
    assert set(seen) <= {("POST", 200), ("POST", 201), ("POST", 503), ("DELETE", 200), ("DELETE", 404), ("DELETE", 503)}
    assert seen["POST", 201] > seen["POST", 503]


def test_a_deadlock_is_overcome(http: httpx.Client, database: WatchedDatabase) -> None:
    insert = "INSERT INTO records (uuid, text) VALUES ('{uuid}', '{text}')"
    with ThreadPoolExecutor(1) as pool:
        with database.session() as other:
            other.run(insert.format(**SECOND))
            answer = pool.submit(http.post, "/new", json=[FIRST, SECOND])
            database.wait_for_connection(WAITING_FOR_A_LOCK)
            other.run(insert.format(**FIRST))
        assert answer.result().status_code == 201, answer.result().text
    assert http.get("/all").json() == [FIRST, SECOND]


@pytest.mark.parametrize("method", WRITES)
def test_a_database_that_only_reads_is_unavailable_for_writes_and_goes_on_reading(
    http: httpx.Client, database: WatchedDatabase, method: str
) -> None:
    before = prepare(http, method)
    with database.default("default_transaction_read_only", "on"):
        wait_until(lambda: http.get("/1").is_success)
        check_unavailable(write(http, method), "not-saved")
        assert http.get("/all").json() == [RECORD] * before
        assert http.get("/10").json() == [RECORD] * before
    wait_until(lambda: http.get("/1").is_success)
    assert write(http, method).is_success
