"""The log: lines that parse, that nobody can forge or flood, and that never make the service wait."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path

import httpx
import pytest

from netvision_api.logs import MAX_WAITING_LINES, JsonFormatter, RateLimit, TextFormatter
from tests.api.wire import exchange, statuses
from tests.servers import clean_environment, server_process

LINES = MAX_WAITING_LINES + 200
MALFORMED = b"NOT HTTP\r\n\r\n"
FORGERY = "a\n2026-11-24 10:00:00,000 INFO netvision: all is well\x1b[2J\u202e"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'records.db'}"


def record(message: str, *arguments: object, level: int = logging.WARNING, line: int = 1) -> logging.LogRecord:
    return logging.LogRecord("some.logger", level, "some.py", line, message, arguments, None)


@pytest.mark.parametrize("format_", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_a_message_of_others_is_one_line_without_control_characters(format_: logging.Formatter) -> None:
    line = format_.format(record("%s", FORGERY))
    assert "\n" not in line
    assert "\x1b" not in line


def test_a_traceback_cannot_look_like_a_line_of_the_log() -> None:
    failed, error = record("failed"), ValueError(FORGERY)
    failed.exc_info = (type(error), error, None)
    head, *traceback = TextFormatter().format(failed).splitlines()
    assert head.endswith("some.logger: failed")
    assert traceback
    assert all(line.startswith("    ") and line.isprintable() for line in traceback)


def test_warnings_of_one_kind_are_bounded_and_the_suppressed_ones_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 100.0
    monkeypatch.setattr("netvision_api.logs.monotonic", lambda: seconds)
    limit = RateLimit()
    assert sum(limit.filter(record("again")) for _ in range(1000)) == 10
    assert limit.filter(record("another", line=2))
    assert all(limit.filter(record("requested", level=logging.INFO)) for _ in range(1000))
    seconds += 1
    last = record("again")
    assert limit.filter(last)
    assert TextFormatter().format(last).endswith("again (and 990 more like this)")
    assert not limit.filter(record("again"))


@contextmanager
def unread_server(url: str) -> Iterator[tuple["subprocess.Popen[bytes]", str, int]]:
    """Run a server that logs every request; its standard error, a small pipe, is read until it announces its URL."""
    reading, writing = os.pipe()
    fcntl(writing, F_SETPIPE_SZ, 4096)
    command = [sys.executable, "-m", "netvision_api", "serve", "--port", "0", "--database-url", url, "--access-log"]
    with subprocess.Popen(command, stderr=writing, env=clean_environment()) as process:
        os.close(writing)
        try:
            said = b""
            while not (found := re.search(rb"listening on (\S+)\n", said)):
                said += os.read(reading, 1000)
            yield process, found[1].decode(), reading
        finally:
            process.kill()
            os.close(reading)


def test_a_log_that_nobody_reads_blocks_neither_the_service_nor_its_end(url: str) -> None:
    with unread_server(url) as (process, address, standard_error):
        with httpx.Client(base_url=address, trust_env=False, verify=False) as http:
            assert {http.get("/health/live").status_code for _ in range(LINES)} == {200}
        said = b""
        while not (found := re.search(rb" ([0-9]+) lines of the log were dropped", said)):
            said += os.read(standard_error, 65536)
        assert 0 < int(found[1]) < LINES
        process.terminate()
        assert process.wait(10) == 0


def test_malformed_requests_do_not_flood_the_log(url: str) -> None:
    with server_process(NETVISION_DATABASE_URL=url) as server:
        for _ in range(40):
            assert statuses(exchange(server.url(), MALFORMED)) == [400]
        assert httpx.get(f"{server.url()}/health/live").status_code == 200
        assert server.stop() == 0
        assert 1 <= server.said.count("Invalid HTTP request") < 30


def test_every_line_is_json_with_rfc_3339_times_and_the_fields_of_each_request(url: str) -> None:
    with server_process("--log-format", "json", "--access-log", NETVISION_DATABASE_URL=url) as server:
        httpx.get(f"{server.url()}/5?after=x", headers={"X-Request-ID": "mine"})
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.lines]
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in lines)
    messages = [line["message"] for line in lines]
    assert messages[0].startswith("database: ")
    assert messages[-2].startswith("listening on ")
    request = lines[-1]
    assert request.pop("duration_ms") > 0
    assert request.pop("bytes") > 0
    assert {"client": "127.0.0.1", "method": "GET", "route": "/{count}", "path": "/5", "status": 400}.items() <= (
        request.items()
    )
    assert request["request_id"] == "mine"


@pytest.mark.parametrize(("trusted", "client"), [("127.0.0.0/8", "192.0.2.7"), ("192.0.2.0/24", "127.0.0.1")])
def test_the_client_that_a_proxy_names_is_logged_if_the_proxy_is_trusted(url: str, trusted: str, client: str) -> None:
    arguments = ("--access-log", "--forwarded-allow-ips", trusted)
    with server_process(*arguments, NETVISION_DATABASE_URL=url) as server:
        httpx.get(f"{server.url()}/5", headers={"X-Forwarded-For": "203.0.113.9, 192.0.2.7"})
        assert server.stop() == 0
        assert f"{client} GET /5 200" in server.lines[-1]


def test_the_reason_why_it_cannot_start_is_json_too(tmp_path: Path) -> None:
    with server_process("--log-format", "json", NETVISION_DATABASE_URL=f"sqlite:///{tmp_path}") as server:
        assert server.wait() == 1
        assert [json.loads(line)["level"] for line in server.lines] == ["info", "error"]


def test_the_documentation_page_is_announced(url: str) -> None:
    with server_process(NETVISION_DATABASE_URL=url) as server:
        address = server.url()
        assert f"documentation: {address}/schema\n" in server.said
        assert httpx.get(f"{address}/schema").status_code == 200
