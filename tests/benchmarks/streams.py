"""A long answer, read as fast as it comes, while others ask whether the server is alive."""

import asyncio
from dataclasses import dataclass
from time import perf_counter

from tests.benchmarks.competitors import Contender
from tests.benchmarks.load import LoadError, address, is_whole, percentiles
from tests.benchmarks.questions import request

CHUNK = 2**18
PROBE_SECONDS = 0.02


@dataclass(frozen=True)
class Reading:
    """One GET /all."""

    rate: float
    """Megabytes per second."""

    first: float
    """Milliseconds until the first record began to come."""

    alive: float
    """Milliseconds that liveness took meanwhile, p99."""

    server: float
    database: float
    """Microseconds of processor time per record."""


async def read_all(contender: Contender, stored: int) -> Reading:
    """Read every record, and count them; raises LoadError where some are missing."""
    url = contender.service.url
    assert contender.database
    server, database = contender.server.started(), contender.database.started()
    reading = asyncio.create_task(download(url, stored))
    probing = asyncio.create_task(probe(url, reading))
    rate, first = await reading
    _, alive = percentiles(await probing)
    return Reading(rate, first, alive, 1e6 * server() / stored, 1e6 * database() / stored)


async def download(url: str, stored: int) -> tuple[float, float]:
    """Read the stream to its end; no text holds a brace, so each opens a record."""
    reader, writer = await connected(url)
    began = perf_counter()
    writer.write(request("GET", "/all"))
    size = count = 0
    first, end = 0.0, b""
    while not end.endswith(b"\r\n0\r\n\r\n") and (chunk := await reader.read(CHUNK)):
        count += chunk.count(b"{")
        first = first or (perf_counter() - began if count else 0.0)
        size += len(chunk)
        end = (end + chunk)[-10:]
    seconds = perf_counter() - began
    writer.close()
    if count != stored:
        raise LoadError(f"{url}/all answered {count} records of {stored}")
    return size / seconds / 1e6, 1000 * first


async def probe(url: str, reading: asyncio.Task[tuple[float, float]]) -> list[float]:
    """Ask again and again whether the server is alive, as long as the stream is read; returns the seconds it took."""
    reader, writer = await connected(url)
    durations = []
    while not reading.done():
        began, answer = perf_counter(), b""
        writer.write(request("GET", "/health/live"))
        while not is_whole(answer):
            answer += await reader.read(CHUNK)
        durations.append(perf_counter() - began)
        await asyncio.sleep(PROBE_SECONDS)
    writer.close()
    return durations


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection."""
    return await asyncio.open_connection(*address(url), limit=CHUNK)
