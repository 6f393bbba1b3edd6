"""Bodies of POST /new that are refused: by name, with a pointer, and without a trace in the database."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netvision_api.settings import Settings
from tests.api.wire import BODY, connect
from tests.databases import AnyDatabase, on_sqlite
from tests.servers import served

KEY = "0192f0c4-5c5e-7000-8000-000000000001"
JSON = {"Content-Type": "application/json"}
DEEP = 100_000

MALFORMED = {
    "empty": b"",
    "blank": b" \n",
    "truncated array": b'[{"text":"a"}',
    "truncated object": b'{"text":"a"',
    "truncated string": b'[{"text":"a',
    "truncated after a wrong type": b'[{"text":1}',
    "trailing comma": b'[{"text":"a"},]',
    "single quotes": b"[{'text':'a'}]",
    "bare name": b'[{text:"a"}]',
    "comment": b'// records\n[{"text":"a"}]',
    "half a literal": b"tru",
    "leading zero": b"[01]",
    "leading plus": b"[+1]",
    "leading point": b"[.5]",
    "trailing point": b"[1.]",
    "half an exponent": b"[1e]",
    "minus alone": b"[-]",
    "hexadecimal number": b"[0x1]",
    "double comma": b'[{"text":"a"},,{"text":"b"}]',
    "leading comma": b'[,{"text":"a"}]',
    "no comma": b'[{"text":"a"} {"text":"b"}]',
    "comma for a colon": b'[{"text","a"}]',
    "member without a value": b'[{"text":}]',
    "member without a name": b'[{:"a"}]',
    "trailing comma in an object": b'[{"text":"a",}]',
    "two colons": b'[{"text"::"a"}]',
    "name that is no string": b'[{1:"a"}]',
    "closed otherwise": b'[{"text":"a"]}',
    "literal in capitals": b"[TRUE]",
    "form feed": b'[\f{"text":"a"}]',
    "no-break space": '[\u00a0{"text":"a"}]'.encode(),
    "NaN": b'[{"text":NaN}]',
    "Infinity": b"[-Infinity]",
    "BOM": b'\xef\xbb\xbf[{"text":"a"}]',
    "UTF-16": '[{"text":"a"}]'.encode("utf-16"),
    "UTF-16 without BOM": '[{"text":"a"}]'.encode("utf-16-le"),
    "UTF-32": '[{"text":"a"}]'.encode("utf-32"),
    "invalid UTF-8": b"\xff",
    "invalid UTF-8 in a text": b'[{"text":"a\xffb"}]',
    "invalid UTF-8 in a uuid": b'[{"uuid":"\xff","text":"a"}]',
    "invalid UTF-8 in a name": b'[{"text":"a","\xff":1}]',
    "half a character": b'[{"text":"\xe2\x82"}]',
    "overlong NUL": b'[{"text":"\xc0\x80"}]',
    "beyond Unicode": b'[{"text":"\xf4\x90\x80\x80"}]',
    "raw high surrogate": b'[{"text":"\xed\xa0\x80"}]',
    "raw surrogate pair": b'[{"text":"\xed\xa0\xbd\xed\xb8\x80"}]',
    "escaped high surrogate": rb'[{"text":"\ud800"}]',
    "escaped high surrogate inside": rb'[{"text":"a\ud800b"}]',
    "escaped low surrogate": rb'[{"text":"\udc00"}]',
    "high surrogate before a letter": rb'[{"text":"\ud800\u0041"}]',
    "surrogates in the wrong order": rb'[{"text":"\ude00\ud83d"}]',
    "surrogate in an unknown member": rb'[{"text":"a","x":"\udc00"}]',
    "unknown escape": rb'[{"text":"\x41"}]',
    "short escape": rb'[{"text":"\u41"}]',
    "control character": b'[{"text":"a\nb"}]',
    "raw NUL": b'[{"text":"\0"}]',
    "form": b"text=a",
}

NO_RECORD: dict[str, tuple[bytes, str]] = {
    "null": (b"null", "#"),
    "true": (b"true", "#"),
    "a number": (b"1", "#"),
    "a huge number": (b"1e999", "#"),
    "a string": (b'"text"', "#"),
    "null in the array": (b"[null]", "#/0"),
    "a string in the array": (b'["a"]', "#/0"),
    "an array in the array": (b'[[{"text":"a"}]]', "#/0"),
    "a huge number in the array": (b"[1e999]", "#/0"),
    "an empty object": (b"{}", "#/text"),
    "text missing": (f'[{{"uuid":"{KEY}"}}]'.encode(), "#/0/text"),
    "text null": (b'[{"text":null}]', "#/0/text"),
    "text a number": (b'[{"text":1}]', "#/0/text"),
    "text a huge number": (b'[{"text":1e999}]', "#/0/text"),
    "text a very long number": (b'[{"text":' + b"9" * 5000 + b"}]", "#/0/text"),
    "text an array": (b'[{"text":["a"]}]', "#/0/text"),
    "text of a single object null": (b'{"text":null}', "#/text"),
    "unknown member": (b'[{"text":"a","id":1}]', "#/0/id"),
    "unknown member of a single object": (b'{"text":"a","id":1}', "#/id"),
    "unknown member without a name": (b'[{"text":"a","":1}]', "#/0/"),
    "unknown member to be escaped": (b'[{"text":"a","a/b~c":1}]', "#/0/a~1b~0c"),
    "unknown member named like a place": (b'[{"text":"a","x - at `$":1}]', "#/0/x - at `$"),
    "member in another case": (b'[{"text":"a","Text":"b"}]', "#/0/Text"),
    "the last of three": (b'[{"text":"a"},{"text":"b"},{"text":false}]', "#/2/text"),
    "uuid a number": (b'[{"text":"a","uuid":1}]', "#/0/uuid"),
    "uuid empty": (b'[{"text":"a","uuid":""}]', "#/0/uuid"),
}

MALFORMED_UUIDS = {
    "a word": "abc",
    "braces": f"{{{KEY}}}",
    "urn": f"urn:uuid:{KEY}",
    "space": f" {KEY}",
    "newline": f"{KEY}\n",
    "too short": KEY[:-1],
    "too long": f"{KEY}0",
    "no hex": KEY.replace("0192", "g192"),
    "other digits": KEY.replace("0192", "\u0660192"),
    "one hyphen less": KEY.replace("-", "", 1),
    "hyphens elsewhere": "0192f0c45c-5e-7000-8000-000000000001",
    "31 digits": UUID(KEY).hex[:31],
}

DEEP_BODIES = {
    "arrays": b"[" * DEEP + b"]" * DEEP,
    "arrays left open": b"[" * DEEP,
    "objects": b'{"text":' * DEEP + b"1" + b"}" * DEEP,
    "in a text": b'[{"text":' + b"[" * DEEP + b"]" * DEEP + b"}]",
    "in an unknown member": b'[{"text":"a","x":' + b"[" * DEEP + b"]" * DEEP + b"}]",
}

TRAILING = [b'[{"text":"a"}]x', b'[{"text":"a"}][]', b'{"text":"a"}\n{"text":"b"}', b'[{"text":"a"}]\0', b"[]]"]

WRONG_TYPES = [
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "application/x-ndjson",
    "application/problem+json",
    "text/csv",
    "*/*",
    "application/json; charset=utf-16",
    "application/json; charset=iso-8859-1",
    "application/json, text/plain",
    "text/plain; application/json",
]

SMALL_BODY = 1000


@pytest.fixture(scope="module")
def small_service(shared_database: AnyDatabase) -> Iterator[str]:
    """A service with limits that are easy to pass."""
    limits = {"max_body": SMALL_BODY, "max_records": 3, "max_text": 10}
    with served(Settings(database_url=shared_database.url, port=0, migrate=False, **limits)) as url:  # type: ignore[arg-type]
        yield url


@pytest.fixture
def small(small_service: str, database: AnyDatabase) -> Iterator[httpx.Client]:
    """A client of that service, without records."""
    assert database
    with httpx.Client(base_url=small_service, timeout=30, trust_env=False, verify=False) as client:
        yield client


def post(http: httpx.Client, body: bytes) -> httpx.Response:
    return http.post("/new", content=body, headers=JSON)


def name_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return str(answer.json()["type"]).removeprefix("urn:netvision:problem:")


def pointers(answer: httpx.Response) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def exchange(url: str, *parts: bytes) -> bytes:
    """Send bytes, and return all that comes back until the server closes."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port or 0), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@on_sqlite
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_refused_and_stores_nothing(http: httpx.Client, database: AnyDatabase, body: bytes) -> None:
    answer = post(http, body)
    assert (answer.status_code, name_of(answer), database.count()) == (400, "malformed-json", 0)
    assert answer.json()["detail"]


