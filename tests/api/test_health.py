"""Liveness and readiness, a database that is not there, and the Host header."""

import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from litestar.testing import TestClient

from netvision_api import __version__
from netvision_api.app import create_app
from netvision_api.settings import Settings
from netvision_api.storage.revisions import head, upgrade
from tests.databases import AnyDatabase, PostgresqlDatabase, SqliteDatabase
from tests.servers import served, wait_until

KEY = "0192f0c4-5c5e-7000-8000-000000000001"
PROBES = ["/health/live", "/health/ready"]
OTHERS = ["/new", "/all", "/5", f"/{KEY}", "/abc", "/", "/x/y", "/schema/openapi.json", "/health/x", "/all/health/live"]
FOREIGN = ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "[::2]"]
OUR_OWN = ["localhost", "localhost:1234", "LocalHost", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8000"]


def unmigrated(database: AnyDatabase) -> Settings:
    return Settings(database_url=database.url, port=0, migrate=False)


def check_not_ready(url: str, *words: str) -> dict[str, str]:
    """Check that a service lives and says why it is not ready."""
    live = httpx.get(f"{url}/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    answer = httpx.get(f"{url}/health/ready", timeout=30)
    body: dict[str, str] = answer.json()
    assert (answer.status_code, body["status"], body["version"]) == (503, "not ready", __version__)
    assert all(word in body["reason"] for word in words), body
    assert httpx.head(f"{url}/health/ready", timeout=30).status_code == 503
    return body


def test_a_live_service_is_live(http: httpx.Client) -> None:
    answer = http.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})
    assert answer.headers["content-type"] == "application/json"


def test_a_ready_service_names_its_version_database_and_schema(http: httpx.Client, database: AnyDatabase) -> None:
    answer = http.get("/health/ready")
    body = answer.json()
    assert answer.status_code == 200
    replication = [] if database.url.startswith("sqlite") else ["timeline", "replication"]
    assert list(body) == ["status", "version", "database", "schema", *replication]
    assert (body["status"], body["version"], body["schema"]) == ("ready", __version__, head())
    kind = "sqlite" if isinstance(database, SqliteDatabase) else "postgresql"
    assert re.fullmatch(rf"{kind} [0-9.]+", body["database"])


def test_a_missing_schema_is_not_ready_until_it_is_there(empty_database: AnyDatabase) -> None:
    with served(unmigrated(empty_database)) as url:
        body = check_not_ready(url, "schema at none", f"needs {head()}", "`netvision-api db upgrade`")
        assert body.get("schema") is None
        upgrade(unmigrated(empty_database))
        wait_until(lambda: httpx.get(f"{url}/health/ready").status_code == 200)


def test_a_newer_schema_is_not_ready(empty_database: AnyDatabase) -> None:
    upgrade(unmigrated(empty_database))
    empty_database.execute("UPDATE alembic_version SET version_num = '9999'")
    with served(unmigrated(empty_database)) as url:
        assert check_not_ready(url, "9999", "newer than this version")["schema"] == "9999"


