"""The path grammar of /{key}, the fixed names, and the shape of a problem."""

import re
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netvision_api.app import create_app
from netvision_api.http.paths import FIXED_NAMES, FIXED_PATHS, is_uuid
from netvision_api.settings import Settings
from tests.databases import on_sqlite

KEY = "0192f0c4-5c5e-7000-8000-000000000001"
DIGITS = "12345678901234567890123456789012"

NEITHER_COUNT_NOR_UUID = [
    "-1",
    "-0",
    "+5",
    "%2B5",
    "1_0",
    "007",
    "00",
    "1e3",
    "1.0",
    "0x10",
    "%D9%A3",
    "%EF%BC%95",
    "%C2%B2",
    "5%0A",
    "%205",
    "5%20",
    "5;x",
    "5,6",
    "abc",
    "ALL",
    "New",
    "favicon.ico",
    "%00",
    "%FF",
    "%2e%2e",
    f"%7B{KEY}%7D",
    f"{{{KEY}}}",
    f"urn:uuid:{KEY}",
    f"{KEY}%0A",
    f"%20{KEY}",
    KEY[:-1],
    f"{KEY}0",
    KEY.replace("-", "_"),
    KEY.replace("-", "", 1),
    KEY.replace("0192", "g192"),
    KEY.replace("0192", "%D9%A0192"),
    "0192f0c45c-5e-7000-8000-000000000001",
    "0" * 31,
    "0" * 33,
    f"{UUID(KEY).hex[:31]}g",
]
MALFORMED_AFTER = ["", "5", "abc", f"{{{KEY}}}", f"urn:uuid:{KEY}", KEY[:-1], f"{KEY} ", "\u0663" * 32, "null"]
INSANE_IDS = [b"", b"a b", b"x" * 129, b"caf\xc3\xa9", b'"quoted"', b"<b>", b"a\tb", b"a,b"]

FIXED = {
    "/": {"GET", "HEAD"},
    "/new": {"POST"},
    "/all": {"GET", "HEAD"},
    "/health/live": {"GET", "HEAD"},
    "/health/ready": {"GET", "HEAD"},
    "/schema/openapi.json": {"GET", "HEAD"},
    "/5": {"GET", "HEAD", "DELETE"},
    f"/{KEY}": {"GET", "HEAD", "DELETE"},
    "/abc": {"GET", "HEAD", "DELETE"},
}
WRONG = [
    (method, path)
    for path, allowed in FIXED.items()
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE")
    if method not in allowed
]

TITLES = {
    "not-found": "No such resource",
    "count-out-of-range": "The count has too many digits",
    "invalid-parameter": "A parameter is malformed",
    "method-not-allowed": "The method is not allowed here",
    "record-not-found": "No such record",
}


@pytest.fixture(scope="module")
def plain(shared_service: str) -> Iterator[httpx.Client]:
    """A client for requests that no stored record can change the answer of."""
    with httpx.Client(base_url=shared_service, timeout=30, trust_env=False, verify=False) as client:
        yield client