@on_sqlite
@pytest.mark.parametrize(("body", "pointer"), NO_RECORD.values(), ids=NO_RECORD)
def test_what_is_no_record_is_pointed_at_and_stores_nothing(
    http: httpx.Client, database: AnyDatabase, body: bytes, pointer: str
) -> None:
    answer = post(http, body)
    assert (answer.status_code, name_of(answer), database.count()) == (400, "invalid-record", 0)
    assert pointers(answer)[0] == pointer
    assert all(error["detail"] for error in answer.json()["errors"])


@on_sqlite
@pytest.mark.parametrize("key", MALFORMED_UUIDS.values(), ids=MALFORMED_UUIDS)
def test_a_malformed_uuid_is_pointed_at_and_stores_nothing(http: httpx.Client, database: AnyDatabase, key: str) -> None:
    answer = http.post("/new", json=[{"text": "a"}, {"uuid": key, "text": "b"}])
    assert (answer.status_code, name_of(answer), database.count()) == (400, "invalid-record", 0)
    assert pointers(answer) == ["#/1/uuid"]


@on_sqlite
@pytest.mark.parametrize("body", DEEP_BODIES.values(), ids=DEEP_BODIES)
def test_a_body_nested_very_deep_is_refused(http: httpx.Client, database: AnyDatabase, body: bytes) -> None:
    answer = post(http, body)
    assert (answer.status_code, database.count()) == (400, 0)
    assert name_of(answer) in {"malformed-json", "invalid-record"}


