"""One attack on one service, and what others got meanwhile."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import patch

import httpx

from tests.attacks.attacks import FIRST, MEBIBYTE, Attack, under_way
from tests.servers import ServerProcess, wait_until

PATIENCE = 30
"""How many seconds somebody waits for a response."""

PAUSE = 0.05


class UnreadServer(ServerProcess):
    """A server whose standard error nobody reads from the line on that says where it listens."""

    def read(self) -> None:
        """Gather what the server says, with a long break."""
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if "listening on" in line:
                self.process.wait()
        self.process.stderr.close()


@dataclass
class Kind:
    """Requests of one kind that somebody sends beside an attack."""

    method: str
    path: str
    body: object = None
    statuses: list[int] = field(default_factory=list)
    slowest: float = 0.0

    def send(self, url: str) -> None:
        """Send one request, and note how it went; 0 is for no response."""
        began = time.monotonic()
        try:
            status = httpx.request(
                self.method, url + self.path, json=self.body, timeout=PATIENCE, trust_env=False
            ).status_code
        except httpx.TransportError:
            status = 0
        self.statuses.append(status)
        self.slowest = max(self.slowest, time.monotonic() - began)

    @property
    def served(self) -> float:
        """Return the share of requests that succeeded."""
        return sum(status in {200, 201} for status in self.statuses) / len(self.statuses)


@dataclass(frozen=True)
class Result:
    """What others got during an attack, the memory in bytes, and how the service ended."""

    attack: str
    live: Kind
    read: Kind
    store: Kind
    memory: int
    stop_seconds: float
    exit_status: int
    tracebacks: int

    @property
    def is_sound(self) -> bool:
        """Return whether liveness was always served, others got no other failure than 503, and the end was clean."""
        others = {*self.read.statuses, *self.store.statuses}
        is_served = set(self.live.statuses) == {200} and others <= {200, 201, 503}
        return is_served and self.exit_status == 0 and self.tracebacks == 0

    def columns(self) -> tuple[str, ...]:
        """Write the result as cells of a table."""
        served = (f"{kind.served:.0%}" for kind in (self.live, self.read, self.store))
        memory = f"{self.memory / MEBIBYTE:.0f} MiB"
        return (*served, f"{1000 * self.live.slowest:.0f} ms", memory, f"{self.stop_seconds:.1f} s")


def measure(attack: Attack, folder: Path, seconds: float, source: str | None = None) -> Result:
    """Attack a service for some seconds while somebody else uses it."""
    with server_under(attack, folder, source) as server:
        url = server.url()
        prepare(url, attack.texts)
        kinds = (Kind("GET", "/health/live"), Kind("GET", "/1"), Kind("POST", "/new", [{"text": "a"}]))
        with under_way(attack, url):
            end = time.monotonic() + seconds
            while time.monotonic() < end or not kinds[-1].statuses:
                for kind in kinds:
                    kind.send(url)
                time.sleep(PAUSE)
            memory = peak_memory(server.process.pid)
            began = time.monotonic()
            status = server.stop()
            stop_seconds = time.monotonic() - began
        return Result(attack.name, *kinds, memory, stop_seconds, status, server.said.count("Traceback"))


@contextmanager
def server_under(attack: Attack, folder: Path, source: str | None) -> Iterator[ServerProcess]:
    """Start the service that is attacked."""
    environment = {"NETVISION_DATABASE_URL": f"sqlite:///{folder / 'records.db'}"}
    if source:
        environment["PYTHONPATH"] = source
    start = ServerProcess if attack.reads_log else UnreadServer
    limited = (
        partial(subprocess.Popen, preexec_fn=partial(allow_files, attack.files)) if attack.files else subprocess.Popen
    )
    with patch.object(subprocess, "Popen", limited):
        server = start(**environment)
    try:
        yield server
    finally:
        server.process.kill()
        server.wait()


def allow_files(files: int) -> None:
    """Bound the files that this process may open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


def prepare(url: str, texts: int) -> None:
    """Store the record that others read, and large ones."""
    headers = {"Content-Type": "application/json"}
    httpx.post(f"{url}/new", content=FIRST, headers=headers, timeout=PATIENCE).raise_for_status()
    for _ in range(texts):
        httpx.post(f"{url}/new", json=[{"text": "\1" * MEBIBYTE}], timeout=PATIENCE).raise_for_status()
    wait_until(lambda: httpx.get(f"{url}/health/ready", timeout=PATIENCE).status_code == 200)


def peak_memory(pid: int) -> int:
    """Return the most bytes that a process has had in memory; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    _, _, rest = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")
    return int(rest.split()[0]) * 1024
