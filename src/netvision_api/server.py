"""How uvicorn is run: the socket, the lock on an SQLite file, workers, the word that it listens, and the exit code."""

import contextlib
import gc
import multiprocessing.connection
import os
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from functools import partial
from math import ceil
from pathlib import Path

import uvicorn
from filelock import FileLock, Timeout
from litestar import Litestar
from uvicorn.supervisors import ChangeReload, Multiprocess

from netvision_api.app import create_app
from netvision_api.logs import logging_config
from netvision_api.metrics import shared_by_workers
from netvision_api.protocol import protocol
from netvision_api.revisions import upgrade
from netvision_api.settings import Settings

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection is kept: longer than the client's pool keeps it, or the two would race."""

WORKER_START_SECONDS = 60


class CannotRunError(Exception):
    """The server cannot start; the message says why and what to do."""


class Server(uvicorn.Server):
    """A uvicorn that says when it answers, and that exits 0 when it is told to stop."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        """Prepare to serve under a URL."""
        super().__init__(config)
        self.url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        announce(self.url)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal; uvicorn would raise it again afterwards, and the exit code would be the signal's."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield


class Workers(Multiprocess):
    """Several processes on one socket, announced when all of them answer."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], url: str) -> None:
        """Prepare to serve under a URL."""
        super().__init__(config, sockets)
        self.url = url

    def init_processes(self) -> None:
        """Start the workers, wait for them, then say so."""
        super().init_processes()
        if all(process.wait_until_ready(WORKER_START_SECONDS, self.should_exit) for process in self.processes):
            announce(self.url)


def announce(url: str) -> None:
    """Say that requests are answered from now on."""
    print(f"listening on {url}", file=sys.stderr, flush=True)


def serve(settings: Settings, *, until_stdin_closes: bool = False) -> None:
    """Serve until told to stop; raises CannotRunError where it cannot begin."""
    with locked(settings), bound(settings) as listener:
        if settings.is_sqlite and settings.migrates:
            upgrade(settings)
        if until_stdin_closes:
            threading.Thread(target=stop_at_end_of_stdin, daemon=True).start()
        url = url_of(listener)
        config = uvicorn_config(settings)
        if settings.reload:
            ChangeReload(config, target=partial(run, config, url), sockets=[listener]).run()
        elif settings.workers > 1:
            with shared_by_workers():
                Workers(config, [listener], url).run()
        else:
            run(config, url, [listener])


def run(config: uvicorn.Config, url: str, sockets: list[socket.socket] | None = None) -> None:
    """Run one server in this process."""
    Server(config, url).run(sockets)


def uvicorn_config(settings: Settings) -> uvicorn.Config:
    """Translate the settings for uvicorn; the application is built in the process that runs it."""
    return uvicorn.Config(
        partial(create_worker_app, settings),
        factory=True,
        workers=settings.workers,
        reload=settings.reload,
        http=protocol(settings),
        proxy_headers=False,
        ws="none",
        lifespan="on",
        log_config=logging_config(settings),
        access_log=settings.access_log,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=ceil(settings.grace),
    )


def create_worker_app(settings: Settings) -> Litestar:
    """Build the application; a worker stops when its parent is gone, which would else keep the port taken.

    What there is by then stays for ever: if it were searched for garbage, every request would stand still meanwhile.
    """
    if parent := multiprocessing.parent_process():
        threading.Thread(target=stop_after, args=(parent.sentinel,), daemon=True).start()
    app = create_app(settings)
    gc.freeze()
    return app


@contextlib.contextmanager
def bound(settings: Settings) -> Iterator[socket.socket]:
    """Listen on the address of the settings."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        address = f"{settings.host} port {settings.port}"
        msg = f"cannot listen on {address} ({reason}); take another --port, or 0 for a free one"
        raise CannotRunError(msg) from error
    listener.set_inheritable(True)
    with listener:
        yield listener


@contextlib.contextmanager
def locked(settings: Settings, *, patience: float = 0) -> Iterator[None]:
    """Hold the SQLite file for this process alone; the lock goes with the process. PostgreSQL needs none."""
    if settings.sqlite_path is None or not settings.is_sqlite:
        yield
        return
    path = settings.sqlite_path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock", timeout=patience)
        lock.acquire()
    except Timeout as error:
        msg = f"{path} is in use by another netvision-api; stop that one first, or name another --database-url"
        raise CannotRunError(msg) from error
    except OSError as error:
        msg = f"cannot open the database {path} ({error.strerror})"
        raise CannotRunError(msg) from error
    with lock:
        look_into(path)
        yield


def look_into(path: Path) -> None:
    """Raise CannotRunError for a file that SQLite cannot open, or that is no database; none at all is fine."""
    try:
        if path.exists():
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        msg = f"cannot open the database {path} ({error})"
        raise CannotRunError(msg) from error


def url_of(listener: socket.socket) -> str:
    """Write the address of a socket as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def stop_after(sentinel: int) -> None:
    """Stop when the process with this sentinel is gone."""
    multiprocessing.connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def stop_at_end_of_stdin() -> None:
    """Stop when whoever started this process, and holds the other end of its standard input, is gone."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