@pytest.fixture(scope="module")
def lost() -> Iterator[str]:
    """A service whose PostgreSQL is not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with served(Settings(database_url=f"postgresql://u:s3cret@127.0.0.1:{port}/records", port=0)) as url:
        yield url


def check_unavailable(answer: httpx.Response) -> None:
    """Check the answer of a service whose database failed before anything was saved."""
    body = answer.json()
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert body["type"] == "urn:netvision:problem:database-unavailable"
    assert body["outcome"] == "not-saved"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert not re.search("s3cret|SELECT|INSERT|DELETE|asyncpg|sqlite|Traceback", answer.text)


def test_a_database_out_of_reach_is_not_ready(lost: str) -> None:
    body = check_not_ready(lost, "unreachable")
    assert body["database"] == "postgresql"
    assert "s3cret" not in json.dumps(body)


def test_reads_and_writes_without_a_database_get_a_503(lost: str) -> None:
    for method, path in (("GET", "/5"), ("GET", "/all"), ("GET", f"/{KEY}"), ("DELETE", f"/{KEY}")):
        check_unavailable(httpx.request(method, f"{lost}{path}", timeout=30))
    check_unavailable(httpx.post(f"{lost}/new", json=[{"text": "a"}], timeout=30))


def test_requests_that_need_no_database_are_served_without_one(lost: str) -> None:
    assert httpx.get(f"{lost}/0").json() == []
    assert httpx.get(f"{lost}/abc").status_code == 404
    assert httpx.delete(f"{lost}/5").status_code == 404
    assert httpx.get(f"{lost}/{'9' * 19}").status_code == 400
    assert httpx.get(f"{lost}/5?after=x").status_code == 400
    assert httpx.put(f"{lost}/5").status_code == 405
    assert httpx.post(f"{lost}/new", json=[{}]).status_code == 400
    assert httpx.post(f"{lost}/new", json=[]).json() == []
    assert httpx.get(f"{lost}/schema/openapi.json").status_code == 200


def test_a_busy_sqlite_is_unavailable_not_failed(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "records.db")
    upgrade(unmigrated(database))
    with served(unmigrated(database)) as url, closing(sqlite3.connect(database.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        check_unavailable(httpx.post(f"{url}/new", json=[{"text": "a"}], timeout=30))
        check_unavailable(httpx.delete(f"{url}/{KEY}", timeout=30))
        assert httpx.get(f"{url}/5").json() == []
        other.rollback()
        assert httpx.post(f"{url}/new", json=[{"text": "a"}]).status_code == 201


def test_a_missing_schema_is_unavailability_and_reveals_nothing(empty_database: AnyDatabase) -> None:
    with served(unmigrated(empty_database)) as url:
        for method, path in (("GET", "/5"), ("GET", "/all"), ("DELETE", f"/{KEY}")):
            check_unavailable(httpx.request(method, f"{url}{path}"))


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_refused_on_everything_but_the_probes(http: httpx.Client, host: str) -> None:
    for path in OTHERS:
        for method in ("GET", "POST", "DELETE"):
            answer = http.request(method, path, headers={"Host": host})
            assert (answer.status_code, answer.headers["content-type"]) == (421, "application/problem+json")
            body = answer.json()
            assert list(body) == ["type", "title", "status", "detail", "request_id"]
            assert body["type"] == "urn:netvision:problem:host-not-allowed"
            assert host in body["detail"]
    for path in PROBES:
        assert http.get(path, headers={"Host": host}).status_code == 200


def test_the_refusal_of_a_host_carries_its_request_id(http: httpx.Client) -> None:
    answer = http.get("/5", headers={"Host": "evil.example", "X-Request-ID": "mine"})
    assert answer.json()["request_id"] == "mine"
    assert answer.headers.get("x-request-id") == "mine"


@pytest.mark.parametrize("host", OUR_OWN)
def test_a_loopback_name_is_served_with_any_port(http: httpx.Client, host: str) -> None:
    assert http.get("/5", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("line", [b"", b"Host:\r\n"], ids=["missing", "empty"])
def test_a_request_without_a_host_is_refused(service: str, line: bytes) -> None:
    where = urlsplit(service)
    with socket.create_connection((where.hostname, where.port or 0), timeout=30) as connection:
        connection.sendall(b"GET /5 HTTP/1.1\r\n" + line + b"Connection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.match(rb"HTTP/1.1 4(00|21) ", answer)


def test_a_service_that_is_stopping_is_not_ready(database: AnyDatabase) -> None:
    app = create_app(Settings(database_url=database.url))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/health/ready").status_code == 200
        app.state.is_draining = True
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json()["reason"]) == (503, "draining")
        assert client.get("/health/live").status_code == 200


def test_other_hosts_can_be_allowed(database: AnyDatabase) -> None:
    chosen = Settings(database_url=database.url, port=0, migrate=False, allowed_hosts="records.example, Other.example")
    with served(chosen) as url:
        for host in ("records.example", "records.example:443", "other.example"):
            assert httpx.get(f"{url}/5", headers={"Host": host}).status_code == 200
        assert httpx.get(f"{url}/5", headers={"Host": "localhost"}).status_code == 421
        assert httpx.get(f"{url}/health/ready", headers={"Host": "localhost"}).status_code == 200


def test_a_database_that_does_not_wait_for_its_disk_is_not_ready(postgresql: PostgresqlDatabase) -> None:
    database = postgresql.sibling("netvision_hasty")
    upgrade(unmigrated(database))
    name = urlsplit(database.url).path[1:]
    database.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    with served(unmigrated(database)) as url:
        check_not_ready(url, "synchronous_commit off", "could be lost")
    database.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')
    with served(unmigrated(database)) as url:
        wait_until(lambda: httpx.get(f"{url}/health/ready").status_code == 200)
