"""Several workers: the death of one does not end the service, and the death of their parent ends them all."""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from tests.faults.postgresql import PostgresqlServer
from tests.faults.stage import check_unavailable
from tests.servers import ServerProcess, server_process, wait_until

WORKERS = 3


@pytest.fixture
def server(crashable: PostgresqlServer) -> Iterator[ServerProcess]:
    """A service with several workers."""
    database = crashable.database().sibling("netvision_faulty_workers")
    arguments = ("--workers", str(WORKERS), "--migrate")
    with server_process(*arguments, NETVISION_DATABASE_URL=database.url) as process:
        wait_until(lambda: status(process, "/health/ready") == 200)
        yield process
        for worker in workers_of(process):
            worker.kill()


def workers_of(server: ServerProcess) -> list[psutil.Process]:
    """Return the workers that run."""
    if server.process.poll() is not None:
        return []
    return list(filter(is_worker, psutil.Process(server.process.pid).children()))


def is_worker(process: psutil.Process) -> bool:
    """Tell a worker from the dead, and from the process that counts shared resources."""
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def status(server: ServerProcess, path: str) -> int:
    """Return the status of an answer; 0 where a worker died before it gave one."""
    try:
        return httpx.get(f"{server.url()}{path}", timeout=30).status_code
    except httpx.TransportError:
        return 0


def statuses(server: ServerProcess, path: str) -> set[int]:
    """Ask many times at the same time, so that every worker has its turn."""
    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(lambda _: status(server, path), range(40)))


def test_a_worker_that_is_killed_while_the_database_is_away_is_replaced(
    server: ServerProcess, crashable: PostgresqlServer
) -> None:
    before = {worker.pid for worker in workers_of(server)}
    assert len(before) == WORKERS
    crashable.crash()
    try:
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len({worker.pid for worker in workers_of(server)} - before) == 1)
        wait_until(lambda: statuses(server, "/health/live") == {200})
        wait_until(lambda: statuses(server, "/health/ready") == {503})
        check_unavailable(httpx.get(f"{server.url()}/1", timeout=30), "not-saved")
    finally:
        crashable.start()
    wait_until(lambda: statuses(server, "/health/ready") == {200})
    assert statuses(server, "/1") == {200}
    assert server.stop() == 0


def test_workers_whose_parent_is_killed_end_and_free_the_port(server: ServerProcess) -> None:
    workers = workers_of(server)
    url = httpx.URL(server.url())
    server.process.kill()
    assert not psutil.wait_procs(workers, timeout=30)[1]
    with socket.create_server((url.host, url.port or 0)):
        pass
