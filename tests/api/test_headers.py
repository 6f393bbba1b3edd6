"""The headers of every answer, and what a page elsewhere cannot do here."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.services import Service, service_on
from tests.api.wire import HOST, LENGTH, POST, exchange, statuses

TOKEN = "t" * 32
KEY = "0192f0c4-5c5e-7000-8000-000000000001"
JSON = {"Content-Type": "application/json"}
ORIGIN = {"Origin": "https://evil.example"}
PREFLIGHT = ORIGIN | {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "content-type"}
FORMS = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain;application/json",
]

ANSWERS: dict[int, tuple[str, str, dict[str, object]]] = {
    200: ("GET", "/all", {}),
    201: ("POST", "/new", {"json": [{"text": "a"}]}),
    204: ("OPTIONS", "/5", {}),
    400: ("POST", "/new", {"content": b"{", "headers": JSON}),
    404: ("GET", f"/{KEY}", {}),
    405: ("PUT", "/new", {}),
    413: ("POST", "/new", {"content": b" " * 2000, "headers": JSON}),
    415: ("POST", "/new", {"content": b"x"}),
    421: ("GET", "/5", {"headers": {"Host": "evil.example"}}),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with small limits."""
    folder = tmp_path_factory.mktemp("headers")
    with service_on(folder, max_body=1000, body_timeout=0.5) as running:
        yield running


def check(headers: httpx.Headers) -> None:
    """Check what every answer must have, once, and what none may have."""
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("cache-control") == ["no-store"]
    (policy,) = headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    (request_id,) = headers.get_list("x-request-id")
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    assert not [name for name in headers if name.startswith("access-control-")]
    assert not {"server", "set-cookie", "x-powered-by"} & set(headers)


@pytest.mark.parametrize("status", ANSWERS)
def test_every_response_has_the_headers_and_shares_nothing_with_other_origins(service: Service, status: int) -> None:
    method, path, details = ANSWERS[status]
    headers = {**ORIGIN, **details.get("headers", {})}  # type: ignore[dict-item]
    answer = service.request(method, path, **details | {"headers": headers})
    assert answer.status_code == status
    check(answer.headers)


@pytest.mark.parametrize(
    "path", ["/", "/5", "/schema", "/schema/openapi.json", "/metrics", "/health/live", "/health/ready"]
)
def test_every_path_has_the_headers(service: Service, path: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "PATCH"):
        check(service.request(method, path, headers=ORIGIN).headers)


def test_a_refused_token_has_the_headers_too(tmp_path: Path) -> None:
    with service_on(tmp_path, token=TOKEN) as protected:
        refused = protected.request("GET", "/5", headers=ORIGIN)
    assert refused.status_code == 401
    check(refused.headers)


def test_the_408_for_a_late_body_has_the_headers_and_its_request_id(service: Service) -> None:
    answer = exchange(service.url, POST + LENGTH + b"X-Request-ID: mine\r\n\r\n[")
    assert statuses(answer) == [408]
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line.partition(b": ")[::2] for line in head.split(b"\r\n")[1:]]
    headers = httpx.Headers([(name, value) for name, value in lines])
    assert headers["x-request-id"] == "mine"
    assert b'"request_id":"mine"' in body
    headers["x-request-id"] = "0" * 32
    check(headers)


def test_the_response_to_what_is_not_http_is_no_page_to_a_browser(service: Service) -> None:
    answer = exchange(service.url, b"GET /<script> HTTP/1.1\r\n" + HOST + HOST + b"\r\n").lower()
    assert b"x-content-type-options: nosniff" in answer
    assert b"default-src 'none'" in answer
    assert b"script" not in answer


def test_a_preflight_allows_nothing(service: Service) -> None:
    for path in ("/new", "/5", f"/{KEY}", "/all"):
        check(service.request("OPTIONS", path, headers=PREFLIGHT).headers)


@pytest.mark.parametrize("content_type", FORMS)
def test_what_a_form_elsewhere_could_send_is_refused(service: Service, content_type: str) -> None:
    before = service.database.count()
    headers = ORIGIN | {"Content-Type": content_type}
    answer = service.request("POST", "/new", content=b'[{"text":"a"}]', headers=headers)
    assert (answer.status_code, service.database.count()) == (415, before)
    check(answer.headers)
