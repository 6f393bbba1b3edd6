"""Liveness and readiness: whether the process runs, and whether it can serve."""

from typing import Any

import msgspec
from litestar import Controller, Request, Response, route
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from netvision_api import __version__
from netvision_api.http.middleware import may_read
from netvision_api.http.openapi import OPTIONAL_TOKEN, described
from netvision_api.http.paths import READ
from netvision_api.storage.readiness import ReadinessCheck


class Liveness(msgspec.Struct):
    """The process runs."""

    status: str = "live"


class Readiness(msgspec.Struct, omit_defaults=True):
    """Whether the service can serve, and why not."""

    status: str
    version: str = ""
    database: str = ""
    schema: str | None = None
    server: str | None = None
    timeline: int | None = None
    replication: str | None = None
    reason: str | None = None


READY = Readiness("ready", __version__, "postgresql 18.4", "0002", "10.0.0.5:5432", 3, "synchronous (1)")
NOT_READY = Readiness("not ready", __version__, "postgresql", reason="The database is unreachable")


class HealthController(Controller):
    """Respond to the probes of a supervisor or load balancer."""

    path = "/health"
    tags = ("operation",)
    security = OPTIONAL_TOKEN

    @route(
        "/live",
        http_method=READ,
        opt={"name": "checkLiveness"},
        summary="Check liveness",
        responses={200: described("The process runs.", Liveness, Example(value=Liveness()))},
        sync_to_thread=False,
    )
    def live(self) -> Liveness:
        """Respond as long as the process runs; nothing else is touched."""
        return Liveness()

    @route(
        "/ready",
        http_method=READ,
        opt={"name": "checkReadiness"},
        summary="Check readiness",
        responses={
            200: described("Ready.", Readiness, Example(value=READY)),
            503: described("Not ready, with the reason.", Readiness, Example(value=NOT_READY)),
        },
    )
    async def ready(
        self,
        request: Request[Any, Any, Any],
        check_readiness: NamedDependency[ReadinessCheck],
    ) -> Response[Readiness]:
        """Return whether the database responds, takes writes, is durable, and has the schema that this version needs.

        The result is at most a second old. Where a token is set, a request without one gets the status only.
        """
        readiness = await current_readiness(request, check_readiness)
        status_code = HTTP_503_SERVICE_UNAVAILABLE if readiness.reason else HTTP_200_OK
        visible = readiness if may_read(request.scope, request.app.state.settings) else Readiness(readiness.status)
        return Response(visible, status_code=status_code)


async def current_readiness(request: Request[Any, Any, Any], check_readiness: ReadinessCheck) -> Readiness:
    """Return whether the service can serve, at most a second old."""
    state = await check_readiness()
    reason = state.reason or ("draining" if request.app.state.is_draining else None)
    return Readiness(
        "not ready" if reason else "ready",
        __version__,
        state.database,
        state.schema,
        state.server,
        state.replication.timeline,
        state.replication.kind,
        reason,
    )