def check_problem(answer: httpx.Response, status: int, name: str) -> str:
    """Check every member of a problem, and return its detail."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert list(body) == ["type", "title", "status", "detail", "request_id"]
    assert body["type"] == f"urn:netvision:problem:{name}"
    assert body["title"] == TITLES[name]
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    return str(body["detail"])


@on_sqlite
@pytest.mark.parametrize("key", NEITHER_COUNT_NOR_UUID)
def test_what_is_neither_a_count_nor_a_uuid_is_not_found(plain: httpx.Client, key: str) -> None:
    detail = check_problem(plain.get(f"/{key}"), 404, "not-found")
    assert "neither a count nor a uuid" in detail


@on_sqlite
@pytest.mark.parametrize("key", ["5", "0", "-1", "abc", f"%7B{KEY}%7D"])
def test_only_a_uuid_can_be_deleted(plain: httpx.Client, key: str) -> None:
    check_problem(plain.delete(f"/{key}"), 404, "not-found")


@pytest.mark.parametrize("key", ["0", "1", "5", "%35", "10", "1000", "1001", "9" * 18])
def test_a_count_has_up_to_eighteen_digits(http: httpx.Client, key: str) -> None:
    answer = http.get(f"/{key}")
    assert (answer.status_code, answer.json()) == (200, [])


@on_sqlite
@pytest.mark.parametrize("digits", [19, 20, 31, 33, 400, 5000])
def test_a_count_of_more_digits_is_out_of_range(plain: httpx.Client, digits: int) -> None:
    for method in ("GET", "DELETE"):
        detail = check_problem(plain.request(method, f"/{'1' * digits}"), 400, "count-out-of-range")
        assert str(digits) in detail
        assert "18" in detail


def test_thirty_two_digits_are_a_uuid(http: httpx.Client) -> None:
    stored = http.post("/new", json={"uuid": DIGITS, "text": "x"}).json()
    assert stored["uuid"] == str(UUID(DIGITS))
    assert http.get(f"/{DIGITS}").json() == stored
    assert http.delete(f"/{DIGITS}").json() == stored


@pytest.mark.parametrize("key", [KEY, KEY.upper(), UUID(KEY).hex, UUID(KEY).hex.upper(), KEY.replace("c", "C")])
def test_a_uuid_is_taken_in_any_case_and_with_or_without_hyphens(http: httpx.Client, key: str) -> None:
    stored = http.post("/new", json={"uuid": KEY, "text": "x"}).json()
    assert http.get(f"/{key}").json() == stored


@pytest.mark.parametrize("key", ["0" * 32, "f" * 32, str(UUID(int=1)), str(UUID(int=2**127))])
def test_a_uuid_of_any_version_is_a_uuid(http: httpx.Client, key: str) -> None:
    assert str(UUID(key)) in check_problem(http.get(f"/{key}"), 404, "record-not-found")


@given(key=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_key_is_judged_by_the_grammar_alone(plain: httpx.Client, key: str) -> None:
    assume(key not in FIXED_NAMES and not is_uuid(key))
    path = "/" + "".join(f"%{byte:02X}" for byte in key.encode())
    if re.fullmatch("0|[1-9][0-9]{0,17}", key):
        assert plain.get(path).status_code == 200
    elif re.fullmatch("[1-9][0-9]{18,}", key):
        check_problem(plain.get(path), 400, "count-out-of-range")
    else:
        check_problem(plain.get(path), 404, "not-found")


@on_sqlite
@pytest.mark.parametrize("after", MALFORMED_AFTER)
@pytest.mark.parametrize("count", ["0", "5", "5000"])
def test_an_after_that_is_no_uuid_is_refused(plain: httpx.Client, count: str, after: str) -> None:
    detail = check_problem(plain.get(f"/{count}", params={"after": after}), 400, "invalid-parameter")
    assert "after" in detail
    assert repr(after) in detail


def test_an_after_that_is_no_uuid_is_refused_beside_a_uuid_too(http: httpx.Client) -> None:
    http.post("/new", json={"uuid": KEY, "text": "x"})
    check_problem(http.get(f"/{KEY}", params={"after": "abc"}), 400, "invalid-parameter")


@on_sqlite
@pytest.mark.parametrize("path", ["/5/6", "/all/health", f"/{KEY}/text", "/health/x", "/schema/x", "/a%2Fb/c"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
def test_an_unknown_path_is_not_found(plain: httpx.Client, method: str, path: str) -> None:
    check_problem(plain.request(method, path), 404, "not-found")


@on_sqlite
@pytest.mark.parametrize(("method", "path"), WRONG)
def test_a_wrong_method_is_refused_with_those_allowed(plain: httpx.Client, method: str, path: str) -> None:
    answer = plain.request(method, path)
    assert answer.status_code == 405
    if method != "HEAD":
        check_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == FIXED[path]


@on_sqlite
@pytest.mark.parametrize("path", [path for path in FIXED if path != "/abc"])
def test_options_names_every_method(plain: httpx.Client, path: str) -> None:
    answer = plain.options(path)
    assert answer.status_code == 204
    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == FIXED[path]


POSSIBLE = [*FIXED, "/schema", "/metrics", "/0", f"/{DIGITS}", f"/{UUID(KEY).hex}", f"/{KEY.upper()}"]
IMPOSSIBLE = ["/helth", "/5/6", "/health/x", *(f"/{key}" for key in NEITHER_COUNT_NOR_UUID)]


@on_sqlite
@pytest.mark.parametrize("path", [path for path in POSSIBLE if path != "/abc"])
def test_options_of_what_can_be_is_204_with_its_methods(plain: httpx.Client, path: str) -> None:
    answer = plain.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    allowed = set(answer.headers["allow"].split(", "))
    assert "OPTIONS" in allowed
    assert allowed & {"GET", "POST"}


@on_sqlite
@pytest.mark.parametrize("path", IMPOSSIBLE)
def test_options_of_what_cannot_be_is_not_found(plain: httpx.Client, path: str) -> None:
    answer = plain.options(path)
    check_problem(answer, 404, "not-found")
    assert "allow" not in answer.headers


@on_sqlite
@pytest.mark.parametrize("path", ["/5", "/abc", "/", "/new", "/5?after=x"])
@pytest.mark.parametrize("brought", ["a", "req-1.2:3/4+5=6_7", "x" * 128])
def test_a_sane_request_id_comes_back(plain: httpx.Client, path: str, brought: str) -> None:
    answer = plain.get(path, headers={"X-Request-ID": brought})
    assert answer.headers.get_list("x-request-id") == [brought]
    assert answer.status_code == 200 or answer.json()["request_id"] == brought


@on_sqlite
@pytest.mark.parametrize("path", ["/5", "/abc", "/"])
@pytest.mark.parametrize("brought", INSANE_IDS)
def test_an_insane_request_id_is_replaced(plain: httpx.Client, path: str, brought: bytes) -> None:
    answer = plain.get(path, headers={b"X-Request-ID": brought})
    (given_back,) = answer.headers.get_list("x-request-id")
    assert given_back.encode("latin-1") != brought
    assert re.fullmatch("[A-Za-z0-9-]{8,64}", given_back)
    assert answer.status_code == 200 or answer.json()["request_id"] == given_back


@on_sqlite
def test_every_request_gets_an_id_of_its_own(plain: httpx.Client) -> None:
    ids = {plain.get(path).headers["x-request-id"] for path in ("/5", "/5", "/abc", "/abc", "/", "/new")}
    assert len(ids) == 6


def test_the_fixed_paths_are_the_routes_of_the_application() -> None:
    paths = {route.path for route in create_app(Settings()).routes}
    assert paths - {"/{key:str}"} == FIXED_PATHS
