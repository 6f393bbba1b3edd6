"""The home page, and its twin for programs: what runs here, whether it is ready, and how many records there are."""

from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.di import NamedDependency
from sqlalchemy.exc import SQLAlchemyError

from netvision_api.http.assets import PAGE_POLICY, PAGES
from netvision_api.http.formats import HTML, JSON, media_type_for
from netvision_api.http.health import current_readiness
from netvision_api.http.paths import READ
from netvision_api.http.records import service_of
from netvision_api.storage.errors import StorageError
from netvision_api.storage.readiness import ReadinessCheck
from netvision_api.storage.service import RecordService

PAGE = (PAGES / "home.html").read_text(encoding="utf-8")
LINKS = {
    "documentation": "/schema",
    "openapi": "/schema/openapi.json",
    "metrics": "/metrics",
    "liveness": "/health/live",
    "readiness": "/health/ready",
}


class Overview(msgspec.Struct):
    """What the home page shows of the service."""

    name: str
    version: str
    status: str
    reason: str | None
    database: str
    schema: str | None
    records: int | None
    links: dict[str, str]


@route("/", http_method=READ, include_in_schema=False)
async def serve_home(
    request: Request[Any, Any, Any], check_readiness: NamedDependency[ReadinessCheck]
) -> Response[Any]:
    """Return the home page, which is the same for everybody, or an overview of the service in JSON."""
    if media_type_for(request.scope, (HTML, JSON.media_type)) == HTML:
        headers = {"Content-Security-Policy": PAGE_POLICY, "Vary": "Accept"}
        return Response(PAGE, media_type=HTML, headers=headers)
    return Response(await overview(request, check_readiness), headers={"Vary": "Accept"})


async def overview(request: Request[Any, Any, Any], check_readiness: ReadinessCheck) -> Overview:
    """Describe the service; the number of records is unknown while the database cannot serve."""
    readiness = await current_readiness(request, check_readiness)
    root = request.app.state.settings.root_path
    return Overview(
        name="netvision",
        version=readiness.version,
        status=readiness.status,
        reason=readiness.reason,
        database=readiness.database,
        schema=readiness.schema,
        records=await count(service_of(request)) if readiness.schema else None,
        links={name: root + path for name, path in LINKS.items()},
    )


async def count(records: RecordService) -> int | None:
    """Return how many records there are, None if the database cannot say."""
    try:
        return await records.count()
    except (StorageError, SQLAlchemyError, OSError):
        return None
