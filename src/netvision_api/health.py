"""Liveness and readiness: whether the process runs, and whether it can serve."""

import msgspec
from litestar import Controller, Response, route
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from netvision_api import __version__
from netvision_api.database import Database
from netvision_api.openapi import READ
from netvision_api.problems import cause, logger
from netvision_api.revisions import revision_of, shortcoming


class Liveness(msgspec.Struct):
    """The process runs."""

    status: str = "live"


class Readiness(msgspec.Struct, omit_defaults=True):
    """Whether the service can serve, and why not."""

    status: str
    version: str
    database: str
    schema: str | None = None
    reason: str | None = None


class HealthController(Controller):
    """Answer the probes of whoever runs the service."""

    path = "/health"
    tags = ("health",)

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
    async def ready(self, database: NamedDependency[Database]) -> Response[Readiness]:
        """Tell whether the database answers and has the schema that this version needs."""
        readiness = await check(database)
        status_code = HTTP_503_SERVICE_UNAVAILABLE if readiness.reason else HTTP_200_OK
        return Response(readiness, status_code=status_code)


async def check(database: Database) -> Readiness:
    """Ask the database for its version and its schema."""
    try:
        async with database.reading() as records:
            connection = await records.session.connection()
            product = await connection.run_sync(product_of)
            revision = await connection.run_sync(revision_of)
    except (SQLAlchemyError, OSError) as error:
        logger.warning("not ready: %s", cause(error))
        reason = "the database is unreachable"
        return Readiness("not ready", __version__, database.kind, reason=reason)
    lack = shortcoming(revision)
    return Readiness("not ready" if lack else "ready", __version__, product, schema=revision, reason=lack)


def product_of(connection: Connection) -> str:
    """Name the database and its version."""
    version = connection.dialect.server_version_info or ()
    return f"{connection.dialect.name} {'.'.join(map(str, version))}"
