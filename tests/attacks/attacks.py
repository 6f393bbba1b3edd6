"""The attacks: each keeps a service busy from many connections until its process is killed."""

import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Event

from tests.api.wire import GET, HOST, LENGTH, POST, connect
from tests.faults.overload import allow_connections

MEBIBYTE = 2**20
MAX_CONNECTIONS = 3000
KEY = b"0192f0c4-5c5e-7000-8000-000000000001"


@dataclass(frozen=True)
class Attack:
    """An attack: its name, what bounds it, and what each of its connections does for ever."""

    name: str
    bound: str
    run: Callable[[str], None]
    connections: int
    texts: int = 0
    """How many texts of 1 MiB, of which each character takes six bytes in JSON, are stored before."""

    files: int | None = None
    """How many files the service may open."""

    reads_log: bool = True


@contextmanager
def under_way(attack: Attack, url: str) -> Iterator[None]:
    """Attack from a process of its own."""
    context = multiprocessing.get_context("spawn")
    has_begun = context.Event()
    attacker = context.Process(target=start, args=(attack.name, url, has_begun), daemon=True)
    attacker.start()
    has_begun.wait()
    try:
        yield
    finally:
        attacker.kill()
        attacker.join()


def start(name: str, url: str, has_begun: Event) -> None:
    """Run an attack on all its connections."""
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    allow_connections(MAX_CONNECTIONS)
    with ThreadPoolExecutor(attack.connections) as pool:
        for _ in range(attack.connections):
            pool.submit(attack.run, url)
        has_begun.set()


def repeat(send: Callable[[socket.socket], object]) -> Callable[[str], None]:
    """Return an attack that opens a connection, does something there, and begins again when it is refused."""

    def run(url: str) -> None:
        while True:
            with suppress(OSError), connect(url) as connection:
                send(connection)

    return run


def hold(first: bytes, connections: int) -> Callable[[str], None]:
    """Return an attack that sends a beginning on some connections, then nothing, and reads nothing."""

    def run(url: str) -> None:
        with ExitStack() as stack:
            for _ in range(connections):
                with suppress(OSError):
                    stack.enter_context(connect(url)).sendall(first)
            threading.Event().wait()

    return run


def send_without_reading(connection: socket.socket) -> None:
    """Send many requests, and keep the connection for a second without reading a response."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost:\r\n\r\n" * 20_000)
    time.sleep(1)


def send_what_is_not_http(connection: socket.socket) -> None:
    """Send what is rejected, and wait for the rejection."""
    connection.sendall(b"\0\r\n\r\n")
    connection.recv(1000)


def exchange(request: bytes) -> Callable[[socket.socket], None]:
    """Return what sends a request, and reads what comes, for as long as the connection lasts."""

    def send(connection: socket.socket) -> None:
        while True:
            connection.sendall(request)
            if not connection.recv(65536):
                return

    return send


def body_of(content: bytes) -> bytes:
    """Write a POST with a body."""
    return POST + b"Content-Length: %d\r\n\r\n" % len(content) + content


LARGE = b"Content-Length: 10000000\r\n\r\n"
EXPONENTS = b"[" + b"9e307," * (10 * MEBIBYTE // 6 - 1) + b"1]"
ALL = b"GET /all HTTP/1.1\r\n" + HOST + b"\r\n"
PAGE = b"GET /2 HTTP/1.1\r\n" + HOST + b"\r\n"
READY = b"GET /health/ready HTTP/1.1\r\n" + HOST + b"\r\n"
CONFLICT = body_of(b'[{"uuid":"' + KEY + b'","text":"another"}]')
FIRST = b'[{"uuid":"' + KEY + b'","text":"a"}]'

ATTACKS = (
    Attack(
        "send 20 000 requests on each of 50 connections, and read nothing",
        "64 wait on a connection",
        repeat(send_without_reading),
        50,
    ),
    Attack(
        "post 10 MiB of numbers that are dear to decode",
        "only the syntax is checked",
        repeat(exchange(body_of(EXPONENTS))),
        4,
    ),
    Attack(
        "read /all with texts of 1 MiB, and stop reading",
        "512 KiB for each of the requests in flight",
        hold(ALL, 13),
        20,
        texts=8,
    ),
    Attack(
        "read one page of such texts on 500 connections, and stop reading",
        "what waits to be sent counts",
        hold(PAGE, 25),
        20,
        texts=8,
    ),
    Attack("ask for readiness in a loop", "probes share one check", repeat(exchange(READY)), 100),
    Attack("keep silent connections open", "files less 256", hold(b"", 55), 20, files=1024),
    Attack("begin a head, and stop", "--header-timeout", hold(GET, 25), 20),
    Attack("announce bodies of 10 MB, and send none", "what has come is counted", hold(POST + LARGE, 25), 20),
    Attack("announce bodies of 14 bytes, and send none", "1 KiB/s after 5 s", hold(POST + LENGTH + b"\r\n", 25), 20),
    Attack(
        "send what is not HTTP while nobody reads the log",
        "the log never waits",
        repeat(send_what_is_not_http),
        20,
        reads_log=False,
    ),
    Attack("post a uuid that is stored with another text", "conflicts leave a batch", repeat(exchange(CONFLICT)), 8),
)
