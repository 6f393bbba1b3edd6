"""Reading: one record, pages, streams, and their three formats."""

import csv
import json
import re
import socket
import threading
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.api.services import service_on
from tests.databases import AnyDatabase
from tests.servers import served

Record = dict[str, str]

ABSENT = "0192f0c4-5c5e-7000-8000-000000000001"
MIB = 2**20
AWKWARD = [
    "",
    " ",
    " a ",
    'say "yes"',
    '"',
    "a,b",
    ",",
    "line\nline",
    "line\r\nline",
    "\r",
    "\n",
    "tab\t",
    "back\\slash\\n",
    "'",
    "=1+1",
    "\x01\x1b[31m\x7f\x85",
    "\u2028\u2029\ufeff",
    "żółć ٣ 漢字",
    "\U0001f600",
    "e\u0301",
    "null",
    "uuid,text",
]
NDJSON, CSV = {"Accept": "application/x-ndjson"}, {"Accept": "text/csv"}


def store(http: httpx.Client, *texts: str) -> list[Record]:
    """Store texts under random uuids, and return the records by uuid."""
    batch = [{"uuid": str(uuid4()), "text": text} for text in texts]
    answer = http.post("/new", json=batch)
    assert answer.status_code == 201
    return sorted(batch, key=lambda record: record["uuid"])


def of_csv(text: str) -> list[Record]:
    head, *rows = csv.reader(StringIO(text, newline=""))
    assert head == ["uuid", "text"]
    return [{"uuid": key, "text": value} for key, value in rows]


def of_ndjson(text: str) -> list[Record]:
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def next_path(answer: httpx.Response) -> str | None:
    """Return where the Link header points."""
    if "link" not in answer.headers:
        return None
    found = re.fullmatch('<(/[0-9]+[?]after=[0-9a-f-]{36})>; rel="next"', answer.headers["link"])
    assert found
    return found[1]


def walk(http: httpx.Client, count: int) -> list[Record]:
    """Follow the Link headers from the first page to the last."""
    visited: list[Record] = []
    path: str | None = f"/{count}"
    while path:
        answer = http.get(path)
        visited += answer.json()
        path = next_path(answer)
    return visited


def test_a_record_is_read_by_its_uuid(http: httpx.Client) -> None:
    for record in store(http, *AWKWARD):
        answer = http.get(f"/{record['uuid']}")
        assert (answer.status_code, answer.json()) == (200, record)
        assert list(answer.json()) == ["uuid", "text"]
        assert "link" not in answer.headers


