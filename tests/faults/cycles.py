"""The long runs: one fault again and again under a swarm, whose account is the judge.

Recovery is the time from the end of a fault (a process is started again, PostgreSQL accepts connections) to the first
response of the service that needed its database.
"""

import argparse
import json
import random
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.cli.commands import Running, running
from tests.databases import SqliteDatabase
from tests.faults.postgresql import PostgresqlServer, scratch
from tests.faults.proxy import Proxy
from tests.servers import ServerProcess, wait_until

HOST = "127.0.0.1"
PAUSE = 0.5, 2.0
"""Seconds of work between two faults, at least and at most."""

OUTAGE_SECONDS = 1.0
SWARM = ("swarm", "--json", "--interval", "500ms", "--wait", "60s", "--timeout", "30s")
COLUMNS = (
    "fault",
    "database",
    "cycles",
    "acknowledged",
    "lost",
    "resurrected",
    "duplicated",
    "median",
    "max",
    "exit",
    "seed",
)
ROW = "{:<36} {:<10} {:>6} {:>12} {:>5} {:>11} {:>10} {:>7} {:>6} {:>4} {:>10}"


class Scene:
    """A service that can be killed and started again, with a proxy on either side of it, and a swarm that uses it."""

    def __init__(self, postgresql: PostgresqlServer | None, database_url: str, database_wire: Proxy | None) -> None:
        self.postgresql = postgresql
        self.database_url = database_url
        self.database_wire = database_wire
        with socket.create_server((HOST, 0)) as free:
            self.port = int(free.getsockname()[1])
        self.wire = Proxy(HOST, self.port)
        self.service = self.start()

    def start(self) -> ServerProcess:
        """Start the service on its port."""
        return ServerProcess("--port", str(self.port), NETVISION_DATABASE_URL=self.database_url)

    def restart(self, number: int) -> None:
        """End the service by a signal, and start it again."""
        code = self.service.stop(number)
        assert code == (0 if number == signal.SIGTERM else -number), self.service.said
        self.service = self.start()

    @property
    def url(self) -> str:
        """Return the URL of the proxy in front of the service."""
        return f"http://{HOST}:{self.wire.port}"

    def is_served(self) -> bool:
        """Return whether the service responds from its database."""
        try:
            return httpx.get(f"{self.url}/1", timeout=5).is_success
        except httpx.TransportError:
            return False


@contextmanager
def scene(postgresql: PostgresqlServer | None, folder: Path) -> Iterator[Scene]:
    """Set the scene on one of the two kinds of database, and clear it at the end."""
    with ExitStack() as stack:
        if postgresql is None:
            database_wire, url = None, SqliteDatabase(folder / "records.db").url
        else:
            database = postgresql.database().sibling("netvision_cycles")
            upgrade(Settings(database_url=database.url))
            database_wire = stack.enter_context(Proxy(HOST, postgresql.port))
            url = database.through(database_wire.port)
        it = Scene(postgresql, url, database_wire)
        stack.callback(lambda: it.service.stop(signal.SIGKILL))
        stack.enter_context(it.wire)
        wait_until(it.is_served)
        yield it


# --- the faults


def kill(scene: Scene) -> None:
    """Kill the service, and start it again."""
    scene.restart(signal.SIGKILL)


def terminate(scene: Scene) -> None:
    """Stop the service as one should, and start it again."""
    scene.restart(signal.SIGTERM)


def crash(scene: Scene) -> None:
    """Kill PostgreSQL, and start it again after a while."""
    assert scene.postgresql
    scene.postgresql.crash()
    time.sleep(OUTAGE_SECONDS)
    scene.postgresql.start()


def cut_clients(scene: Scene) -> None:
    """Reset every connection of a client."""
    scene.wire.cut()


def cut_database(scene: Scene) -> None:
    """Reset every connection to the database."""
    assert scene.database_wire
    scene.database_wire.cut()


def silence_database(scene: Scene) -> None:
    """Let nothing pass to or from the database for a while."""
    assert scene.database_wire
    scene.database_wire.stall()
    time.sleep(OUTAGE_SECONDS)
    scene.database_wire.heal()


@dataclass(frozen=True)
class Fault:
    """Something that happens to a service, and on which databases it can."""

    name: str
    strike: Callable[[Scene], None]
    cycles: int
    on_sqlite: bool = True


FAULTS = (
    Fault("kill -9 of the service", kill, 20),
    Fault("stop and start of the service", terminate, 10),
    Fault("crash of PostgreSQL", crash, 5, on_sqlite=False),
    Fault("reset of the clients' connections", cut_clients, 20),
    Fault("reset of the database's connections", cut_database, 20, on_sqlite=False),
    Fault("a silent network to the database", silence_database, 5, on_sqlite=False),
)


# --- one run


@dataclass
class Result:
    """What a run under one fault came to."""

    fault: Fault
    database: str
    seed: int
    recoveries: list[float] = field(default_factory=list)
    code: int = -1
    account: dict[str, Any] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Return whether the swarm's account balances."""
        return self.code == 0

    def row(self) -> str:
        """Write the result as a row of the table."""
        account = (self.account.get(name, "?") for name in ("created", "lost", "resurrected", "duplicated"))
        times = f"{statistics.median(self.recoveries):.2f}", f"{max(self.recoveries):.2f}"
        return ROW.format(self.fault.name, self.database, len(self.recoveries), *account, *times, self.code, self.seed)


def run(
    fault: Fault, cycles: int, postgresql: PostgresqlServer | None, folder: Path, seed: int, *swarm_options: str
) -> Result:
    """Let a fault strike again and again under a swarm, then stop the swarm and read its account."""
    rng = random.Random(seed)
    result = Result(fault, "SQLite" if postgresql is None else "PostgreSQL", seed)
    with (
        scene(postgresql, folder) as it,
        running(it.url, *SWARM, "--seed", str(seed), *swarm_options) as swarm,
    ):
        for _ in range(cycles):
            wait_for_progress(swarm)
            time.sleep(rng.uniform(*PAUSE))
            fault.strike(it)
            began = time.monotonic()
            wait_until(it.is_served)
            result.recoveries.append(time.monotonic() - began)
        wait_for_progress(swarm)
        swarm.signal(signal.SIGTERM)
        done = swarm.end()
    result.code = done.code
    result.account = json.loads(done.lines[-1])["summary"]["account"] if done.code in {0, 5, 6} else {}
    if not result.is_good:
        print(done.err, file=sys.stderr)
    return result


def wait_for_progress(swarm: Running) -> None:
    """Wait until the swarm has deleted more than it has now."""
    before = total(swarm)
    wait_until(lambda: total(swarm) > before or swarm.process.poll() is not None)


def total(swarm: Running) -> int:
    """Return how many records the swarm reports as deleted."""
    return int(json.loads(swarm.out[-1]).get("total", 0)) if swarm.out else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every fault on every database it can happen to, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cycles", type=int, help="how often each fault strikes; by default as often as the table says"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31), help="repeats a run")
    parser.add_argument("--only", default="", help="a part of the name of a fault")
    options = parser.parse_args(arguments)
    seed, results = options.seed, []
    print(ROW.format(*COLUMNS), flush=True)
    with scratch() as (folder, postgresql):
        for fault in (fault for fault in FAULTS if options.only in fault.name):
            for server in [None, postgresql] if fault.on_sqlite else [postgresql]:
                own = Path(tempfile.mkdtemp(dir=folder))
                results.append(run(fault, options.cycles or fault.cycles, server, own, seed))
                print(results[-1].row(), flush=True)
    return 0 if all(result.is_good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
