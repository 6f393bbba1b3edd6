"""The application: routes, dependencies, middleware."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from netvision_api.http.access_log import AccessLogMiddleware
from netvision_api.http.admission import AdmissionMiddleware
from netvision_api.http.assets import serve_asset
from netvision_api.http.documentation import serve_page
from netvision_api.http.health import HealthController
from netvision_api.http.home import serve_home
from netvision_api.http.metrics import Metrics, MetricsMiddleware, serve_metrics
from netvision_api.http.middleware import AccessMiddleware, HeadersMiddleware
from netvision_api.http.openapi import openapi_config, with_own_router
from netvision_api.http.problems import handle_exception
from netvision_api.http.records import RecordsController
from netvision_api.settings import Settings, settings_from_environment
from netvision_api.storage.database import Database
from netvision_api.storage.readiness import ReadinessCheck
from netvision_api.storage.revisions import migration_task
from netvision_api.storage.service import RecordService


def create_app(settings: Settings | None = None) -> Litestar:
    """Build the service, by default from the environment; nothing is opened before it starts."""
    settings = settings or settings_from_environment()
    database = Database(settings)
    metrics = Metrics()
    dependencies = {
        "check_readiness": ReadinessCheck(database),
        "metrics": metrics,
    }

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with migration_task(settings):
            yield
        await database.close()

    app = Litestar(
        route_handlers=[RecordsController, HealthController, serve_metrics, serve_home, serve_page, serve_asset],
        dependencies={name: provide(value) for name, value in dependencies.items()},
        exception_handlers={Exception: handle_exception},
        lifespan=[lifespan],
        on_app_init=[with_own_router],
        openapi_config=openapi_config(settings),
        # Not dependencies: Litestar resolves two of them in a task group, which takes a tenth of a POST's time.
        state=State(
            {
                "settings": settings,
                "records": RecordService(database, settings),
                "metrics": metrics,
                "is_draining": False,
            }
        ),
        logging_config=None,
        request_max_body_size=settings.max_body,
    )
    # Litestar's own middleware runs after its router, and so never for a path that the router does not know.
    handler = AccessMiddleware(AdmissionMiddleware(app.asgi_handler, settings), settings)
    app.asgi_handler = MetricsMiddleware(HeadersMiddleware(handler), metrics)
    if settings.access_log:
        app.asgi_handler = AccessLogMiddleware(app.asgi_handler)
    if settings.forwarded_allow_ips:
        app.asgi_handler = behind_proxies(app.asgi_handler, settings.forwarded_allow_ips)
    return app


def behind_proxies(app: ASGIApp, trusted: str) -> ASGIApp:
    """Take the client's address from the header of a proxy that is trusted."""
    return cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", app), trusted))


def provide(value: object) -> Provide:
    """Return a dependency that always has the same value."""
    return Provide(lambda: value, sync_to_thread=False)