def test_an_absent_record_is_named_in_its_404(http: httpx.Client) -> None:
    store(http, "a")
    answer = http.get(f"/{UUID(ABSENT).hex.upper()}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:netvision:problem:record-not-found"
    assert ABSENT in answer.json()["detail"]


def test_records_are_ordered_by_uuid_everywhere(http: httpx.Client) -> None:
    edges = ["0" * 32, "7" + "f" * 31, "8" + "0" * 31, "f" * 32, "00" + "f" * 30, "0" * 31 + "1"]
    batch = [{"uuid": str(UUID(key)), "text": key} for key in edges]
    assert http.post("/new", json=batch).json() == batch
    ordered = sorted(batch, key=lambda record: record["uuid"])
    assert http.get("/all").json() == ordered
    assert http.get("/6").json() == ordered
    assert http.get("/6000").json() == ordered
    assert walk(http, 1) == ordered


def test_a_count_gives_the_first_records(http: httpx.Client) -> None:
    stored = store(http, *"abcde")
    for count in range(8):
        assert http.get(f"/{count}").json() == stored[:count]


def test_count_zero_gives_an_empty_list_without_link(http: httpx.Client) -> None:
    store(http, "a")
    for path in ("/0", f"/0?after={ABSENT}"):
        answer = http.get(path)
        assert (answer.status_code, answer.text) == (200, "[]")
        assert "link" not in answer.headers


@pytest.mark.parametrize("path", ["/0", "/5", "/1000", "/1001", "/all", f"/5?after={ABSENT}"])
def test_nothing_stored_is_an_empty_list(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.text) == (200, "[]")
    assert "link" not in answer.headers
    assert http.get(path, headers=NDJSON).content == b""
    assert http.get(path, headers=CSV).content == b"uuid,text\r\n"


def test_a_full_page_links_to_the_next(http: httpx.Client) -> None:
    stored = store(http, *"abcde")
    answer = http.get("/3")
    assert answer.headers["link"] == f'</3?after={stored[2]["uuid"]}>; rel="next"'
    behind = http.get(f"/3?after={stored[2]['uuid']}")
    assert behind.json() == stored[3:]
    assert "link" not in behind.headers


def test_a_page_that_is_full_with_the_last_record_links_to_an_empty_one(http: httpx.Client) -> None:
    stored = store(http, *"abc")
    answer = http.get("/3")
    assert answer.headers["link"] == f'</3?after={stored[-1]["uuid"]}>; rel="next"'
    last = http.get(next_path(answer) or "")
    assert (last.json(), "link" in last.headers) == ([], False)


def test_a_page_starts_after_a_uuid_whether_or_not_it_is_stored(http: httpx.Client) -> None:
    stored = store(http, *"abcde")
    key = UUID(stored[1]["uuid"])
    for after in (str(key), str(key).upper(), key.hex, str(UUID(int=key.int + 1))):
        assert http.get("/9", params={"after": after}).json() == stored[2:]
    assert http.get("/9", params={"after": str(UUID(int=key.int - 1))}).json() == stored[1:]
    assert http.get("/9", params={"after": "0" * 32}).json() == stored
    assert http.get("/9", params={"after": "f" * 32}).json() == []


@given(number=st.integers(0, 25), count=st.integers(1, 12))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_following_the_links_visits_every_record_once(
    http: httpx.Client, database: AnyDatabase, number: int, count: int
) -> None:
    database.wipe()
    stored = store(http, *map(str, range(number))) if number else []
    assert walk(http, count) == stored


def test_a_count_up_to_a_thousand_is_a_page_and_a_larger_one_a_stream(http: httpx.Client) -> None:
    stored = store(http, *map(str, range(2300)))
    page = http.get("/1000")
    assert page.json() == stored[:1000]
    assert next_path(page) == f"/1000?after={stored[999]['uuid']}"
    assert walk(http, 1000) == stored
    for count in (1001, 2000, 2299, 2300, 2301, 10**18 - 1):
        answer = http.get(f"/{count}")
        assert answer.json() == stored[:count]
        assert "link" not in answer.headers
    assert http.get(f"/1200?after={stored[99]['uuid']}").json() == stored[100:1300]
    everything = http.get("/all")
    assert everything.json() == stored
    assert "link" not in everything.headers


def heavy(http: httpx.Client) -> list[Record]:
    """Store twelve records of a mebibyte each."""
    keys = sorted(str(uuid4()) for _ in range(12))
    texts = [chr(ord("a") + number) * MIB for number in range(12)]
    stored = [{"uuid": key, "text": text} for key, text in zip(keys, texts, strict=True)]
    for half in (stored[:6], stored[6:]):
        assert http.post("/new", json=half).status_code == 201
    return stored


def test_a_page_heavier_than_the_server_reads_at_once_is_whole_and_links_to_the_next(http: httpx.Client) -> None:
    stored = heavy(http)
    for count in (1, 3, 4, 5, 8, 12):
        answer = http.get(f"/{count}")
        assert answer.json() == stored[:count]
        assert next_path(answer) == f"/{count}?after={stored[count - 1]['uuid']}"
    answer = http.get(f"/7?after={stored[1]['uuid']}")
    assert answer.json() == stored[2:9]
    assert next_path(answer) == f"/7?after={stored[8]['uuid']}"


def test_heavy_records_that_do_not_fill_the_page_come_without_link(http: httpx.Client) -> None:
    stored = heavy(http)
    for path in ("/13", "/1000", "/1001", "/all"):
        answer = http.get(path)
        assert answer.json() == stored
        assert "link" not in answer.headers
    assert http.get(f"/12?after={stored[0]['uuid']}").json() == stored[1:]
    assert of_ndjson(http.get("/all", headers=NDJSON).text) == stored
    assert walk(http, 5) == stored


@pytest.mark.parametrize("character", ["\u00e9", "\U0001f600", "\x01"])
def test_texts_heavy_in_bytes_only_are_whole_too(http: httpx.Client, character: str) -> None:
    batch = [{"uuid": str(UUID(int=number)), "text": character * 250_000} for number in range(6)]
    for record in batch:
        body = json.dumps(record, ensure_ascii=False).encode()
        assert http.post("/new", content=body, headers={"Content-Type": "application/json"}).status_code == 201
    answer = http.get("/6")
    assert answer.json() == batch
    assert next_path(answer) == f"/6?after={UUID(int=5)}"
    assert http.get("/all").json() == batch


@pytest.mark.parametrize("path", ["/all", "/1000", "/5000", "/22"])
def test_csv_and_ndjson_lose_nothing(http: httpx.Client, path: str) -> None:
    stored = store(http, *AWKWARD)
    assert http.get(path).json() == stored
    assert of_csv(http.get(path, headers=CSV).content.decode()) == stored
    assert of_ndjson(http.get(path, headers=NDJSON).content.decode()) == stored


def test_a_stream_of_many_pages_is_one_document_in_every_format(http: httpx.Client) -> None:
    stored = store(http, *(f'{number},"\r\n' for number in range(2500)))
    assert http.get("/all").json() == stored
    assert of_csv(http.get("/all", headers=CSV).content.decode()) == stored
    assert of_ndjson(http.get("/all", headers=NDJSON).content.decode()) == stored


def test_a_single_record_in_csv_and_ndjson_loses_nothing(http: httpx.Client) -> None:
    for record in store(http, *AWKWARD):
        path = f"/{record['uuid']}"
        assert of_csv(http.get(path, headers=CSV).content.decode()) == [record]
        assert of_ndjson(http.get(path, headers=NDJSON).content.decode()) == [record]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json", "application/json"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/csv", "text/csv"),
        ("Text/CSV", "text/csv"),
        ("text/csv; charset=utf-8", "text/csv"),
        ("text/*", "text/csv"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html, */*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("image/png, text/csv", "text/csv"),
        ("application/json;q=0.1, text/csv;q=0.9", "text/csv"),
        ("image/png", "application/json"),
        ("application/problem+json", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("", "application/json"),
        (",;/q=", "application/json"),
        ("text/csv;q=much", "text/csv"),
        (f"text/csv{',' * 1000}", "text/csv"),
        (f"text/csv{',' * 60_000}", "application/json"),
    ],
)
def test_accept_chooses_the_format_and_json_is_the_last_resort(
    http: httpx.Client, accept: str, media_type: str
) -> None:
    for path in ("/all", "/5"):
        answer = http.get(path, headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert answer.headers["vary"] == "Accept"


def test_errors_are_problems_with_any_accept_header(http: httpx.Client) -> None:
    for path in (f"/{ABSENT}", "/abc", "/5?after=x", "/x/y"):
        assert http.get(path, headers=CSV).headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/{uuid}", "/2", "/0", "/5", "/2000", "/all", "/health/live", "/health/ready"])
def test_head_responds_as_get_does_without_a_body(http: httpx.Client, path: str) -> None:
    path = path.format(uuid=store(http, "a", "b", "c")[1]["uuid"])
    for headers in ({}, NDJSON, CSV):
        got, head = http.get(path, headers=headers), http.head(path, headers=headers)
        assert head.status_code == got.status_code == 200
        assert head.content == b""
        for name in ("content-type", "link"):
            assert head.headers.get(name) == got.headers.get(name)
        assert head.headers.get("content-length") in {None, got.headers.get("content-length")}
        assert http.get(path, headers=headers).content == got.content


@pytest.mark.parametrize(("path", "status"), [(f"/{ABSENT}", 404), ("/abc", 404), ("/5?after=x", 400), ("/x/y", 404)])
def test_head_responds_to_an_error_as_get_does_without_a_body(http: httpx.Client, path: str, status: int) -> None:
    head = http.head(path)
    assert (head.status_code, head.content) == (status, b"")
    assert head.headers["content-type"] == "application/problem+json"


def slow_client(url: str) -> httpx.Client:
    """A client that takes little at a time."""
    options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)]
    return httpx.Client(base_url=url, timeout=30, transport=httpx.HTTPTransport(verify=False, socket_options=options))


class Changes:
    """Deletes and inserts that go on in a thread of their own."""

    def __init__(self, http: httpx.Client, victims: list[Record]) -> None:
        self.http = http
        self.victims = victims
        self.added: dict[str, str] = {}
        self.done = threading.Semaphore(0)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        for victim in self.victims:
            if self.over.is_set():
                return
            fresh = {"uuid": str(uuid4()), "text": "added"}
            self.added[fresh["uuid"]] = fresh["text"]
            self.http.delete(f"/{victim['uuid']}")
            self.http.post("/new", json=fresh)
            self.done.release()


def test_what_is_stored_during_the_whole_read_is_read_once_while_others_come_and_go(
    service: str, http: httpx.Client
) -> None:
    stored = store(http, *(f"{number:05} {'x' * 900}" for number in range(5000)))
    texts = {record["uuid"]: record["text"] for record in stored}
    victims = [*stored[4998::-8], *stored[2::8]]
    stable = set(texts) - {record["uuid"] for record in victims}
    changes = Changes(http, victims)
    read: list[Record] = []
    with slow_client(service) as slow, slow.stream("GET", "/all", headers=NDJSON) as answer:
        changes.thread.start()
        for line in answer.iter_lines():
            read.append(json.loads(line))
            if len(read) % 100 == 0:
                assert changes.done.acquire(timeout=30)
    changes.over.set()
    changes.thread.join()
    keys = [record["uuid"] for record in read]
    assert keys == sorted(set(keys))
    assert stable <= set(keys)
    assert all({**texts, **changes.added}[record["uuid"]] == record["text"] for record in read)


def rename_table(database: AnyDatabase) -> None:
    """Take the records away from under the service."""
    database.execute("ALTER TABLE records RENAME TO elsewhere")


@pytest.mark.parametrize("path", ["/all", "/24"])
def test_a_stream_that_cannot_go_on_is_aborted_rather_than_ended(empty_database: AnyDatabase, path: str) -> None:
    chosen = Settings(database_url=empty_database.url, port=0, migrate=False)
    upgrade(chosen)
    with served(chosen) as url, slow_client(url) as slow:
        with httpx.Client(base_url=url, timeout=30, trust_env=False, verify=False) as http:
            heavy(http)
            heavy(http)
        with slow.stream("GET", path) as answer, pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012
            assert answer.status_code == 200
            for number, _ in enumerate(answer.iter_bytes()):
                if number == 0:
                    rename_table(empty_database)


def test_links_have_the_path_under_which_a_proxy_offers_the_service(tmp_path: Path) -> None:
    with service_on(tmp_path, root_path="/behind/a-proxy") as service:
        service.request("POST", "/new", json=[{"text": "a"}])
        assert service.request("GET", "/1").headers["link"].startswith("</behind/a-proxy/1?after=")
        document = service.request("GET", "/schema/openapi.json").json()
        assert document["servers"] == [{"url": "/behind/a-proxy"}]
