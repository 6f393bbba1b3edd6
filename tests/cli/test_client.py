"""The client on bad connections: every failure has its name, and one call is one request."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from netvision_cli.client import Client, Record, record_decoder
from netvision_cli.errors import (
    ConnectionLost,
    NetvisionError,
    NotConnected,
    NotFound,
    Refused,
    RefusedForNow,
    ServerError,
    TimedOut,
    Unauthorized,
    UnexpectedResponse,
    Unreachable,
    UsageError,
)
from netvision_cli.options import Connection
from tests.cli.commands import RawServer, http_answer, raw_server

KEY = UUID("0192f0c4-5c5e-7000-8000-000000000001")
RECORD = json.dumps({"uuid": str(KEY), "text": "x"})
FOUND = http_answer("200 OK", RECORD)
LISTED = http_answer("200 OK", f"[{RECORD}]")

Call = Callable[[Client], Awaitable[object]]


async def everything(client: Client) -> list[Record]:
    return [record async for record in client.stream()]


CALLS: dict[str, Call] = {
    "store": lambda client: client.store([Record(KEY, "x")]),
    "page": lambda client: client.page(10),
    "find": lambda client: client.find(KEY),
    "remove": lambda client: client.remove(KEY),
    "stream": everything,
    "readiness": lambda client: client.readiness(),
}
RECORD_CALLS = {name: call for name, call in CALLS.items() if name != "readiness"}

any_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
any_record_call = pytest.mark.parametrize("call", RECORD_CALLS.values(), ids=RECORD_CALLS.keys())


def called(url: str, call: Call, *, timeout: float = 30, token: str | None = None) -> object:
    """Make one call."""

    async def connected() -> object:
        async with Client(url, token=token, timeout=timeout) as client:
            return await call(client)

    return asyncio.run(connected())


def failure(server: RawServer | str, call: Call, *, timeout: float = 30) -> NetvisionError:
    """Make one call that fails, and return how."""
    with pytest.raises(NetvisionError) as caught:
        called(server if isinstance(server, str) else server.url, call, timeout=timeout)
    return caught.value


# --- no answer


@any_call
def test_a_refused_connection_was_never_sent(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}", call)
    assert type(error) is NotConnected
    assert not error.may_land_late
    expected = f"no server at http://127.0.0.1:{port} (connection refused). Start one: netvision-api serve"
    assert str(error) == expected


def test_a_name_that_is_not_known_was_never_sent() -> None:
    error = failure("http://nowhere.invalid", CALLS["find"])
    assert type(error) is NotConnected
    assert "Start one" not in str(error)


@any_call
def test_a_connection_that_ends_without_a_response_is_lost(call: Call) -> None:
    with raw_server(b"") as server:
        error = failure(server, call)
        assert len(server.requests) == 1
    assert type(error) is ConnectionLost
    assert error.may_land_late


@any_call
def test_silence_times_out(call: Call) -> None:
    with raw_server(lambda _request: None) as server:
        error = failure(server, call, timeout=0.2)
        assert len(server.requests) == 1
    assert type(error) is TimedOut
    assert error.may_land_late
    assert "0.2 s" in str(error)


@any_call
@pytest.mark.parametrize("size", [20, -1], ids=["header", "body"])
def test_a_truncated_response_is_lost(call: Call, size: int) -> None:
    with raw_server(FOUND[:size]) as server:
        error = failure(server, call)
    assert type(error) is ConnectionLost
    assert error.may_land_late


def test_a_stream_that_breaks_off_yields_what_came_and_is_lost() -> None:
    line = RECORD.encode() + b"\n"
    answers = iter([b"%x\r\n%s\r\n" % (len(line), line), b""])
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    seen: list[Record] = []

    async def read(client: Client) -> None:
        async for record in client.stream():
            seen.append(record)  # noqa: PERF401 - those before the error count

    with raw_server(lambda _request: head + next(answers)) as server:
        error = failure(server, read)
        assert len(server.requests) == 2
    assert type(error) is ConnectionLost
    assert seen == [Record(KEY, "x")]


# --- answers that no NetVision gives


@any_call
@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00\x01\x02\x03\r\n\r\n"])
def test_what_is_not_http_is_an_error_of_its_own(call: Call, answer: bytes) -> None:
    with raw_server(answer) as server:
        error = failure(server, call)
    assert isinstance(error, ConnectionLost | UnexpectedResponse)
    assert "\n" not in str(error)


@any_call
@pytest.mark.parametrize(
    "body",
    ["<html><body>Welcome</body></html>", "<html>\n</html>\n", '{"text": 5}', "[[", "5", "null"],
    ids=["html", "html-lines", "shape", "truncated", "number", "null"],
)
def test_the_response_of_something_else_is_unexpected(call: Call, body: str) -> None:
    with raw_server(http_answer("200 OK", body, kind="text/html")) as server:
        error = failure(server, call)
    assert type(error) is UnexpectedResponse
    assert error.exit_code == 1
    assert "--url" in str(error)


@any_record_call
def test_a_response_that_is_not_utf_8_is_unexpected(call: Call) -> None:
    body = b'{"uuid":"%s","text":"\xff"}\n' % str(KEY).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with raw_server(head + body) as server:
        assert type(failure(server, call)) is UnexpectedResponse


def test_the_last_line_of_a_stream_counts_without_its_newline() -> None:
    with raw_server(http_answer("200 OK", RECORD, kind="application/x-ndjson")) as server:
        assert called(server.url, everything) == [Record(KEY, "x")]


@any_call
@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_a_redirect_is_not_followed(call: Call, status: str) -> None:
    with raw_server(FOUND) as other, raw_server(http_answer(status, "", f"Location: {other.url}/all")) as server:
        error = failure(server, call)
        assert (len(server.requests), other.requests) == (1, [])
    assert type(error) is UnexpectedResponse


@any_call
def test_a_status_that_is_no_success_is_no_result(call: Call) -> None:
    with raw_server(b"HTTP/1.1 204 No Content\r\n\r\n") as server:
        assert type(failure(server, call)) is UnexpectedResponse


# --- errors of the server


@any_record_call
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", Refused),
        ("401 Unauthorized", Unauthorized),
        ("403 Forbidden", Unauthorized),
        ("405 Method Not Allowed", Refused),
        ("408 Request Timeout", TimedOut),
        ("409 Conflict", Refused),
        ("413 Content Too Large", Refused),
        ("421 Misdirected Request", Refused),
        ("500 Internal Server Error", ServerError),
        ("502 Bad Gateway", ServerError),
        ("503 Service Unavailable", ServerError),
    ],
)
def test_each_status_has_its_error(call: Call, status: str, kind: type[NetvisionError]) -> None:
    problem = json.dumps({"type": "urn:netvision:problem:some-name", "title": "title", "detail": "why so"})
    with raw_server(http_answer(status, problem, kind="application/problem+json")) as server:
        error = failure(server, call)
    assert type(error) is kind
    assert f"responded with {status[:3]}: why so" in str(error)
    if isinstance(error, Refused):
        assert error.problem == "some-name"


@pytest.mark.parametrize(
    ("status", "exit_code"), [(400, 4), (401, 4), (404, 4), (408, 3), (409, 4), (429, 4), (500, 1), (503, 1)]
)
def test_each_status_has_its_exit_code(status: int, exit_code: int) -> None:
    with raw_server(http_answer(f"{status} X")) as server:
        error = failure(server, CALLS["find"])
    assert error.exit_code == exit_code


@any_record_call
@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("0", 0.0), ("99999", 60.0), ("soon", None), ("-1", None)])
def test_a_server_may_ask_to_wait(call: Call, value: str, seconds: float | None) -> None:
    with raw_server(http_answer("503 Service Unavailable", "{}", f"Retry-After: {value}")) as server:
        error = failure(server, call)
    assert type(error) is ServerError
    assert error.retry_after == seconds


def test_a_retry_after_that_is_no_number_is_left_alone() -> None:
    with raw_server(http_answer("503 Service Unavailable", "{}", "Retry-After: \xb2")) as server:
        assert failure(server, CALLS["find"]).retry_after is None


def test_only_the_word_of_a_netvision_closes_a_request_that_failed() -> None:
    body = json.dumps({"type": "urn:netvision:problem:database-unavailable", "outcome": "not-saved"})
    with raw_server(http_answer("504 Gateway Timeout")) as gateway, raw_server(http_answer("503 X", body)) as server:
        assert failure(gateway, CALLS["store"]).may_land_late
        assert not failure(server, CALLS["store"]).may_land_late


@pytest.mark.parametrize("name", ["find", "remove"])
def test_only_the_word_of_a_netvision_proves_that_a_record_is_absent(name: str) -> None:
    body = json.dumps({"type": "urn:netvision:problem:record-not-found", "detail": "why so"})
    elsewhere = json.dumps({"type": "urn:netvision:problem:not-found"})
    with raw_server(http_answer("404 Not Found", body)) as server:
        assert type(failure(server, CALLS[name])) is NotFound
    for content in ("", elsewhere):
        with raw_server(http_answer("404 Not Found", content)) as gateway:
            error = failure(gateway, CALLS[name])
        assert type(error) is RefusedForNow
        assert error.exit_code == 4
        assert "--url" in str(error)


def test_calls_at_once_have_a_connection_each_and_keep_it() -> None:
    with raw_server(FOUND, keeps=True) as server:

        async def connected() -> None:
            async with Client(server.url, timeout=10) as client:
                for _ in range(3):
                    await asyncio.gather(*(client.find(KEY) for _ in range(5)))
                await client.find(KEY)

        asyncio.run(connected())
        assert len(server.connections) == 5


def test_a_server_that_is_not_ready_gives_its_own_reason() -> None:
    body = json.dumps({"status": "unavailable", "version": "1", "database": "sqlite", "schema": None, "reason": "why"})
    with raw_server(http_answer("503 Service Unavailable", body)) as server:
        readiness = called(server.url, CALLS["readiness"])
    assert (getattr(readiness, "status", None), getattr(readiness, "reason", None)) == ("unavailable", "why")


# --- what is sent


def test_a_token_is_sent_as_bearer_and_of_several_only_the_first(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(" first , second\n")
    for connection in (Connection(token="first,second"), Connection(token_file=file)):
        with raw_server(FOUND) as server:
            called(server.url, CALLS["find"], token=connection.bearer)
        (request,) = server.requests
        assert b"\r\nauthorization: bearer first\r\n" in request.lower()
        assert b"second" not in request


@any_record_call
@pytest.mark.parametrize(
    ("status", "token", "advice"),
    [
        (401, None, "; give its token with --token-file or NETVISION_TOKEN"),
        (401, "wrong", "; check the token that --token-file or NETVISION_TOKEN gives"),
        (403, "read", "; give a token that may do this with --token-file or NETVISION_TOKEN"),
    ],
)
def test_a_token_that_is_missing_or_wrong_or_may_only_read_has_its_own_advice(
    call: Call, status: int, token: str | None, advice: str
) -> None:
    answer = http_answer(f"{status} X", '{"detail": "Why so."}')
    with raw_server(answer) as server, pytest.raises(Unauthorized) as caught:
        called(server.url, call, token=token)
    assert str(caught.value) == f"{server.url} responded with {status}: Why so{advice}"


def test_without_a_token_none_is_sent() -> None:
    with raw_server(FOUND) as server:
        called(server.url, CALLS["find"])
    assert b"authorization" not in server.requests[0].lower()


def test_a_batch_is_sent_as_a_json_array_in_its_order() -> None:
    other = Record(UUID(int=5), 'é"\n')
    with raw_server(LISTED) as server:
        called(server.url, lambda client: client.store([Record(KEY, "x"), other]))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /new HTTP/1.1\r\n")
    assert b"content-type: application/json\r\n" in head.lower() + b"\r\n"
    assert json.loads(body) == [{"uuid": str(KEY), "text": "x"}, {"uuid": str(UUID(int=5)), "text": 'é"\n'}]


def test_a_url_may_have_a_path() -> None:
    with raw_server(FOUND) as server:
        called(f"{server.url}/behind/a/proxy/", CALLS["find"])
    assert server.requests[0].startswith(f"GET /behind/a/proxy/{KEY} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x", "http://127.0.0.1:99999", ""]
)
def test_what_is_no_url_is_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError):
        called(url, CALLS["find"])


# --- one call is one request


@asynccontextmanager
async def warm(url: str) -> AsyncIterator[Client]:
    """Open a client with a kept connection."""
    async with Client(url, timeout=10) as client:
        await client.find(KEY)
        yield client


def outcomes(url: str, call: Call, count: int) -> list[object]:
    """Make calls one after another, over kept connections where there are some."""

    async def connected() -> list[object]:
        async with warm(url) as client:
            return [(await asyncio.gather(call(client), return_exceptions=True))[0] for _ in range(count)]

    return asyncio.run(connected())


@pytest.mark.parametrize("name", ["store", "find", "remove"])
def test_a_server_that_cuts_each_connection_after_its_response_gets_no_request_twice(name: str) -> None:
    answer = LISTED if name == "store" else FOUND

    def answered(request: bytes) -> bytes:
        return FOUND if request.startswith(b"GET") else answer

    with raw_server(answered) as server:
        results = outcomes(server.url, CALLS[name], 20)
        assert len(server.requests) <= 21
    assert all(isinstance(result, Record | list | Unreachable) for result in results)


@pytest.mark.parametrize("name", ["store", "find", "remove"])
def test_a_request_that_dies_with_a_kept_connection_is_not_sent_again(name: str) -> None:
    def answered(request: bytes) -> bytes:
        server.keeps = b"first" in request
        return FOUND if server.keeps else b""

    with raw_server(answered, keeps=True) as server:

        async def connected() -> BaseException | None:
            async with Client(server.url, timeout=10) as client:
                await client.call("GET", "/first", record_decoder)
                return (await asyncio.gather(CALLS[name](client), return_exceptions=True))[0]  # type: ignore[return-value]

        error = asyncio.run(connected())
        assert len(server.requests) == 2
    assert type(error) is ConnectionLost


def test_concurrent_calls_on_dying_connections_are_never_more_requests_than_calls() -> None:
    numbers = iter(range(10**6))
    with raw_server(lambda _request: FOUND if next(numbers) % 3 else b"") as server:

        async def connected() -> list[object]:
            async with Client(server.url, timeout=10) as client:
                calls = [client.remove(KEY) for _ in range(60)]
                return list(await asyncio.gather(*calls, return_exceptions=True))

        results = asyncio.run(connected())
        assert len(server.requests) <= 60
    confirmed = sum(isinstance(result, Record) for result in results)
    assert 0 < confirmed <= 40
    assert all(isinstance(result, Record | Unreachable) for result in results)
