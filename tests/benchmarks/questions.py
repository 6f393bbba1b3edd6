"""What the servers are asked: each kind of request, built before the clock runs."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, repeat
from uuid import UUID, uuid4

TEXT = "0123456789abcdef"
BATCH = 50
MOST_PER_SECOND = 20_000
"""Requests that nobody answers in a second, so that those which are prepared are enough."""


@dataclass(frozen=True)
class Question:
    """One kind of request."""

    name: str
    requests: Callable[[Sequence[UUID]], Iterator[bytes]]
    """Builds requests for a table that holds these keys."""

    adds: int = 0
    """How many records are more after each of them."""


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """Write a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def reads(keys: Sequence[UUID]) -> Iterator[bytes]:
    """Read the records again and again, in no order."""
    return cycle([request("GET", f"/{key}") for key in random.sample(keys, len(keys))])


def deletions(keys: Sequence[UUID]) -> Iterator[bytes]:
    """Delete each record, in no order."""
    return iter([request("DELETE", f"/{key}") for key in random.sample(keys, len(keys))])


def batch(count: int) -> Callable[[Sequence[UUID]], Iterator[bytes]]:
    """Store so many records at a time; the server makes their uuids."""
    body = json.dumps([{"text": TEXT}] * count).encode()
    return lambda _keys: repeat(request("POST", "/new", body))


def batches_with_uuids(_keys: Sequence[UUID]) -> Iterator[bytes]:
    """Store batches whose uuids the client makes; those of a batch differ in their end."""
    place = "00000000-0000-4000-8000"
    body = json.dumps([{"uuid": f"{place}-{number:012x}", "text": TEXT} for number in range(BATCH)])
    template = request("POST", "/new", body.encode())
    while True:
        yield template.replace(place.encode(), str(uuid4())[: len(place)].encode())


PAGE = Question("GET /10", lambda _keys: repeat(request("GET", "/10")))
READ = Question("GET /{uuid}", reads)
DELETE = Question("DELETE", deletions, adds=-1)
POST = Question(f"POST of {BATCH}", batch(BATCH), adds=BATCH)
POST_ONE = Question("POST of 1", batch(1), adds=1)
POST_WITH_UUIDS = Question(f"POST of {BATCH} with uuids", batches_with_uuids, adds=BATCH)
