"""The page at `/schema`: the OpenAPI document for people.

It is complete without a script; with one, Swagger UI takes its place, so that every operation can be tried.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from litestar import Request, Response, route

from netvision_api.http.assets import PAGE_POLICY, PAGES
from netvision_api.http.middleware import may_read
from netvision_api.http.openapi import document_of
from netvision_api.http.paths import READ

PAGE = (PAGES / "schema.html").read_text(encoding="utf-8")
DOCUMENT = """<p>{summary} The same for programs: <a href="schema/openapi.json">OpenAPI {openapi}</a>.</p>
{operations}"""
FOR_STRANGERS = """<p>This service requires a token, and so does its documentation. A page with scripts asks for it;
without them use <code>curl -H "Authorization: Bearer …"</code>.</p>"""


@route("/schema", http_method=READ, include_in_schema=False, sync_to_thread=False)
def serve_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Return the documentation page, to a stranger without the documentation."""
    app = request.app
    page = render(document_of(app)) if may_read(request.scope, app.state.settings) else render_for_stranger()
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})


def render(document: dict[str, Any]) -> str:
    """Render an OpenAPI document as HTML."""
    info = document["info"]
    content = DOCUMENT.format(
        summary=escape(info["summary"]),
        openapi=escape(document["openapi"]),
        operations="\n".join(operations(document["paths"])),
    )
    return PAGE.format(title=escape(f"{info['title']} {info['version']}"), content=content)


def render_for_stranger() -> str:
    """Render the page that asks for a token."""
    return PAGE.format(title="NetVision", content=FOR_STRANGERS)


def operations(paths: dict[str, Any]) -> Iterator[str]:
    """Render every operation."""
    for path, methods in sorted(paths.items()):
        for method, operation in methods.items():
            yield f"<h2>{method.upper()} {escape(path)}</h2>"
            yield f"<p><strong>{escape(operation['summary'])}.</strong> {prose(operation['description'])}</p>"
            yield table(parameters(operation))
            yield table(responses(operation))


def parameters(operation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the parameters of an operation, each with the kinds of values it takes."""
    for parameter in operation.get("parameters", []):
        kinds = parameter["schema"].get("oneOf", [parameter["schema"]])
        names = " or ".join(kind.get("title", "") for kind in kinds).strip(" or") or "uuid"
        yield parameter["name"], f"{names}, in the {parameter['in']}"


def responses(operation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the responses of an operation, each with its meaning and media types."""
    for status, response in sorted(operation["responses"].items()):
        yield status, f"{response['description'].removesuffix('.')}; `{'`, `'.join(response['content'])}`"


def table(rows: Iterator[tuple[str, str]]) -> str:
    """Render rows of two cells."""
    cells = "".join(f"<tr><td><code>{escape(name)}</code><td>{prose(text)}" for name, text in rows)
    return f"<table>{cells}</table>" if cells else ""


def prose(text: str) -> str:
    """Render a text in which backticks mark code, with a line for each of several problems."""
    lines = escape(text).replace("; `", "<br>`").replace("\n\n", "<br>")
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", lines)
