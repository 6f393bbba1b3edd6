"""How uvicorn is run: the socket, the workers, the line that announces the URL, and the exit status."""

import asyncio
import contextlib
import gc
import logging.config
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from math import ceil
from types import FrameType
from typing import cast

import uvicorn
from litestar import Litestar
from uvicorn.supervisors import ChangeReload, Multiprocess

from netvision_api.app import create_app
from netvision_api.http.connections import raise_file_limit
from netvision_api.http.metrics import shared_by_workers
from netvision_api.http.protocol import protocol
from netvision_api.logs import logging_config, notices
from netvision_api.settings import Settings
from netvision_api.storage.errors import MigrationError
from netvision_api.storage.readiness import readiness_of
from netvision_api.storage.revisions import schema_mismatch, upgrade
from netvision_api.storage.sqlite_file import sqlite_file_lock

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection is kept: longer than by the client, so that a request never meets a closing one."""

WORKER_START_SECONDS = 60


class StartupError(Exception):
    """The server cannot start; the message has the reason and the next command."""


class Server(uvicorn.Server):
    """A uvicorn server that announces its URL, and exits with status 0 after a signal to stop."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self.url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce the URL."""
        await super().startup(sockets)
        announce(self.url)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal; uvicorn would raise it again afterwards, which would set the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield


class Workers(Multiprocess):
    """Several processes on one socket; the URL is announced when all of them respond."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], url: str) -> None:
        super().__init__(config, sockets)
        self.url = url

    def init_processes(self) -> None:
        """Start the workers, wait for them, then announce the URL."""
        super().init_processes()
        if all(process.wait_until_ready(WORKER_START_SECONDS, self.should_exit) for process in self.processes):
            announce(self.url)


class DelayedStop:
    """Handles a signal to stop: readiness reports at once that the service is draining, which stops some seconds later.

    Load balancers thus send no more requests before the first is refused. The same signal again stops it at once.
    """

    def __init__(self, app: Litestar, seconds: float) -> None:
        self.app = app
        self.seconds = seconds
        self.handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.timers: dict[int, asyncio.TimerHandle] = {}
        self.loop = asyncio.get_running_loop()

    def install(self) -> None:
        """Handle the signals instead of the handlers that are installed, which are called later."""
        for number in self.handlers:
            signal.signal(number, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Begin to drain; a repeated signal stops now, and one of the other kind changes nothing."""
        stop = cast("Callable[[int, FrameType | None], None]", self.handlers[signal.Signals(number)])
        if number in self.timers:
            self.timers[number].cancel()
            stop(number, frame)
        elif not self.timers:
            self.app.state.is_draining = True
            self.timers[number] = self.loop.call_later(self.seconds, stop, number, frame)


def announce(url: str) -> None:
    """Announce that requests are served from now on."""
    notices.info("documentation: %s/schema", url)
    notices.info("listening on %s", url)


def serve(settings: Settings, *, until_stdin_closes: bool = False) -> None:
    """Serve until a signal to stop; raises StartupError, DatabaseFileError or MigrationError if it cannot start."""
    logging.config.dictConfig(logging_config(settings))
    if settings.is_sqlite:
        notices.info("database: %s", settings.sqlite_path)
    raise_file_limit()
    with sqlite_file_lock(settings), listening_socket(settings) as listener:
        prepare_database(settings)
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


def prepare_database(settings: Settings) -> None:
    """Upgrade the schema if the settings require it and the database can be reached; else announce what is missing."""
    if settings.is_sqlite and settings.migrates:
        upgrade(settings)
        return
    state = asyncio.run(readiness_of(settings))
    reason = state.reason
    if settings.migrates and reason and reason == schema_mismatch(state.schema):
        try:
            upgrade(settings)
        except MigrationError as error:
            reason = str(error)
        else:
            return
    if reason:
        notices.warning("waiting for the database: %s", reason)


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
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=ceil(settings.grace) + 1,  # by then the protocol has ended what is in flight
    )


def create_worker_app(settings: Settings) -> Litestar:
    """Build the application; a worker stops when its parent exits, or it would keep the port in use.

    Objects that exist by then are never freed, so the garbage collector need not search them during requests.
    """
    if parent := multiprocessing.parent_process():
        logging.config.dictConfig(logging_config(settings))
        threading.Thread(target=stop_when_parent_exits, args=(parent.sentinel,), daemon=True).start()
    app = create_app(settings)
    if settings.drain_delay:
        DelayedStop(app, settings.drain_delay).install()
    gc.freeze()
    return app


@contextlib.contextmanager
def listening_socket(settings: Settings) -> Iterator[socket.socket]:
    """Listen on the address of the settings; raises StartupError or ConfigurationError if it cannot or must not."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.getaddrinfo(settings.host or None, 0)
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except socket.gaierror as error:
        msg = f"cannot listen on {settings.host} ({error.strerror}); give an address of this machine as --host"
        raise StartupError(msg) from error
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        address = f"{settings.host} port {settings.port}"
        msg = f"cannot listen on {address} ({reason}); take another --port, or 0 for a free one"
        raise StartupError(msg) from error
    with listener:
        settings.check_exposure(listener.getsockname()[0])
        listener.set_inheritable(True)
        yield listener


def url_of(listener: socket.socket) -> str:
    """Return the address of a socket as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def stop_when_parent_exits(sentinel: int) -> None:
    """Stop when the process with this sentinel has ended."""
    multiprocessing.connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def stop_at_end_of_stdin() -> None:
    """Stop when the process at the other end of standard input has ended."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
