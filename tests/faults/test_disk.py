"""SQLite on a disk that is full: writes are told so, reads go on, and writes come back when there is room.

The disk is full by a bound on the size of files that the operating system sets the running process, or by one on the
pages that SQLite may use.
"""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.databases import SqliteDatabase
from tests.faults.stage import KEY, PATIENTLY, RECORD, WRITES, check_unavailable, prepare, write
from tests.servers import ServerProcess, served, server_process

LARGE = [{"text": "x" * 100_000}]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A service on an SQLite file."""
    with server_process(NETVISION_DATABASE_URL=f"sqlite:///{tmp_path / 'records.db'}") as process:
        process.url()
        yield process
        assert "Traceback" not in process.said


@pytest.fixture
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    """A plain HTTP client of that service."""
    with httpx.Client(base_url=server.url(), timeout=30, trust_env=False, verify=False) as client:
        yield client


@contextmanager
def full_disk(server: ServerProcess, folder: Path) -> Iterator[None]:
    """Let no file of the database grow."""
    pid, unbounded = server.process.pid, resource.RLIM_INFINITY
    size = min(path.stat().st_size for path in folder.glob("records.db-wal"))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, unbounded))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (unbounded, unbounded))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="this system bounds only processes before they start")
@pytest.mark.parametrize("method", WRITES)
def test_a_full_disk_rejects_writes_keeps_reading_and_recovers(
    server: ServerProcess, http: httpx.Client, tmp_path: Path, method: str
) -> None:
    before = prepare(http, method)
    kept = http.post("/new", json=[{"text": "kept"}]).json()
    with full_disk(server, tmp_path):
        for _ in range(5):
            check_unavailable(http.post("/new", json=LARGE), "not-saved")
            check_unavailable(write(http, method), "not-saved")
            assert http.get("/all").json() == [RECORD] * before + kept
        assert http.get("/health/live").status_code == 200
    assert http.post("/new", json=LARGE).status_code == 201
    assert write(http, method).is_success
    assert SqliteDatabase(tmp_path / "records.db").count() == 3 - before


def test_a_file_that_somebody_else_locks_is_unavailable_until_it_is_free(http: httpx.Client, tmp_path: Path) -> None:
    write(http, "POST").raise_for_status()
    with closing(sqlite3.connect(tmp_path / "records.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for method in WRITES:
            http.timeout = httpx.Timeout(PATIENTLY)
            check_unavailable(write(http, method), "not-saved")
        assert http.get(f"/{KEY}").json() == RECORD
    assert http.delete(f"/{KEY}").json() == RECORD


@contextmanager
def bounded_databases(pages: int) -> Iterator[None]:
    """Let no SQLite database that is connected to meanwhile have more pages."""

    def bound(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count={pages}")
        cursor.close()

    event.listen(Engine, "connect", bound)
    try:
        yield
    finally:
        event.remove(Engine, "connect", bound)


def test_a_full_database_refuses_what_does_not_fit_and_takes_it_when_there_is_room(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'records.db'}", port=0)
    upgrade(settings)
    with bounded_databases(pages=20), served(settings) as url, httpx.Client(base_url=url, verify=False) as http:
        stored = []
        while (answer := http.post("/new", json=[{"text": "x" * 3000}])).is_success:
            stored += answer.json()
        check_unavailable(answer, "not-saved")
        assert "full" in answer.json()["detail"]
        assert http.get("/all").json() == stored
        assert http.delete(f"/{stored[0]['uuid']}").status_code == 200
        assert http.post("/new", json=[{"text": "x" * 3000}]).status_code == 201
