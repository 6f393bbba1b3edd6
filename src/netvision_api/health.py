"""Liveness and readiness: whether the process runs, and whether it can serve."""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Controller, Request, Response, route
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import SecurityRequirement
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from netvision_api import __version__
from netvision_api.database import Database
from netvision_api.failures import describe
from netvision_api.openapi import BEARER, READ
from netvision_api.problems import Problem, cause, logger
from netvision_api.revisions import revision_of, shortcoming
from netvision_api.security import may_read

WITH_OR_WITHOUT_TOKEN: list[SecurityRequirement] = [{}, {BEARER: []}]


class Liveness(msgspec.Struct):
    """The process runs."""

    status: str = "live"


class Readiness(msgspec.Struct, omit_defaults=True):
    """Whether the service can serve, and why not."""

    status: str
    version: str = ""
    database: str = ""
    schema: str | None = None
    reason: str | None = None


class HealthController(Controller):
    """Answer the probes of whoever runs the service."""

    path = "/health"
    tags = ("health",)
    security = WITH_OR_WITHOUT_TOKEN

    @route("/live", http_method=READ, opt={"name": "live"}, sync_to_thread=False)
    def live(self) -> Liveness:
        """Answer while the process runs; nothing else is touched."""
        return Liveness()

    @route(
        "/ready",
        http_method=READ,
        opt={"name": "ready"},
        responses={
            503: ResponseSpec(Readiness, generate_examples=False, description="Not ready; the reason says why.")
        },
    )
    async def ready(self, request: Request[Any, Any, Any], database: NamedDependency[Database]) -> Response[Readiness]:
        """Tell whether the database answers, keeps its word, and has the schema that this version needs."""
        readiness = await check(database)
        if request.app.state.is_draining:
            readiness.reason = readiness.reason or "draining"
        if readiness.reason:
            readiness.status = "not ready"
        status_code = HTTP_503_SERVICE_UNAVAILABLE if readiness.reason else HTTP_200_OK
        told = readiness if may_read(request.scope, request.app.state.settings) else Readiness(readiness.status)
        return Response(told, status_code=status_code)


async def check(database: Database) -> Readiness:
    """Ask the database for its version, its schema and what it does to keep a commit."""
    readiness = Readiness("ready", __version__, database.kind)
    try:
        async with database.looking() as records:
            connection = await records.session.connection()
            readiness.database = await connection.run_sync(product_of)
            readiness.schema = await connection.run_sync(revision_of)
            weak = await records.weak_settings()
    except Problem as problem:
        readiness.reason = problem.detail
    except (SQLAlchemyError, OSError) as error:
        logger.warning("not ready: %s", cause(error))
        readiness.reason = describe(error)
    else:
        readiness.reason = shortcoming(readiness.schema) or weakness(weak)
    return readiness


def weakness(settings: Sequence[str]) -> str | None:
    """Say in words which settings of the database let it lose what it has acknowledged, None where none do."""
    if not settings:
        return None
    return f"{' and '.join(settings)} off: an acknowledged record could be lost; ALTER SYSTEM SET {settings[0]} = on"


def product_of(connection: Connection) -> str:
    """Name the database and its version."""
    version = connection.dialect.server_version_info or ()
    return f"{connection.dialect.name} {'.'.join(map(str, version))}"