@on_sqlite
@pytest.mark.parametrize("body", TRAILING)
def test_bytes_after_the_records_are_refused(http: httpx.Client, database: AnyDatabase, body: bytes) -> None:
    answer = post(http, body)
    assert (answer.status_code, database.count()) == (400, 0)
    assert name_of(answer) in {"malformed-json", "invalid-record"}


@on_sqlite
@pytest.mark.parametrize("body", [b'{"text":1, "%s": 1}', b'{"text":"a", "%s": 1}', b'[{"text":"a", "%s": 1}]'])
def test_a_long_name_is_not_repeated_in_the_response(http: httpx.Client, body: bytes) -> None:
    answer = post(http, body % (b"x" * 1_000_000))
    assert name_of(answer) == "invalid-record"
    assert len(answer.content) < 2000


def test_white_space_around_the_records_is_fine(http: httpx.Client) -> None:
    assert post(http, b' \r\n\t[ { "text" : "a" } ] \r\n\t').status_code == 201


def test_a_name_may_be_written_with_escapes(http: httpx.Client) -> None:
    assert post(http, rb'{"te\u0078t":"a"}').json()["text"] == "a"


def test_escaped_pairs_of_surrogates_are_one_character(http: httpx.Client) -> None:
    assert post(http, rb'{"text":"\ud83d\ude00"}').json()["text"] == "\U0001f600"


def test_u_0000_is_refused_and_pointed_at(http: httpx.Client, database: AnyDatabase) -> None:
    answer = http.post("/new", json=[{"text": "a"}, {"text": "b\0"}, {"text": "\0"}])
    assert (answer.status_code, name_of(answer), database.count()) == (400, "nul-character", 0)
    assert pointers(answer) == ["#/1/text", "#/2/text"]


@on_sqlite
def test_u_0000_in_a_single_object_is_pointed_at(http: httpx.Client) -> None:
    answer = http.post("/new", json={"text": "\0"})
    assert (name_of(answer), pointers(answer)) == ("nul-character", ["#/text"])


@on_sqlite
def test_no_more_than_twenty_faults_are_listed(http: httpx.Client) -> None:
    answer = http.post("/new", json=[{"text": "\0"}] * 30)
    assert pointers(answer) == [f"#/{position}/text" for position in range(20)]


def test_too_many_records_are_refused_with_both_numbers(small: httpx.Client, database: AnyDatabase) -> None:
    assert small.post("/new", json=[{"text": "a"}] * 3).status_code == 201
    answer = small.post("/new", json=[{"text": "a"}] * 4)
    assert (answer.status_code, name_of(answer), database.count()) == (400, "batch-too-large", 3)
    assert re.findall(r"\d+", answer.json()["detail"]) == ["4", "3"]


@pytest.mark.parametrize("character", ["a", "é", "\U0001f600"])
def test_a_text_is_measured_in_characters(small: httpx.Client, database: AnyDatabase, character: str) -> None:
    assert small.post("/new", json={"text": character * 10}).status_code == 201
    answer = small.post("/new", json=[{"text": "a"}, {"text": character * 11}])
    assert (answer.status_code, name_of(answer), database.count()) == (400, "text-too-long", 1)
    assert pointers(answer) == ["#/1/text"]
    assert "11" in answer.json()["detail"]
    assert "10" in answer.json()["detail"]


@on_sqlite
def test_more_than_ten_thousand_records_are_too_many(http: httpx.Client, database: AnyDatabase) -> None:
    answer = http.post("/new", json=[{"text": "a"}] * 10_001)
    assert (name_of(answer), database.count()) == ("batch-too-large", 0)


