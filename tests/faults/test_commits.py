"""What a client is told when a COMMIT fails, or when nobody knows whether it did: never a lie."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from uuid import UUID

import httpx
import pytest

from tests.faults.postgresql import ASLEEP, WatchedDatabase
from tests.faults.proxy import Direction, Proxy
from tests.faults.stage import KEY, RECORD, WRITES, Stage, check_unavailable, prepare, write
from tests.servers import wait_until

CUTS = 30
NEAREST = 300
FARTHEST = {Direction.TO_SERVER: 1500, Direction.TO_CLIENT: 2500}
"""Bytes within which a request is served, on a connection that is there, and on one that has to be made."""

REFUSALS = ["raise_exception", "unique_violation", "check_violation", "serialization_failure"]


@pytest.mark.parametrize("method", WRITES)
def test_a_connection_lost_during_commit_leaves_the_outcome_unknown(
    http: httpx.Client, database: WatchedDatabase, wire: Proxy, method: str
) -> None:
    before = prepare(http, method)
    with database.at_commit("PERFORM pg_sleep(1)"), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(write, http, method)
        database.wait_for_connection(ASLEEP)
        wire.cut()
        check_unavailable(answer.result(), "unknown")
        wait_until(lambda: database.count() == 1 - before)
    assert write(http, method).status_code == (200 if method == "POST" else 404)


@pytest.mark.parametrize("method", WRITES)
def test_a_database_that_cannot_be_reached_has_saved_nothing(
    http: httpx.Client, database: WatchedDatabase, wire: Proxy, method: str
) -> None:
    before = prepare(http, method)
    wire.refuse()
    wire.cut()
    check_unavailable(write(http, method), "not-saved")
    assert database.count() == before
    wire.heal()
    wait_until(lambda: write(http, method).is_success)
    assert database.count() == 1 - before


def test_the_outcome_agrees_with_the_database_at_any_byte_where_a_connection_is_cut(
    http: httpx.Client, database: WatchedDatabase, wire: Proxy, stage: Stage, chance: Random
) -> None:
    outcomes = Counter[str]()
    for method in WRITES * CUTS:
        before = prepare(http, method)
        direction, has_to_connect = chance.choice(list(Direction)), chance.random() < 0.5
        if has_to_connect:
            wire.cut()
        wire.cut_after(chance.randrange(FARTHEST[direction] if has_to_connect else NEAREST), direction)
        answer = write(http, method)
        wire.heal()
        wait_until(lambda: not database.connections("state <> 'idle'"))
        if answer.is_success:
            outcomes["saved"] += 1
            assert database.count() == 1 - before
        else:
            check_unavailable(answer, "not-saved", "unknown")
            outcomes[answer.json()["outcome"]] += 1
            assert answer.json()["outcome"] == "unknown" or database.count() == before
        wait_until(stage.is_ready)
        database.wipe()
    print(outcomes)
    assert outcomes["unknown"]


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_commit_that_fails_is_unavailability_and_saves_nothing(
    http: httpx.Client, database: WatchedDatabase, reason: str
) -> None:
    others = [{"uuid": str(UUID(int=number)), "text": "b"} for number in range(100, 105)]
    http.post("/new", json=others).raise_for_status()
    with database.at_commit(f"RAISE EXCEPTION 'planted' USING ERRCODE = '{reason}'"), ThreadPoolExecutor(8) as pool:
        stores = [pool.submit(http.post, "/new", json=[RECORD, {"text": "c"}]) for _ in range(4)]
        removals = [pool.submit(http.delete, f"/{record['uuid']}") for record in others]
        for answer in stores + removals:
            check_unavailable(answer.result(), "not-saved")
        assert http.get("/all").json() == others
        assert http.get("/10").json() == others
    assert write(http, "POST").status_code == 201
    assert http.delete(f"/{others[0]['uuid']}").json() == others[0]
    assert http.get(f"/{KEY}").json() == RECORD
