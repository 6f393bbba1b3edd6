"""A closed loop: so many connections, each of which asks again as soon as it was answered."""

import asyncio
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, process_time
from typing import cast

PATIENCE = 60
"""How many seconds the last answers may take."""

length_of = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search


class LoadError(Exception):
    """A server did not do what it was asked; what was measured is void."""


@dataclass(frozen=True)
class Load:
    """How much is asked at a time, and for how long."""

    connections: int
    seconds: float
    by_wrk: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a load."""

    count: int
    """Answers that told of success."""

    seconds: float
    p50: float
    p99: float
    """Milliseconds from a request to the end of its answer."""

    cpu: float
    """Seconds of processor time that asking took."""

    unseen: int = 0
    """How many requests at the most were served after nobody looked any more."""


@dataclass
class Tally:
    """What came back."""

    started: float = field(default_factory=perf_counter)
    ended: float = 0.0
    durations: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds from a request to the end of its answer."""

    refused: Counter[bytes] = field(default_factory=Counter)
    """First lines of answers that tell of no success."""

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return self.ended - self.started


class Lane(asyncio.Protocol):
    """One connection that is kept alive."""

    transport: asyncio.Transport

    def __init__(self, requests: Iterator[bytes], tally: Tally, seconds: float) -> None:
        """Take where requests come from, where answers are counted, and how long to go on."""
        self.requests, self.tally = requests, tally
        self.deadline = tally.started + seconds
        self.asked = 0.0
        self.received = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self.transport = cast("asyncio.Transport", transport)
        self.ask(perf_counter())

    def ask(self, now: float) -> None:
        """Send the next request, if there is one and time for it."""
        request = next(self.requests, None) if now < self.deadline else None
        if request is None:
            self.done.set_result(None)
            self.transport.close()
            return
        self.asked = now
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole."""
        self.received += data
        if not is_whole(self.received):
            return
        now = self.tally.ended = perf_counter()
        if self.received.startswith(b"HTTP/1.1 2"):
            self.tally.durations.append(now - self.asked)
        else:
            self.tally.refused[self.received.partition(b"\r\n")[0]] += 1
        self.received = b""
        self.ask(now)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notice a server that hangs up."""
        if not self.done.done():
            self.done.set_exception(LoadError(f"the server hung up: {exc}"))


def is_whole(answer: bytes) -> bool:
    """Tell whether an answer has all the bytes that its head promises."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = length_of(answer, 0, end)
    if length is None:
        raise LoadError(f"an answer without its length: {answer[:end]!r}")
    return len(answer) >= end + 4 + int(length[1])


async def drive(url: str, requests: Iterator[bytes], load: Load) -> Outcome:
    """Ask a server for some time, or until the requests are used up; raises LoadError for an answer but 2xx."""
    began = process_time()
    tally = await drive_lanes(url, [requests] * load.connections, load.seconds)
    return Outcome(len(tally.durations), tally.seconds, *percentiles(tally.durations), process_time() - began)


async def drive_lanes(url: str, lanes: Sequence[Iterator[bytes]], seconds: float) -> Tally:
    """Ask a server the same way, each connection for itself."""
    loop, tally = asyncio.get_running_loop(), Tally()
    opened = [Lane(requests, tally, seconds) for requests in lanes]
    for lane in opened:
        await loop.create_connection(partial(returned, lane), *address(url))
    async with asyncio.timeout(seconds + PATIENCE):
        await asyncio.gather(*(lane.done for lane in opened))
    if tally.refused:
        raise LoadError(f"answers that told of no success: {dict(tally.refused)}")
    if not tally.durations:
        raise LoadError("no answer came")
    return tally


def address(url: str) -> tuple[str, int]:
    """Return host and port of a server."""
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def returned(lane: Lane) -> Lane:
    """Be the factory that a connection wants."""
    return lane


def percentiles(durations: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p99 of seconds, in milliseconds."""
    ordered = sorted(durations)
    return 1000 * ordered[len(ordered) // 2], 1000 * ordered[len(ordered) * 99 // 100]
