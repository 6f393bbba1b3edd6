"""Clients that send without reading, read nothing, or send nothing: what they hold is bounded, others are served."""

import logging
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from netvision_api.http import admission
from netvision_api.storage.repository import PAGE_ROWS
from tests.api.services import Service, service_on
from tests.api.wire import BODY, CLOSE, GET, HOST, LENGTH, POST, connect, exchange, received, statuses
from tests.servers import ServerProcess, server_process, wait_until

PIPELINED = 65
"""The request that is served, and as many as may wait."""

UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
STORE = POST + LENGTH + CLOSE + b"\r\n" + BODY
FILES = 400
"""How many files the service with few may open."""


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose clients have to read within half a second."""
    with service_on(tmp_path_factory.mktemp("short"), write_timeout=0.5) as service:
        yield service


@pytest.fixture
def full_texts(short: Service) -> Iterator[Service]:
    """The same with records of 1 MiB that six bytes a character make six."""
    httpx.post(f"{short.url}/new", json=[{"text": "\1" * 2**20}], timeout=30).raise_for_status()
    for _ in range(5):
        short.request("POST", "/new", json=[{"text": "\1" * 2**20}]).raise_for_status()
    yield short
    short.database.wipe()


def test_pipelined_requests_are_served_in_order_up_to_a_bound_then_the_connection_ends(short: Service) -> None:
    answer = exchange(short.url, b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n" + (GET + b"\r\n") * 1000)
    assert statuses(answer) == [200] * PIPELINED


def test_as_many_requests_as_may_wait_are_all_served(short: Service) -> None:
    answer = exchange(short.url, (GET + b"\r\n") * (PIPELINED - 1) + GET + CLOSE + b"\r\n")
    assert statuses(answer) == [200] * PIPELINED


def test_requests_in_the_rhythm_of_their_responses_have_no_bound(short: Service) -> None:
    with connect(short.url) as connection:
        for _ in range(3 * PIPELINED):
            connection.sendall(GET + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_what_follows_an_upgrade_is_not_executed(short: Service) -> None:
    assert statuses(exchange(short.url, GET + UPGRADE + STORE, STORE)) == [200]
    assert short.database.count() == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET[:10], 400),
        (GET, 400),
        (POST + LENGTH + b"\r\n" + BODY[:5], 400),
        (POST + LENGTH + b"\r\n" + BODY, 201),
        (GET + b"\r\n" + GET, 200),
        (b"", None),
    ],
    ids=["half a line", "half a head", "half a body", "whole", "whole and half", "nothing"],
)
def test_a_client_that_sends_no_more_gets_its_response(short: Service, request_: bytes, status: int | None) -> None:
    with connect(short.url) as connection:
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(received(connection)) == ([status] if status else [])
    short.database.wipe()


def test_a_rejection_reaches_a_client_that_still_sends(short: Service) -> None:
    for _ in range(10):
        assert statuses(exchange(short.url, GET + b"X: " + b"a" * 2**21)) == [431]


def test_a_client_that_reads_nothing_is_cut_off_and_one_that_reads_slowly_is_not(full_texts: Service) -> None:
    with connect(full_texts.url) as stalled, connect(full_texts.url) as slow:
        for connection in (stalled, slow):
            connection.sendall(b"GET /all HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
        answer = bytearray()
        while data := slow.recv(2**20):
            answer += data
            time.sleep(0.05)
        assert answer.endswith(b"]\r\n0\r\n\r\n")
        assert not received(stalled).endswith(b"0\r\n\r\n")


def test_readers_that_stall_take_a_bounded_memory_and_stop_quickly(tmp_path: Path) -> None:
    with server_process("--database-url", f"sqlite:///{tmp_path / 'records.db'}", "--grace", "1s") as server:
        url = server.url()
        for _ in range(8):
            httpx.post(f"{url}/new", json=[{"text": "\1" * 2**20}], timeout=30).raise_for_status()
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(connect(url)).sendall(b"GET /all HTTP/1.1\r\n" + HOST + b"\r\n")
            wait_until(lambda: httpx.get(f"{url}/5", timeout=30).status_code == 503)
            assert httpx.get(f"{url}/health/live", timeout=30).status_code == 200
            assert peak_memory(server) < 2**30
            assert server.stop() == 0
        assert "Traceback" not in server.said


def test_a_list_that_finds_no_memory_for_its_next_page_is_cut_off_with_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(admission, "RESPONSE_BYTES_PER_REQUEST", 2**10)
    with service_on(tmp_path) as service:
        service.request("POST", "/new", json=[{"text": "a"}] * (PAGE_ROWS + 1)).raise_for_status()
        large = service.request("POST", "/new", json={"text": "\1" * 2**20}).json()["uuid"].encode()
        with connect(service.url) as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.sendall(b"GET /" + large + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            assert stalled.recv(10) == b"HTTP/1.1 2"
            answer = exchange(service.url, b"GET /all HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
    assert statuses(answer) == [200]
    assert not answer.endswith(b"0\r\n\r\n")
    (line,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert "the response was cut off" in line.getMessage()


def peak_memory(server: ServerProcess) -> int:
    """Return the most bytes that a server has had in memory."""
    text = Path(f"/proc/{server.process.pid}/status").read_text() if sys.platform == "linux" else "VmHWM: 0"
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


def test_connections_beyond_the_limit_of_files_do_not_take_the_service_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", partial(subprocess.Popen, preexec_fn=allow_few_files))
    with server_process("--database-url", f"sqlite:///{tmp_path / 'records.db'}") as server, ExitStack() as stack:
        url = server.url()
        busy = stack.enter_context(connect(url))
        busy.sendall(POST + b"Content-Length: 100\r\n\r\n")
        silent = [stack.enter_context(connect(url)) for _ in range(FILES)]
        for _ in range(5):
            assert httpx.get(f"{url}/health/live", timeout=10).status_code == 200
        assert httpx.post(f"{url}/new", json=[{"text": "a"}]).status_code == 201
        assert sum(is_closed(connection) for connection in silent) >= FILES // 2
        assert not is_closed(silent[-1])
        assert "connections" in server.said


def allow_few_files() -> None:
    """Bound the files of this process."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side has closed a connection."""
    connection.settimeout(0)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
