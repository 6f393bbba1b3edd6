"""Records as JSON, NDJSON or CSV: a single one, a list at once, or a list page by page."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import StringIO
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures.headers import Accept
from litestar.types import Scope

from netvision_api.http.headers import header
from netvision_api.storage.models import Records, StoredRecord

encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class Format:
    """How records are rendered in one media type."""

    media_type: str
    head: bytes
    separator: bytes
    tail: bytes
    render_rows: Callable[[Records], bytes]
    render_one: Callable[[StoredRecord], bytes]

    @cached_property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of a response in this format."""
        return [(b"content-type", self.media_type.encode()), (b"vary", b"Accept")]

    def render_list(self, records: Records) -> bytes:
        """Render a list at once."""
        return self.head + self.render_rows(records) + self.tail


def json_rows(records: Records) -> bytes:
    """Render records as the inside of a JSON array."""
    return encoder.encode(records)[1:-1]


def csv_rows(records: Records) -> bytes:
    """Render records as rows of CSV."""
    rows = StringIO(newline="")
    csv.writer(rows).writerows((record.uuid, record.text) for record in records)
    return rows.getvalue().encode()


CSV_HEAD = b"uuid,text\r\n"

JSON = Format("application/json", b"[", b",", b"]", json_rows, encoder.encode)
NDJSON = Format(
    "application/x-ndjson", b"", b"", b"", encoder.encode_lines, lambda record: encoder.encode_lines([record])
)
CSV = Format("text/csv", CSV_HEAD, b"", b"", csv_rows, lambda record: CSV_HEAD + csv_rows([record]))

MAX_ACCEPT = 2**10
"""The longest Accept header in bytes that is parsed; a longer one gets JSON."""

FORMATS = {format_.media_type: format_ for format_ in (JSON, NDJSON, CSV)}
MEDIA_TYPES = tuple(FORMATS)

HTML = "text/html"

is_excluded = re.compile(r";\s*q=0(\.0*)?\s*(;|$)").search


def negotiate(request: Request[Any, Any, Any]) -> Format:
    """Return the format that the Accept header requests; JSON if it names none of ours."""
    return FORMATS[media_type_for(request.scope, MEDIA_TYPES)]


def media_type_for(scope: Scope, offered: tuple[str, ...]) -> str:
    """Return which of several media types the Accept header requests; the first if it names none of them."""
    accept = header(scope, b"accept")
    return best_match(accept, offered) if len(accept) <= MAX_ACCEPT else offered[0]


@lru_cache(maxsize=256)  # clients send few different values, and send them often
def best_match(accept: bytes, offered: tuple[str, ...]) -> str:
    """Return the media type for the value of an Accept header."""
    ranges = accept.decode("latin-1").lower().split(",")
    wanted = Accept(",".join(range_ for range_ in ranges if not is_excluded(range_)))
    return wanted.best_match(list(offered), offered[0])
