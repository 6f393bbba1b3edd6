"""Liveness and readiness: whether the process runs, and whether it can serve."""

import logging
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
from netvision_api.http.middleware import may_read
from netvision_api.http.openapi import BEARER
from netvision_api.http.paths import READ
from netvision_api.storage.database import Database, weak_settings
from netvision_api.storage.errors import NoConnectionError, describe, describe_cause
from netvision_api.storage.revisions import revision_of, schema_mismatch

logger = logging.getLogger(__name__)

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
    """Respond to the probes of a supervisor or load balancer."""

    path = "/health"
    tags = ("health",)
    security = WITH_OR_WITHOUT_TOKEN

    @route("/live", http_method=READ, opt={"name": "live"}, sync_to_thread=False)
    def live(self) -> Liveness:
        """Respond as long as the process runs; nothing else is touched."""
        return Liveness()

    @route(
        "/ready",
        http_method=READ,
        opt={"name": "ready"},
        responses={503: ResponseSpec(Readiness, generate_examples=False, description="Not ready, with the reason.")},
    )
    async def ready(
        self,
        request: Request[Any, Any, Any],
        database: NamedDependency[Database],
    ) -> Response[Readiness]:
        """Return whether the database responds, is durable, and has the schema that this version needs."""
        readiness = await probe(database)
        if request.app.state.is_draining:
            readiness.reason = readiness.reason or "draining"
        if readiness.reason:
            readiness.status = "not ready"
        status_code = HTTP_503_SERVICE_UNAVAILABLE if readiness.reason else HTTP_200_OK
        visible = readiness if may_read(request.scope, request.app.state.settings) else Readiness(readiness.status)
        return Response(visible, status_code=status_code)


async def probe(database: Database) -> Readiness:
    """Query the database for its version, its schema and its durability."""
    readiness = Readiness("ready", __version__, database.kind)
    try:
        async with database.read_session() as session:
            connection = await session.connection()
            readiness.database = await connection.run_sync(product_of)
            readiness.schema = await connection.run_sync(revision_of)
            weak = await weak_settings(session)
    except NoConnectionError as error:
        readiness.reason = f"{error}; nothing was saved."
    except (SQLAlchemyError, OSError) as error:
        logger.warning("not ready: %s", describe_cause(error))
        readiness.reason = describe(error)
    else:
        readiness.reason = schema_mismatch(readiness.schema) or weakness(weak)
    return readiness


def weakness(settings: Sequence[str]) -> str | None:
    """Describe the settings under which the database can lose what it has acknowledged; None if there are none."""
    if not settings:
        return None
    return f"{' and '.join(settings)} off: an acknowledged record could be lost; ALTER SYSTEM SET {settings[0]} = on"


def product_of(connection: Connection) -> str:
    """Return the name and version of the database."""
    version = connection.dialect.server_version_info or ()
    return f"{connection.dialect.name} {'.'.join(map(str, version))}"
