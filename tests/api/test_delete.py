"""DELETE /{uuid}: exactly one of any number of callers deletes a record."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from tests.databases import AnyDatabase

CALLERS = 24


def test_delete_returns_the_record_and_deletes_only_that(http: httpx.Client, database: AnyDatabase) -> None:
    stored = http.post("/new", json=[{"text": "a"}, {"text": 'b,"\n\u2028\U0001f600'}, {"text": "c"}]).json()
    answer = http.delete(f"/{stored[1]['uuid']}")
    assert (answer.status_code, answer.json(), database.count()) == (200, stored[1], 2)
    assert http.get("/5").json() == [stored[0], stored[2]]


def test_a_deleted_record_is_gone(http: httpx.Client) -> None:
    key = http.post("/new", json={"text": "a"}).json()["uuid"]
    http.delete(f"/{key}")
    for answer in (http.delete(f"/{key}"), http.get(f"/{key}")):
        problem = answer.json()
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["type"] == "urn:netvision:problem:record-not-found"
        assert key in problem["detail"]


def test_a_uuid_that_was_never_stored_is_not_found(http: httpx.Client, database: AnyDatabase) -> None:
    http.post("/new", json={"text": "a"})
    key = uuid4()
    answer = http.delete(f"/{key.hex.upper()}")
    assert (answer.status_code, database.count()) == (404, 1)
    assert str(key) in answer.json()["detail"]


def test_a_deleted_uuid_can_be_stored_again_with_another_text(http: httpx.Client) -> None:
    record = http.post("/new", json={"text": "a"}).json()
    http.delete(f"/{record['uuid']}")
    answer = http.post("/new", json={**record, "text": "b"})
    assert (answer.status_code, answer.json()) == (201, {**record, "text": "b"})


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("application/x-ndjson", '{{"uuid":"{key}","text":"a,b"}}\n'),
        ("text/csv", 'uuid,text\r\n{key},"a,b"\r\n'),
        ("image/png", '{{"uuid":"{key}","text":"a,b"}}'),
    ],
)
def test_the_deleted_record_has_the_requested_format(http: httpx.Client, accept: str, body: str) -> None:
    key = http.post("/new", json={"text": "a,b"}).json()["uuid"]
    assert http.delete(f"/{key}", headers={"Accept": accept}).text == body.format(key=key)


def test_of_concurrent_deletes_exactly_one_succeeds(service: str, database: AnyDatabase) -> None:
    limits = httpx.Limits(max_connections=CALLERS, max_keepalive_connections=CALLERS)
    with (
        httpx.Client(base_url=service, timeout=30, trust_env=False, verify=False, limits=limits) as http,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        for _ in range(6):
            record = http.post("/new", json={"text": "a"}).json()
            together = threading.Barrier(CALLERS)

            def delete(
                _: int, path: str = f"/{record['uuid']}", barrier: threading.Barrier = together
            ) -> httpx.Response:
                barrier.wait()
                return http.delete(path)

            answers = list(pool.map(delete, range(CALLERS)))
            assert sorted(answer.status_code for answer in answers) == [200] + [404] * (CALLERS - 1)
            assert [answer.json() for answer in answers if answer.status_code == 200] == [record]
            assert database.count() == 0


def test_concurrent_deletes_of_many_records_take_each_once(service: str, database: AnyDatabase) -> None:
    keys = [record["uuid"] for record in httpx.post(f"{service}/new", json=[{"text": "a"}] * 60).json()]
    with (
        httpx.Client(base_url=service, timeout=30, trust_env=False, verify=False) as http,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(http.delete, [f"/{key}" for key in keys * 3]))
    deleted = [answer.json()["uuid"] for answer in answers if answer.status_code == 200]
    assert sorted(deleted) == keys
    assert len([answer for answer in answers if answer.status_code == 404]) == 120
    assert database.count() == 0
