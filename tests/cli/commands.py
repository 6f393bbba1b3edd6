"""The command `netvision` as users run it, with pipes and on a terminal; and servers that misbehave, for it to meet."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from ssl import SSLContext
from typing import IO, NamedTuple

from typer.testing import CliRunner

from netvision_cli.cli import app
from tests.servers import clean_environment, variables

COMMAND = (sys.executable, "-m", "netvision_cli")
END_SECONDS = 60
TERMINAL_SIZE = (24, 160)
DISPLAY_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM")


class Ended(NamedTuple):
    """What a command wrote, byte for byte, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Return the lines of standard output."""
        return self.out.removesuffix("\n").split("\n") if self.out else []


def environment(url: str, **more: str) -> dict[str, str]:
    """Return an environment that names a server and nothing else that a command heeds."""
    clean = {name: value for name, value in clean_environment().items() if name not in DISPLAY_VARIABLES}
    return clean | {"NETVISION_URL": url} | more


def netvision(url: str, *arguments: str, given: bytes | str = b"", **more: str) -> Ended:
    """Run a command with pipes to its end."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(url, **more),
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        timeout=END_SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def invoke(url: str, *arguments: str, given: bytes | str = b"", **more: str) -> Ended:
    """Run a command with pipes to its end in this process: what `netvision` does, without the start of a Python."""
    with variables(environment(url, **more)):
        result = CliRunner().invoke(app, arguments, input=given)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout_bytes.decode(), result.stderr_bytes.decode())


class Running:
    """A command that runs, with pipes; what it writes is gathered."""

    def __init__(self, url: str, *arguments: str, **more: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment(url, **more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self.readers = [
            threading.Thread(target=gather, args=pair)
            for pair in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self.readers:
            reader.start()

    @property
    def said(self) -> str:
        """Return what the command wrote to standard error so far."""
        return "".join(self.err)

    def signal(self, number: int = signal.SIGINT) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> Ended:
        """Wait for the end."""
        code = self.process.wait(END_SECONDS)
        for reader in self.readers:
            reader.join()
        return Ended(code, "".join(self.out), self.said)


def gather(stream: IO[str], lines: list[str]) -> None:
    """Gather the lines of a stream and close it."""
    with stream:
        lines.extend(iter(stream.readline, ""))


@contextmanager
def running(url: str, *arguments: str, **more: str) -> Iterator[Running]:
    """Run a command for the time of a test."""
    command = Running(url, *arguments, **more)
    try:
        yield command
    finally:
        command.process.kill()
        command.end()


def on_terminal(
    url: str, *arguments: str, typed: str = "", stdout: IO[bytes] | None = None, **more: str
) -> tuple[int, str]:
    """Run a command on a terminal to its end; return its exit code and what the terminal got."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, TERMINAL_SIZE)
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(url, TERM="xterm-256color", **more),
        stdin=slave,
        stdout=slave if stdout is None else stdout,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    timer = threading.Timer(END_SECONDS, process.kill)
    timer.start()
    try:
        os.write(master, typed.encode())
        shown = b"".join(iter(lambda: read_terminal(master), b""))
        return process.wait(), shown.decode().replace("\r\n", "\n")
    finally:
        timer.cancel()
        timer.join()
        os.close(master)


@contextmanager
def leading_terminal(url: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a command as the leader of a terminal, which hangs up when the test closes its end; yields both."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, TERMINAL_SIZE)
    lead = "import os, sys; os.login_tty(0); os.execv(sys.executable, sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", lead, *COMMAND, *arguments], env=environment(url, TERM="xterm-256color"), stdin=slave
    )
    os.close(slave)
    try:
        yield process, master
    finally:
        process.kill()
        process.wait()


def read_terminal(master: int) -> bytes:
    """Read what a terminal got; nothing once everyone has left it."""
    try:
        return os.read(master, 65536)
    except OSError:
        return b""


Answer = bytes | Iterable[bytes] | None
"""What a server answers: bytes, or pieces of them one after another, or silence."""


class RawServer:
    """A server that answers with whatever a function makes of a request."""

    def __init__(
        self, answer: Callable[[bytes], Answer], *, keeps: bool = False, secure: SSLContext | None = None
    ) -> None:
        self.answer = answer
        self.keeps = keeps
        self.secure = secure
        self.requests: list[bytes] = []
        self.sent = 0
        self.closing = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if secure else 'http'}://127.0.0.1:{self.port}"
        self.connections: list[socket.socket] = []
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self) -> None:
        """Take connections until the end."""
        while not self.closing.is_set():
            connection, _ = self.listener.accept()
            self.connections.append(connection)
            self.threads.append(threading.Thread(target=self.serve, args=(connection,)))
            self.threads[-1].start()

    def serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection."""
        with suppress(OSError), self.dressed(connection) as connection:  # noqa: PLR1704 - the same, under TLS
            while request := read_request(connection):
                self.requests.append(request)
                answer = self.answer(request)
                if answer is None:
                    self.closing.wait()
                    return
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    connection.sendall(piece)
                    self.sent += len(piece)
                if not self.keeps:
                    connection.shutdown(socket.SHUT_WR)
                    return

    def dressed(self, connection: socket.socket) -> socket.socket:
        """Return a connection with TLS around it, if that is how this server speaks."""
        return self.secure.wrap_socket(connection, server_side=True) if self.secure else connection

    def close(self) -> None:
        """End every connection and thread."""
        self.closing.set()
        with self.listener, socket.create_connection(("127.0.0.1", self.port)):
            self.threads[0].join()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()


@contextmanager
def raw_server(
    answer: Callable[[bytes], Answer] | bytes, *, keeps: bool = False, secure: SSLContext | None = None
) -> Iterator[RawServer]:
    """Run such a server for the time of a test."""
    server = RawServer((lambda _request: answer) if isinstance(answer, bytes) else answer, keeps=keeps, secure=secure)
    try:
        yield server
    finally:
        server.close()


def read_request(connection: socket.socket) -> bytes:
    """Read one whole request; nothing when the client has left."""
    request = b""
    while b"\r\n\r\n" not in request or len(request) < size_of(request):
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        request += chunk
    return request


def size_of(request: bytes) -> int:
    """Return how many bytes a request has, by its header."""
    head, end, _ = request.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head.lower())
    return len(head + end) + (int(found[1]) if found else 0)


def http_answer(status: str, body: str = "", *headers: str, kind: str = "application/json") -> bytes:
    """Write an answer."""
    content = body.encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + content
