"""Whatever a server sends, the client ends: soon, in little memory, with its exit status and one plain sentence."""

import gzip
import itertools
import json
import resource
import subprocess
import threading
import unicodedata
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from tests.cli.commands import COMMAND, Ended, environment, http_answer, invoke, raw_server

MIB = 2**20
MOST_SENT = 64 * MIB + 16 * MIB
"""The most bytes of a response, and what lies in the buffers of its connection."""

MOST_MEMORY = 1024 * MIB
MOST_SAID = 1536
KEY = "0192f0c4-5c5e-7000-8000-000000000001"
ELSEWHERE = "http://netvision.example"
HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
ENDLESS = b"Content-Length: 1000000000000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BLOCK = b" " * 2**16
OK, FAILED = HEAD % b"200 OK", HEAD % b"500 Internal Server Error"
DEEP = "[" * 100_000

Pieces = Callable[[], Iterator[bytes]]


def endless(*start: bytes, block: bytes = BLOCK) -> Pieces:
    return lambda: itertools.chain(start, itertools.repeat(block))


def drip(*start: bytes, piece: bytes = b" ") -> Pieces:
    """Send a piece now and then."""

    def pieces() -> Iterator[bytes]:
        yield from start
        while True:
            threading.Event().wait(0.05)
            yield piece

    return pieces


def whole(answer: bytes) -> Pieces:
    return lambda: iter([answer])


TOO_MUCH = {
    "body": endless(OK, ENDLESS),
    "error": endless(FAILED, ENDLESS),
    "chunks": endless(OK, CHUNKED, block=b"10000\r\n%s\r\n" % BLOCK),
    "until the end": endless(OK, b"\r\n"),
}
TOO_MUCH_HEAD = {
    "head": endless(OK, block=b"X-A: %s\r\n" % BLOCK[:4096] * 16),
    "one header": endless(OK, b"X-A: ", block=b"a" * 2**16),
    "status line": endless(b"HTTP/1.1 200 ", block=b"a" * 2**16),
    "hints": endless(block=b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1024),
    "trailers": endless(OK, CHUNKED, b"0\r\n", block=b"X-A: %s\r\n" % BLOCK[:4096] * 16),
}
TOO_SLOW = {
    "head": drip(OK, piece=b"X: y\r\n"),
    "body": drip(OK, ENDLESS),
    "chunks": drip(OK, CHUNKED, piece=b"1\r\n \r\n"),
    "error": drip(FAILED, ENDLESS),
}
MALFORMED = {
    "deep": whole(http_answer("200 OK", DEEP)),
    "deep member": whole(http_answer("200 OK", f'{{"uuid":"{KEY}","text":"a","status":"ready","x":{DEEP}')),
    "deep error": whole(http_answer("400 Bad Request", f'{{"x":{DEEP}')),
    "bomb": whole(OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(bytes(64 * MIB), 1)),
    "long reason": whole(http_answer("503 X", json.dumps({"detail": "\u2028" * 20 * MIB, "status": "\x9b" * MIB}))),
    "terminal codes": whole(http_answer("400 X", json.dumps({"detail": "\x1b]0;x\x07\x9b\u202e\r\n" * 1000}))),
    "codes for HTTP": whole(b"\x1b[31m\x9b\x07" * 1000 + b"\r\n\r\n"),
    "codes in the status": whole(b"HTTP/1.1 200\x1b[31m\x9b\r\n\r\n"),
}

any_way = pytest.mark.parametrize(
    ("way", "arguments"),
    [("direct", ("get", KEY)), ("proxy", ("get", KEY)), ("direct", ("list",)), ("direct", ("status",))],
    ids=["call", "call by proxy", "stream", "status"],
)


def attacked(pieces: Pieces, way: str, *arguments: str, timeout: str = "30s") -> Ended:
    """Run a command against a server that sends this, to its end; check how it says what happened."""
    with raw_server(lambda _request: pieces()) as server:
        url, proxy = (server.url, {}) if way == "direct" else (ELSEWHERE, {"HTTP_PROXY": server.url})
        ended = invoke(url, *arguments, "--timeout", timeout, **proxy)
        assert server.sent < MOST_SENT
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert len(ended.err) < MOST_SAID
    assert {unicodedata.category(character) for character in ended.err.removesuffix("\n")}.isdisjoint({"Cc", "Zl"})
    return ended


