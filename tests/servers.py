"""Servers for the tests: the service in a thread, and as a process."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from typer.testing import CliRunner

from netvision_api.cli import app
from netvision_api.server import listening_socket, uvicorn_config
from netvision_api.settings import Settings

START_SECONDS = 60


class QuietServer(uvicorn.Server):
    """A uvicorn that leaves the signals of the test process alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """Serve in a thread, over a real socket; yields the URL."""
    config = uvicorn_config(settings)
    with listening_socket(settings) as listener:
        server = QuietServer(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive())
            assert server.started
            host, port = listener.getsockname()[:2]
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join()


class ServerProcess:
    """`netvision-api serve` as a process of its own; its standard error is gathered."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "netvision_api", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command,
            env=clean_environment() | environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        """Gather what the server says."""
        assert self.process.stderr
        self.lines.extend(iter(self.process.stderr.readline, ""))
        self.process.stderr.close()

    @property
    def said(self) -> str:
        """Return what the server said so far."""
        return "".join(self.lines)

    def url(self) -> str:
        """Wait for the line that says where the server listens."""
        wait_until(lambda: "listening on" in self.said or self.process.poll() is not None)
        found = re.search(r'listening on (http:[^\s"]+)', self.said)
        assert found, self.said
        return found[1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(START_SECONDS)
        self.reader.join()
        return code


@contextmanager
def server_process(*arguments: str, **environment: str) -> Iterator[ServerProcess]:
    """Run `netvision-api serve` for the time of a test."""
    server = ServerProcess(*arguments, **environment)
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)


def netvision_api(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `netvision-api` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "netvision_api", *arguments],
        env=clean_environment() | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def invoke_api(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `netvision-api` to its end in this process, where no start of a Python is what it is about."""
    with variables(clean_environment() | environment), limited():
        result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


@contextmanager
def variables(environment: dict[str, str]) -> Iterator[None]:
    """Have this process see an environment and nothing else."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def limited() -> Iterator[None]:
    """Interrupt what does not come to its end: a server that was not to start, say."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(START_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of NetVision."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NETVISION_")}


def wait_until(condition: Callable[[], object], seconds: float = START_SECONDS) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
