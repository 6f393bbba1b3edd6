"""A service, its database and what stands between them; and what its answers must look like when that fails."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from uuid import UUID

import httpx

from tests.faults.postgresql import PostgresqlServer, WatchedDatabase
from tests.faults.proxy import Proxy
from tests.servers import ServerProcess

WRITES = ("POST", "DELETE")
KEY = UUID(int=7)
RECORD = {"uuid": str(KEY), "text": "a"}

PROMPTLY = 1.5
"""Seconds for what must not wait for a database connection; whatever does, waits for 2."""

PATIENTLY = 4.0
"""Seconds for what may wait for a database connection, and is told that there is none."""


@dataclass(frozen=True)
class Stage:
    """A service on a PostgreSQL that can be crashed, with a proxy between them."""

    server: PostgresqlServer
    database: WatchedDatabase
    wire: Proxy
    process: ServerProcess

    @cached_property
    def url(self) -> str:
        """Return the URL of the service."""
        return self.process.url()

    def is_ready(self) -> bool:
        """Tell whether the service says that it can serve."""
        return httpx.get(f"{self.url}/health/ready", timeout=30).status_code == 200


def write(http: httpx.Client, method: str) -> httpx.Response:
    """Store the record, or delete it."""
    return http.post("/new", json=[RECORD]) if method == "POST" else http.delete(f"/{KEY}")


def prepare(http: httpx.Client, method: str) -> int:
    """Have the record stored if it is to be deleted; return how many are stored."""
    return len(http.post("/new", json=[RECORD]).raise_for_status().json()) if method == "DELETE" else 0


def check_unavailable(answer: httpx.Response, *outcomes: Literal["not-saved", "unknown"]) -> None:
    """Check that an answer says that the database is in trouble, when to come back, and what became of a write."""
    problem = answer.json()
    assert answer.status_code == 503, problem
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["type"] == "urn:netvision:problem:database-unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert problem["outcome"] in outcomes, problem
    assert ("nothing was saved" in problem["detail"]) <= (answer.request.method in {"POST", "DELETE"})
