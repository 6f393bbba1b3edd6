"""The page at `/schema`: the OpenAPI document for people; it has no script and requests nothing else."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from typing import Any

from litestar import Request, Response, route

from netvision_api.http.headers import CONTENT_SECURITY_POLICY
from netvision_api.http.openapi import document_of
from netvision_api.http.paths import READ

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, h2 { font-family: ui-monospace, monospace }
h2 { font-size: 1.1rem; margin: 2.5rem 0 0; border-top: 1px solid #8886; padding-top: 1rem }
table { border-collapse: collapse; width: 100% }
td { padding: .3rem 1rem .3rem 0; vertical-align: top; border-top: 1px solid #8883 }
td:first-child { white-space: nowrap; width: 8rem }
"""
POLICY = f"{CONTENT_SECURITY_POLICY}; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
<p>{summary} The same for programs: <a href="schema/openapi.json">OpenAPI {openapi}</a>.</p>
{operations}
</html>
"""


@route("/schema", http_method=READ, include_in_schema=False, sync_to_thread=False)
def serve_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Return the documentation page."""
    page = render(document_of(request.app))
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": POLICY})


def render(document: dict[str, Any]) -> str:
    """Render an OpenAPI document as HTML."""
    info = document["info"]
    return PAGE.format(
        title=escape(f"{info['title']} {info['version']}"),
        style=STYLE,
        summary=escape(info["summary"]),
        openapi=escape(document["openapi"]),
        operations="\n".join(operations(document["paths"])),
    )


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
