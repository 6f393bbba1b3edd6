"""Where the parts meet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from netvision_api.database import Database
from netvision_api.documentation import serve_page
from netvision_api.health import HealthController
from netvision_api.metrics import Edge, Metrics, serve_metrics
from netvision_api.openapi import openapi_config, with_own_router
from netvision_api.overload import Admission
from netvision_api.problems import answer
from netvision_api.queues import Queues
from netvision_api.records import RecordsController
from netvision_api.revisions import migrating
from netvision_api.security import Guard
from netvision_api.settings import Settings


def create_app(settings: Settings) -> Litestar:
    """Build the service; nothing is opened before it starts."""
    database = Database(settings)
    queues = Queues(database, settings)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with migrating(settings):
            yield
        await database.close()

    app = Litestar(
        route_handlers=[RecordsController, HealthController, serve_metrics, serve_page],
        dependencies={
            "database": Provide(lambda: database, sync_to_thread=False),
            "metrics": Provide(lambda: metrics, sync_to_thread=False),
            "queues": Provide(lambda: queues, sync_to_thread=False),
        },
        exception_handlers={Exception: answer},
        lifespan=[lifespan],
        on_app_init=[with_own_router],
        openapi_config=openapi_config(settings),
        state=State({"settings": settings, "is_draining": False}),
        logging_config=None,
        request_max_body_size=settings.max_body,
    )
    app.asgi_handler = Edge(Guard(Admission(app.asgi_handler, settings), settings), metrics)
    return app