def test_a_text_has_up_to_1_048_576_characters(http: httpx.Client, database: AnyDatabase) -> None:
    assert http.post("/new", json={"text": "a" * 2**20}).status_code == 201
    answer = http.post("/new", json={"text": "a" * (2**20 + 1)})
    assert (name_of(answer), database.count()) == ("text-too-long", 1)


def test_a_body_of_just_the_limit_is_taken(small: httpx.Client) -> None:
    body = b'[{"text":"a"}]'
    assert post(small, body.ljust(SMALL_BODY)).status_code == 201


@on_sqlite
def test_a_body_too_large_by_its_length_is_refused_unread(service: str, database: AnyDatabase) -> None:
    head = (
        b"POST /new HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10485761\r\n\r\n"
    )
    with connect(service) as connection:
        connection.sendall(head)
        answer = connection.recv(65536)
    check_too_large(answer)
    assert b"10485760" in answer
    assert database.count() == 0


@on_sqlite
def test_a_body_too_large_in_chunks_is_refused_before_its_end(small_service: str, database: AnyDatabase) -> None:
    head = (
        b"POST /new HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"1f4\r\n" + b" " * 500 + b"\r\n"
    with connect(small_service) as connection:
        connection.sendall(head + chunk + chunk + chunk)
        check_too_large(connection.recv(65536))
    assert database.count() == 0


@on_sqlite
def test_a_client_that_writes_its_body_first_reads_the_413_and_goes_on(service: str) -> None:
    where = urlsplit(service)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    with closing(connection):
        for size, status in [(10_485_761, 413), (12_000_000, 413), (14, 201)]:
            connection.request("POST", "/new", BODY.ljust(size), {"Content-Type": "application/json"})
            response = connection.getresponse()
            assert (response.status, response.read() != b"") == (status, True)


@on_sqlite
@pytest.mark.parametrize("part", ["9e307,", "[],", '{"a":9e307},'])
def test_other_json_is_refused_without_building_its_values(service: str, part: str) -> None:
    """The decoder's slow path for large exponents would take 20 seconds, and keep everybody waiting."""
    body = "[" + part * (10_000_000 // len(part)) + "0]"
    answer = httpx.post(f"{service}/new", content=body, headers={"Content-Type": "application/json"}, timeout=10)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:netvision:problem:invalid-record")


def check_too_large(answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert re.search(rb"(?im)^content-type: application/problem\+json\r?$", head)
    assert json.loads(body)["type"] == "urn:netvision:problem:body-too-large"


def test_a_body_in_chunks_is_taken(small: httpx.Client) -> None:
    answer = small.post("/new", content=iter([b"[", b'{"text":', b'"a"}', b"]"]), headers=JSON)
    assert answer.status_code == 201


@on_sqlite
@pytest.mark.parametrize("content_type", WRONG_TYPES)
def test_another_content_type_is_refused(http: httpx.Client, database: AnyDatabase, content_type: str) -> None:
    answer = http.post("/new", content=b'[{"text":"a"}]', headers={"Content-Type": content_type})
    assert (answer.status_code, name_of(answer), database.count()) == (415, "unsupported-media-type", 0)


@on_sqlite
def test_a_missing_content_type_is_refused(http: httpx.Client, database: AnyDatabase) -> None:
    answer = http.post("/new", content=b'[{"text":"a"}]')
    assert "content-type" not in answer.request.headers
    assert (answer.status_code, name_of(answer), database.count()) == (415, "unsupported-media-type", 0)


@on_sqlite
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity", "utf-8", ""])
def test_any_content_encoding_is_refused(http: httpx.Client, database: AnyDatabase, encoding: str) -> None:
    answer = http.post("/new", content=b'[{"text":"a"}]', headers=JSON | {"Content-Encoding": encoding})
    assert (answer.status_code, name_of(answer), database.count()) == (415, "unsupported-media-type", 0)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json ; charset=utf8",
    ],
)
def test_json_in_utf_8_is_taken(http: httpx.Client, content_type: str) -> None:
    answer = http.post("/new", content='[{"text":"é"}]'.encode(), headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()[0]["text"]) == (201, "é")


ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "uuid"]) | st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
ANY_BODY = (
    st.binary(max_size=200)
    | ANY_VALUE.map(lambda value: json.dumps(value).encode())
    | ANY_VALUE.map(lambda value: json.dumps([{"text": value}]).encode())
    | st.binary(max_size=20).map(lambda raw: b'[{"text":"' + raw + b'"}]')
    | st.binary(max_size=40).map(lambda raw: b'[{"text":"a","uuid":"' + raw + b'"}]')
)


@given(body=ANY_BODY)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_the_service_fail(http: httpx.Client, body: bytes) -> None:
    answer = post(http, body)
    if answer.status_code not in {200, 201}:
        assert answer.status_code in {400, 409}
        assert name_of(answer)
