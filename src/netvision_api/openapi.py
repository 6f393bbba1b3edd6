"""The OpenAPI document: what Litestar cannot read off a signature, and the endpoint that serves it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from litestar import Litestar, Request, Response, Router, route
from litestar.config.app import AppConfig
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import (
    Components,
    License,
    Link,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.plugins import InitPlugin
from litestar.serialization import encode_json

from netvision_api import __version__
from netvision_api.problems import (
    FORBIDDEN,
    HOST_NOT_ALLOWED,
    INTERNAL,
    MEDIA_TYPE,
    OVERLOADED,
    UNAUTHORIZED,
    Kind,
    ProblemDetails,
)
from netvision_api.schemas import COUNT_PATTERN, UUID_PATTERN
from netvision_api.settings import Settings

EVERYWHERE = (UNAUTHORIZED, FORBIDDEN, HOST_NOT_ALLOWED, OVERLOADED, INTERNAL)
"""What every operation may answer."""

READ = [HttpMethod.GET, HttpMethod.HEAD]
BEARER = "bearer"

COUNT_SCHEMA = Schema(type=OpenAPIType.STRING, title="count", pattern=f"^({COUNT_PATTERN})$")
UUID_SCHEMA = Schema(type=OpenAPIType.STRING, title="uuid", pattern=f"^({UUID_PATTERN})$")
COUNT_OR_UUID = {"type": None, "one_of": [COUNT_SCHEMA, UUID_SCHEMA]}
ONLY_UUID = {"pattern": UUID_SCHEMA.pattern}

NEW_RECORD_SCHEMA = Schema(
    type=OpenAPIType.OBJECT,
    title="NewRecord",
    properties={
        "uuid": Schema(
            one_of=[Schema(type=OpenAPIType.NULL), UUID_SCHEMA], description="Made by the server where absent or null."
        ),
        "text": Schema(type=OpenAPIType.STRING, pattern="^[^\\u0000]*$", description="Any text without U+0000."),
    },
    required=["text"],
    additional_properties=False,
)

LITESTAR_ROUTER = Router("/schema", route_handlers=[])
"""Where Litestar would serve the document."""


def records(description: str, container: Any) -> ResponseSpec:  # noqa: ANN401 - a type, or a union of types
    """Describe an answer that carries one record, a list of them, or either."""
    return ResponseSpec(container, generate_examples=False, description=description)


def problems(*kinds: Kind) -> dict[int, ResponseSpec]:
    """Describe the problems that an operation may answer."""
    by_status = groupby(sorted((*kinds, *EVERYWHERE), key=lambda kind: kind.status), key=lambda kind: kind.status)
    return {
        status: ResponseSpec(
            ProblemDetails,
            generate_examples=False,
            media_type=MEDIA_TYPE,
            description="; ".join(f"`{kind.name}`: {kind.title}" for kind in group),
        )
        for status, group in by_status
    }


@dataclass
class RecordsOperation(Operation):
    """An operation that answers records: in three formats, with links to what can be done with them."""

    def __post_init__(self) -> None:
        """Add to the successful answers what Litestar leaves out."""
        for response in self.successes():
            text = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
            response.content = {**(response.content or {}), "application/x-ndjson": text, "text/csv": text}

    def successes(self) -> Iterator[OpenAPIResponse]:
        """Walk through the successful answers."""
        for status, response in (self.responses or {}).items():
            if status.startswith("2") and isinstance(response, OpenAPIResponse):
                yield response


@dataclass
class StoreOperation(RecordsOperation):
    """POST /new: Litestar sees raw bytes, so its body is described here."""

    def __post_init__(self) -> None:
        """Describe the body, and link to the first record it stored."""
        super().__post_init__()
        batch = Schema(type=OpenAPIType.ARRAY, items=NEW_RECORD_SCHEMA)
        body = Schema(one_of=[batch, NEW_RECORD_SCHEMA])
        self.request_body = RequestBody({"application/json": OpenAPIMediaType(schema=body)}, required=True)
        key = {"key": "$response.body#/0/uuid"}
        for response in self.successes():
            response.links = {
                "get": Link(operation_id="readRecords", parameters=key, description="Read the first record."),
                "delete": Link(operation_id="deleteRecord", parameters=key, description="Delete the first record."),
            }


@dataclass
class PageOperation(RecordsOperation):
    """GET /{key}: a full page names the next one in its Link header."""

    def __post_init__(self) -> None:
        """Describe the Link header."""
        super().__post_init__()
        link = OpenAPIHeader(schema=Schema(type=OpenAPIType.STRING), description='</{count}?after={last}>; rel="next"')
        for response in self.successes():
            response.headers = {**(response.headers or {}), "Link": link}


def name_operation(handler: HTTPRouteHandler, method: HttpMethod | str, _path: object) -> str:
    """Name the operation of a handler that serves GET and HEAD."""
    name = str(handler.opt["name"])
    return f"{name}Head" if method == HttpMethod.HEAD else name


def openapi_config(settings: Settings) -> OpenAPIConfig:
    """Describe the document's frame."""
    bearer = SecurityScheme(type="http", scheme="bearer", description="A token, where the service was given any.")
    return OpenAPIConfig(
        title="NetVision",
        version=__version__,
        summary="A records service that keeps its word.",
        license=License(name="MIT", identifier="MIT"),
        operation_id_creator=name_operation,
        openapi_router=LITESTAR_ROUTER,
        use_handler_docstrings=True,
        components=Components(security_schemes={BEARER: bearer}),
        security=[{BEARER: []}] if settings.tokens else None,
    )


class OwnRouter(InitPlugin):
    """Serve the document ourselves: Litestar's router answers errors as HTML pages and knows no HEAD."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Take out the router that Litestar's plugin has put in, and put in `serve_document`."""
        app_config.route_handlers.remove(LITESTAR_ROUTER)
        app_config.route_handlers.append(serve_document)
        return app_config


def with_own_router(config: AppConfig) -> AppConfig:
    """Have `OwnRouter` run after Litestar's own plugins."""
    config.plugins.append(OwnRouter())
    return config


@route("/schema/openapi.json", http_method=READ, include_in_schema=False, sync_to_thread=False)
def serve_document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer the OpenAPI document."""
    return Response(content=document(request.app), media_type="application/json")


def document(app: Litestar) -> bytes:
    """Render the OpenAPI document of an application as JSON."""
    return encode_json(app.openapi_schema.to_schema())
