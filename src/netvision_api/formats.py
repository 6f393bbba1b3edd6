"""Records as JSON, NDJSON or CSV: one at a time, a list at once, or page by page."""

import csv
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures.headers import Accept

from netvision_api.headers import header
from netvision_api.schemas import Records, StoredRecord

encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Format:
    """How records look in one media type."""

    media_type: str
    head: bytes
    separator: bytes
    tail: bytes
    rows: Callable[[Records], bytes]
    one: Callable[[StoredRecord], bytes]

    def whole(self, records: Records) -> bytes:
        """Render a list at once."""
        return self.head + self.rows(records) + self.tail

    async def stream(self, pages: AsyncIterator[Records]) -> AsyncIterator[bytes]:
        """Render a list page by page."""
        before = self.head
        async for page in pages:
            yield before + self.rows(page)
            before = self.separator
        yield (self.head if before is self.head else b"") + self.tail


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

FORMATS = {format_.media_type: format_ for format_ in (JSON, NDJSON, CSV)}


is_excluded = re.compile(r";\s*q=0(\.0*)?\s*(;|$)").search


def negotiate(request: Request[Any, Any, Any]) -> Format:
    """Choose the format that the request's Accept asks for; JSON where it asks for none of ours."""
    return format_for(header(request.scope, b"accept"))


@lru_cache(maxsize=256)
def format_for(accept: bytes) -> Format:
    """Choose the format for the value of an Accept header; few values come often."""
    ranges = accept.decode("latin-1").split(",")
    wanted = Accept(",".join(range_ for range_ in ranges if not is_excluded(range_)))
    return FORMATS[wanted.best_match(list(FORMATS), JSON.media_type)]
