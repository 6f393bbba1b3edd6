"""The home page at /, and its twin for programs."""

import socket

import anyio
import httpx
import pytest

from netvision_api import __version__
from netvision_api.http.paths import FIXED_PATHS
from netvision_api.settings import Settings
from netvision_api.storage.sharing import Shared
from tests.api.markup import Markup
from tests.api.services import AUTHORIZED, Service
from tests.servers import served

JSON = {"Accept": "application/json"}
OF_BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

FOR_HTML = [OF_BROWSER, "text/html", "TEXT/HTML", "text/html, application/json;q=0.9"]
FOR_JSON = ["application/json", "application/json, text/html;q=0.1", "text/html;q=0, application/json"]
FOR_ANYTHING = ["*/*", "", "x", "image/png", "text/html;q=0"]


def test_the_twin_describes_the_service(http: httpx.Client) -> None:
    http.post("/new", json=[{"text": "a"}, {"text": "b"}])
    answer = http.get("/", headers=JSON)
    overview = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert list(overview) == ["name", "version", "status", "reason", "database", "schema", "records", "links"]
    assert (overview["name"], overview["version"]) == ("netvision", __version__)
    assert (overview["status"], overview["reason"]) == ("ready", None)
    assert overview["database"].split()[0] in {"sqlite", "postgresql"}
    assert isinstance(overview["records"], int)
    assert [http.get(path).status_code for path in overview["links"].values()] == [200] * 5


def test_the_twin_says_why_the_service_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"postgresql://127.0.0.1:{nobody.getsockname()[1]}/records"
    with served(Settings(database_url=url, port=0, root_path="/behind")) as address:
        answer = httpx.get(f"{address}/", headers=JSON, timeout=30)
        assert httpx.get(f"{address}/", headers={"Accept": OF_BROWSER}).status_code == 200
    overview = answer.json()
    assert (answer.status_code, overview["status"], overview["records"]) == (200, "not ready", None)
    assert "start it" in overview["reason"]
    assert overview["links"]["documentation"] == "/behind/schema"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        *((accept, "text/html; charset=utf-8") for accept in (*FOR_HTML, *FOR_ANYTHING)),
        *((accept, "application/json") for accept in FOR_JSON),
    ],
)
def test_the_accept_header_chooses_the_page_or_its_twin(plain: Service, accept: str, media_type: str) -> None:
    for method in ("GET", "HEAD"):
        answer = plain.request(method, "/", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", [*FOR_HTML, *FOR_ANYTHING, *FOR_JSON])
def test_a_stranger_gets_the_empty_page_if_a_browser_asks_for_it(protected: Service, accept: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = protected.request(method, "/", headers={"Accept": accept})
        assert answer.status_code == (200 if method == "GET" and accept in FOR_HTML else 401)
    assert protected.request("GET", "/", headers={"Accept": accept} | AUTHORIZED).status_code == 200


def test_the_page_has_nothing_inline(plain: Service) -> None:
    answer = plain.request("GET", "/")
    page = Markup(answer.text)
    assert page.open == page.inline == []
    assert {f"/{link}" for link in page.links} <= FIXED_PATHS | {"/data:,"}
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.anyio
async def test_a_shared_result_is_computed_once_for_all_who_wait() -> None:
    calls = 0

    async def compute() -> int:
        nonlocal calls
        calls += 1
        await anyio.sleep(0.01)
        return calls

    shared, results = Shared(compute, cost_factor=1e6), list[int]()

    async def ask() -> None:
        results.append(await shared())

    for _ in range(2):
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)
    assert results == [1] * 20