@any_way
@pytest.mark.parametrize("pieces", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_an_endless_response_ends_as_too_large(pieces: Pieces, way: str, arguments: tuple[str, ...]) -> None:
    ended = attacked(pieces, way, *arguments)
    assert ended.code == 1
    assert "sends larger responses than a NetVision does; check --url" in ended.err


@any_way
@pytest.mark.parametrize("pieces", TOO_MUCH_HEAD.values(), ids=TOO_MUCH_HEAD.keys())
def test_an_endless_head_ends(pieces: Pieces, way: str, arguments: tuple[str, ...]) -> None:
    assert attacked(pieces, way, *arguments, timeout="300ms").code in {1, 3}


@any_way
@pytest.mark.parametrize("pieces", TOO_SLOW.values(), ids=TOO_SLOW.keys())
def test_a_response_that_drips_ends_with_the_timeout(pieces: Pieces, way: str, arguments: tuple[str, ...]) -> None:
    ended = attacked(pieces, way, *arguments, timeout="300ms")
    assert ended.code == 3
    assert "did not respond within 0.3 s; wait longer with --timeout" in ended.err


@any_way
@pytest.mark.parametrize("pieces", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_no_netvision_sends_is_reported_in_one_sentence(
    pieces: Pieces, way: str, arguments: tuple[str, ...]
) -> None:
    assert attacked(pieces, way, *arguments).code in {1, 3, 4}


@pytest.mark.parametrize("command", ["get", "list"])
@pytest.mark.parametrize("pieces", [TOO_MUCH["body"], MALFORMED["bomb"]], ids=["body", "bomb"])
def test_the_memory_of_a_client_is_bounded(pieces: Pieces, command: str) -> None:
    with raw_server(lambda _request: pieces()) as server:
        ended = subprocess.run(
            [*COMMAND, command, *[KEY] * (command == "get")],
            env=environment(server.url),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY)),
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.count(b"\n") == 1


# --- streams that break


def cut_stream(count: int, size: int) -> Callable[[bytes], bytes]:
    """Serve `count` records as a stream of which each connection carries only so many bytes."""

    def answer(request: bytes) -> bytes:
        target = request.split(b" ")[1].decode()
        wanted = int(target[1:].partition("?")[0])
        start = UUID(target.partition("?after=")[2] or str(UUID(int=0))).int
        lines = [b'{"uuid":"%s","text":"a"}\n' % str(UUID(int=n)).encode() for n in range(start + 1, count + 1)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in lines[:wanted])
        cut = len(body) > size
        return OK + CHUNKED + (body[:size] if cut else body + b"0\r\n\r\n")

    return answer


@pytest.mark.parametrize("arguments", [(), ("15",), ("--after", str(UUID(int=5)))], ids=["all", "some", "after"])
@pytest.mark.parametrize("size", [64, 100, 127, 300])
def test_a_stream_that_breaks_anywhere_is_continued_after_its_last_record(
    size: int, arguments: tuple[str, ...]
) -> None:
    with raw_server(cut_stream(20, size)) as server:
        ended = invoke(server.url, "list", *arguments)
    assert (ended.code, ended.err) == (0, "")
    first, last = (6, 20) if "--after" in arguments else (1, 15 if arguments else 20)
    assert ended.lines == [f"{UUID(int=n)}\ta" for n in range(first, last + 1)]


def test_a_stream_that_breaks_before_its_next_record_ends() -> None:
    with raw_server(cut_stream(20, 50)) as server:
        ended = invoke(server.url, "list")
        assert len(server.requests) == 1
    assert (ended.code, ended.out, ended.err.count("\n")) == (3, "", 1)


@pytest.mark.parametrize("body", [f'{{"uuid":"{KEY}","text":"a"}}\n' * 2, f'{{"uuid":"{KEY}","text":"a"}}\n' * 10**4])
def test_a_stream_that_repeats_a_record_ends(body: str) -> None:
    with raw_server(http_answer("200 OK", body)) as server:
        ended = invoke(server.url, "list")
    assert (ended.code, ended.lines) == (1, [f"{KEY}\ta"])
    assert "a record that is not the next one" in ended.err
