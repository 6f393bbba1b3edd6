"""The paths of the service: the fixed ones, and the grammar of `/{key}`."""

import re
from uuid import UUID

from litestar.enums import HttpMethod

from netvision_api.http.problems import (
    COUNT_OUT_OF_RANGE,
    INVALID_PARAMETER,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    Problem,
)

READ = [HttpMethod.GET, HttpMethod.HEAD]

PROBE_PATHS = frozenset({"/health/live", "/health/ready"})
PAGE_PATHS = frozenset({"/", "/schema"})
ASSET_PATHS = frozenset(
    f"/pages/{name}"
    for name in ("home.css", "home.js", "schema.css", "schema.js", "swagger-ui.css", "swagger-ui-bundle.js")
)
"""The scripts and styles of the pages: the same for everybody."""

FIXED_PATHS = PROBE_PATHS | PAGE_PATHS | ASSET_PATHS | {"/all", "/new", "/metrics", "/schema/openapi.json"}
FIXED_NAMES = frozenset(path.split("/")[1] for path in FIXED_PATHS)
"""What no key can be; they win over `/{key}`."""

COUNT_PATTERN = r"0|[1-9][0-9]{0,17}"
UUID_PATTERN = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"

is_count = re.compile(COUNT_PATTERN).fullmatch
is_uuid = re.compile(UUID_PATTERN).fullmatch
is_number = re.compile(r"[1-9][0-9]*").fullmatch


def parse_key(key: str) -> UUID | int:
    """Parse the last part of `/{key}`: a uuid or a count."""
    if is_uuid(key):
        return UUID(key)
    if is_count(key):
        return int(key)
    if is_number(key):
        raise Problem(COUNT_OUT_OF_RANGE, f"{key[:40]!r} has {len(key)} digits; a count has at most 18.")
    raise Problem(NOT_FOUND, f"{key[:80]!r} is neither a count nor a uuid.")


def parse_uuid(key: str) -> UUID:
    """Parse the last part of `/{key}` for a method that a count does not have."""
    if key in FIXED_NAMES:
        raise Problem(METHOD_NOT_ALLOWED, f"'/{key}' cannot be deleted.", headers={"Allow": "GET, HEAD"})
    parsed = parse_key(key)
    if isinstance(parsed, UUID):
        return parsed
    raise Problem(NOT_FOUND, f"{key!r} is a count; only a uuid names a single record.")


def parse_after(value: str | None) -> UUID | None:
    """Parse the parameter that a page starts after."""
    if value is None or is_uuid(value):
        return UUID(value) if value else None
    raise Problem(INVALID_PARAMETER, f"The parameter 'after' must be a uuid, not {value[:80]!r}.")


def route_of(path: str) -> str:
    """Return the route of a path, for metrics: its values are few, no matter which paths are requested."""
    key = path[1:]
    if is_uuid(key):
        return "/{uuid}"
    if is_count(key):
        return "/{count}"
    return path if path in FIXED_PATHS else "other"
