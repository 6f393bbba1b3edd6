"""What Prometheus is told: how many requests there were by route and status, how long they took, how many are there.

The library is Prometheus's own client. With several workers it keeps the numbers in files that they share, so that
each answers for all.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from litestar import Response, route
from litestar.di import NamedDependency
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from netvision_api.headers import add_headers
from netvision_api.openapi import READ
from netvision_api.schemas import is_count, is_uuid

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which the library finds the files of several workers."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ROUTES = frozenset({"/all", "/new", "/health/live", "/health/ready", "/metrics", "/schema", "/schema/openapi.json"})
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
CLIENT_LEFT = 499
"""The status of a request whose client left before an answer began, as nginx has it."""


class Metrics:
    """The numbers of one process."""

    def __init__(self) -> None:
        """Begin to count."""
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "netvision_request_seconds",
            "How long requests took.",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "netvision_requests_in_flight",
            "Requests that are being served.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.of = lru_cache(maxsize=None)(self.seconds.labels)

    def render(self) -> bytes:
        """Write the numbers of all workers."""
        if FOLDER not in os.environ:
            return generate_latest(self.registry)
        forget_the_dead(Path(os.environ[FOLDER]))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class Edge:
    """What all requests have in common, refused ones too: the headers of the answer, and that they are measured."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Stand before an application."""
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what it was, how it ended and how long it took."""
        status = CLIENT_LEFT

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                add_headers(message, scope)
            await send(message)

        method = str(scope.get("method"))
        began = perf_counter()
        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, answer)
        finally:
            self.metrics.in_flight.dec()
            seconds = self.metrics.of(method if method in METHODS else "other", route_of(scope["path"]), status)
            seconds.observe(perf_counter() - began)


def route_of(path: str) -> str:
    """Name the route of a path: as few names as there are routes, whatever is asked for."""
    name = path[1:]
    if is_uuid(name):
        return "/{uuid}"
    if is_count(name):
        return "/{count}"
    return path if path in ROUTES else "other"


@route("/metrics", http_method=READ, include_in_schema=False, sync_to_thread=False)
def serve_metrics(metrics: NamedDependency[Metrics]) -> Response[bytes]:
    """Answer the metrics."""
    return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8"))


@contextmanager
def shared_by_workers() -> Iterator[None]:
    """Give the workers that are started meanwhile a folder for their numbers."""
    with TemporaryDirectory(prefix="netvision-metrics-") as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


def forget_the_dead(folder: Path) -> None:
    """Remove what workers that are gone say of the present."""
    for file in folder.glob("gauge_live*_*.db"):
        if not is_running(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Tell whether there is a process with this number."""
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False
