"""Prometheus metrics: request count and latency by method, route and status, and requests in flight.

The library is Prometheus's own client. With several workers it keeps the metrics in files that they share, so that
each of them can report for all.
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
from litestar.openapi.spec import Example
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from netvision_api.http.openapi import described, problem_responses
from netvision_api.http.paths import READ, route_of

MULTIPROC_DIR = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder of the files that workers share."""

FOLDER_PREFIX = "netvision-metrics-"

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
CLIENT_CLOSED_REQUEST = 499
"""The status of a request whose client left before the response began; nginx's number and name."""

EXAMPLE = """
# HELP netvision_requests_in_flight Requests that are being served.
# TYPE netvision_requests_in_flight gauge
netvision_requests_in_flight 1.0
""".lstrip()


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
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
        self.records = Counter(
            "netvision_records", "Records that were stored or deleted.", ["operation"], registry=self.registry
        )
        self.stored, self.deleted = self.records.labels("stored"), self.records.labels("deleted")
        # `labels` validates its arguments each time; the combinations are few, since routes and methods are.
        self.series = lru_cache(maxsize=None)(self.seconds.labels)

    def render(self) -> bytes:
        """Render the metrics of all workers."""
        if MULTIPROC_DIR not in os.environ:
            return generate_latest(self.registry)
        folder = Path(os.environ[MULTIPROC_DIR])
        if folder.name.startswith(FOLDER_PREFIX):
            remove_dead_workers(folder)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class MetricsMiddleware:
    """Measure every request, rejected ones included."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and observe its method, route, status and duration."""
        status = CLIENT_CLOSED_REQUEST

        async def send_and_observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = str(scope.get("method"))
        began = perf_counter()
        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, send_and_observe)
        finally:
            self.metrics.in_flight.dec()
            seconds = self.metrics.series(method if method in METHODS else "other", route_of(scope["path"]), status)
            seconds.observe(perf_counter() - began)


@route(
    "/metrics",
    http_method=READ,
    opt={"name": "readMetrics"},
    tags=("operation",),
    summary="Read the metrics",
    responses={
        200: described("The metrics of all workers.", str, Example(value=EXAMPLE), media_type="text/plain"),
        **problem_responses(),
    },
    sync_to_thread=False,
)
def serve_metrics(metrics: NamedDependency[Metrics]) -> Response[bytes]:
    """Return the metrics for Prometheus: requests by method, route and status, their durations, and those in flight."""
    return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8"))


@contextmanager
def shared_by_workers() -> Iterator[None]:
    """Give the workers that are started in this context a folder for their metrics."""
    with TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
        os.environ[MULTIPROC_DIR] = folder
        try:
            yield
        finally:
            del os.environ[MULTIPROC_DIR]


def remove_dead_workers(folder: Path) -> None:
    """Remove the gauges of workers that have ended."""
    for file in folder.glob("gauge_live*_*.db"):
        process = int(file.stem.rpartition("_")[2])
        if not is_running(process):
            with suppress(FileNotFoundError):  # another worker removes them at the same time
                mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]


def is_running(process: int) -> bool:
    """Return whether there is a process with this id."""
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False
