"""Scripts and styles of the pages: our own, and those of Swagger UI, which the package offapi carries."""

from dataclasses import dataclass
from functools import cache
from gzip import compress
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from anyio import to_thread
from litestar import Request, Response, route

from netvision_api.http.formats import is_excluded
from netvision_api.http.paths import ASSET_PATHS, READ

PAGES = Path(__file__).parent / "pages"
SWAGGER_UI = {"swagger-ui.css": "offapi/swagger_style.css", "swagger-ui-bundle.js": "offapi/swagger_bundle.js"}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a page may load: its assets, and data of this service; the icons in the style of Swagger UI are data URLs."""


@dataclass(frozen=True)
class Asset:
    """A file as it is served."""

    media_type: str
    content: bytes
    compressed: bytes
    etag: str


@cache
def load(name: str) -> Asset:
    """Read an asset, once per process."""
    content = path_of(name).read_bytes()
    etag = f'W/"{sha256(content).hexdigest()[:32]}"'
    return Asset(MEDIA_TYPES[Path(name).suffix], content, compress(content, mtime=0), etag)


def path_of(name: str) -> Path:
    """Return where an asset is; offapi is not imported, since it would load nine megabytes."""
    if name in SWAGGER_UI:
        return Path(str(distribution("offapi").locate_file(SWAGGER_UI[name])))
    return PAGES / name


@route(sorted(ASSET_PATHS), http_method=READ, include_in_schema=False)
async def serve_asset(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return an asset, or 304 for a browser that has it already."""
    asset = await to_thread.run_sync(load, Path(request.scope["path"]).name)
    headers = {"Cache-Control": "no-cache", "ETag": asset.etag, "Vary": "Accept-Encoding"}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, media_type=asset.media_type, headers=headers)
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.compressed, media_type=asset.media_type, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


def accepts_gzip(value: str) -> bool:
    """Return whether the value of an Accept-Encoding header names gzip."""
    codings = (coding for coding in value.lower().split(",") if not is_excluded(coding))
    return any(coding.partition(";")[0].strip() == "gzip" for coding in codings)
