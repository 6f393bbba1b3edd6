"""The long run of overload: what the service still does when it is offered ten times what it can take.

A connection sends its next request as soon as the last is answered. The last but one row is of clients that heed
Retry-After, the last one of clients that do not.
"""

import argparse
import asyncio
import multiprocessing
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.databases import AnyDatabase, SqliteDatabase
from tests.faults.postgresql import scratch
from tests.faults.wire import Load, connected, get, post
from tests.servers import server_process

MOST = Settings().max_in_flight
STEPS = ((8, 0), (32, 0), (128, 0), (MOST, 0), (10 * MOST, 1), (10 * MOST, 0))
"""Numbers of connections, and for how many seconds each rests after a refusal."""

PROBE_SECONDS = 0.05
EXPECTED = {200, 201, 503}
COLUMNS = ("database", "connections", "rest s", "good/s", "refused/s", "p50 ms", "p99 ms", "live p99 ms", "seed")
ROW = "{:<10} {:>11} {:>6} {:>8} {:>9} {:>8} {:>8} {:>11} {:>10}"


@dataclass(frozen=True)
class Result:
    """What a number of connections got: answers by status, seconds that good ones took, seconds of liveness."""

    database: str
    connections: int
    rest: int
    seed: int
    seconds: float
    statuses: Counter[int]
    times: list[float]
    live: list[float]

    @property
    def goodput(self) -> float:
        """Return how many requests were served per second."""
        return len(self.times) / self.seconds

    def row(self) -> str:
        """Write the result as a row of the table."""
        refused = self.statuses[503] / self.seconds
        times = (1000 * quantile(self.times, 0.5), 1000 * quantile(self.times, 0.99), 1000 * quantile(self.live, 0.99))
        numbers = (f"{number:.1f}" for number in (self.goodput, refused, *times))
        return ROW.format(self.database, self.connections, self.rest, *numbers, self.seed)


def quantile(values: Sequence[float], share: float) -> float:
    """Return what this share of the values does not exceed."""
    return sorted(values)[int(share * (len(values) - 1))] if values else 0.0


def offer(url: str, connections: int, rest: float, seconds: float, seed: int) -> tuple[Counter[int], list[float]]:
    """Send requests for a while, from a process of its own; return the answers by status and the times of the good."""
    allow_connections(connections)
    chance = random.Random(seed)
    load = Load(url, lambda: get("/10") if chance.random() < 0.5 else post([{"text": f"{chance.random()}"}]), rest)
    asyncio.run(load.run(connections, seconds))
    good = [answer.seconds for answer in load.answers if answer.status in {200, 201}]
    return Counter(answer.status for answer in load.answers), good


def allow_connections(connections: int) -> None:
    """Let this process have so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 200
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(hard, wanted), hard)
        )


def probe(url: str, offered: Future[tuple[Counter[int], list[float]]]) -> list[float]:
    """Ask for liveness on ever new connections as long as load is offered; return how long each answer took."""
    times = []
    while not offered.done():
        began = time.monotonic()
        with connected(url) as connection, suppress(OSError):
            connection.sendall(get("/health/live"))
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            times.append(time.monotonic() - began)
        time.sleep(PROBE_SECONDS)
    return times


def measure(database: AnyDatabase, name: str, seconds: float, seed: int) -> list[Result]:
    """Offer more and more to a service."""
    upgrade(Settings(database_url=database.url))
    allow_connections(STEPS[-1][0])
    results = []
    with (
        server_process(NETVISION_DATABASE_URL=database.url) as server,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        for connections, rest in STEPS:
            offered = pool.submit(offer, server.url(), connections, rest, seconds, seed)
            live = probe(server.url(), offered)
            results.append(Result(name, connections, rest, seed, seconds, *offered.result(), live))
            print(results[-1].row(), flush=True)
            database.wipe()
        assert server.stop() == 0, server.said
    return results


def judge(results: Sequence[Result]) -> bool:
    """Say how much is still served at the most, against the best; tell whether every answer was one that may be."""
    best = max(result.goodput for result in results)
    for result in results[-2:]:
        print(
            f"{result.database}: {result.connections} connections that rest {result.rest} s after a refusal get"
            f" {result.goodput / best:.0%} of the best goodput; answers: {dict(result.statuses)}"
        )
    return all(result.goodput > 0 and set(result.statuses) <= EXPECTED for result in results)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure on both databases, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each number of connections offers load")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31), help="repeats the requests")
    options = parser.parse_args(arguments)
    print(ROW.format(*COLUMNS), flush=True)
    with scratch() as (folder, postgresql):
        databases: dict[str, AnyDatabase] = {
            "SQLite": SqliteDatabase(folder / "records.db"),
            "PostgreSQL": postgresql.database().sibling("netvision_overload"),
        }
        runs = [measure(database, kind, options.seconds, options.seed) for kind, database in databases.items()]
    return 0 if all(map(judge, runs)) else 1


if __name__ == "__main__":
    sys.exit(main())
