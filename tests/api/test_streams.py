"""Streams hold nothing, leak nothing, and never end early in a way that looks whole."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.databases import AnyDatabase

TEXT = "x" * 10_000
RECORDS = 2_000


@pytest.fixture
def heavy(http: httpx.Client) -> httpx.Client:
    """A service with some twenty megabytes of records: more than sockets and buffers hold."""
    for _ in range(RECORDS // 500):
        http.post("/new", json=[{"text": TEXT}] * 500).raise_for_status()
    return http


@contextmanager
def table_away(database: AnyDatabase) -> Iterator[None]:
    """Take the table away for a while: every statement fails."""
    database.execute("ALTER TABLE records RENAME TO hidden")
    try:
        yield
    finally:
        database.execute("ALTER TABLE hidden RENAME TO records")


def test_a_stream_whose_later_page_fails_is_aborted(heavy: httpx.Client, database: AnyDatabase) -> None:
    with heavy.stream("GET", "/all") as answer:
        chunks = answer.iter_raw()
        next(chunks)
        with table_away(database), pytest.raises(httpx.RemoteProtocolError):
            for _ in chunks:
                pass


def test_a_stream_whose_first_page_fails_is_an_error(http: httpx.Client, database: AnyDatabase) -> None:
    with table_away(database):
        assert http.get("/all").status_code >= 500
    assert http.get("/all").json() == []


def test_readers_who_leave_or_stall_hold_no_connection(heavy: httpx.Client) -> None:
    with httpx.Client(base_url=heavy.base_url, timeout=30, trust_env=False) as others:
        for _ in range(20):
            with others.stream("GET", "/all") as answer:
                next(answer.iter_raw())
        stalled = [others.send(others.build_request("GET", "/all"), stream=True) for _ in range(20)]
        assert [heavy.get("/1").status_code for _ in range(20)] == [200] * 20
        for answer in stalled:
            answer.close()


def test_the_whole_stream_arrives(heavy: httpx.Client) -> None:
    with heavy.stream("GET", "/all", headers={"Accept": "application/x-ndjson"}) as answer:
        assert sum(1 for _ in answer.iter_lines()) == RECORDS
