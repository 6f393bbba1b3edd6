"""The page at /schema: complete without a script, and a place to try every operation with one."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from netvision_api.http.paths import ASSET_PATHS
from tests.api.services import Service, service_on
from tests.browsers import tab

TOKEN = "t" * 32
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
AS_BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

VOID = {"meta", "br", "link", "input"}
MAY_STAY_OPEN = {"p", "tr", "td"}

TRIED = {
    "storeRecords": 201,
    "readRecords": 200,
    "deleteRecord": 404,
    "listRecords": 200,
    "checkLiveness": 200,
    "checkReadiness": 200,
    "readMetrics": 200,
}


class Markup(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.inline: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]
        if tag not in VOID | MAY_STAY_OPEN:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in MAY_STAY_OPEN:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"style", "script"}:
            self.inline.append(data)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service."""
    with service_on(tmp_path_factory.mktemp("plain")) as service:
        yield service


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that requires a token."""
    with service_on(tmp_path_factory.mktemp("protected"), token=TOKEN) as service:
        yield service


@pytest.fixture
def answer(plain: Service) -> httpx.Response:
    """The page."""
    return plain.request("GET", "/schema")


def test_the_page_is_html_and_every_element_is_closed(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!doctype html>")
    assert Markup(answer.text).open == []


def test_the_page_names_every_operation_and_every_status(answer: httpx.Response, plain: Service) -> None:
    text = re.sub("<[^>]+>", " ", answer.text)
    for path, item in plain.request("GET", "/schema/openapi.json").json()["paths"].items():
        for method, operation in item.items():
            assert f"{method.upper()} {path} " in text
            assert operation["summary"] in text
            assert all(f" {status} " in text for status in operation["responses"])


def test_the_page_loads_its_assets_and_nothing_else(answer: httpx.Response) -> None:
    page = Markup(answer.text)
    assert {f"/{link}" for link in page.links} - {"/schema/openapi.json", "/data:,"} <= ASSET_PATHS
    assert not page.tags & {"img", "iframe", "base", "object", "style"}
    assert page.inline == []
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; " in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", sorted(ASSET_PATHS))
def test_an_asset_is_sent_once(protected: Service, path: str) -> None:
    """A browser asks for it without a token, and from then on whether it has changed."""
    first = protected.request("GET", path)
    assert (first.status_code, first.headers["content-encoding"]) == (200, "gzip")
    whole = protected.request("GET", path, headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in whole.headers
    assert whole.content == first.content
    etag = first.headers["etag"]
    again = protected.request("GET", path, headers={"If-None-Match": f'"other", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert protected.request("HEAD", path).headers["content-length"] == first.headers["content-length"]


def test_an_asset_is_the_file_of_the_package(plain: Service) -> None:
    answer = plain.request("GET", "/pages/swagger-ui-bundle.js")
    assert b"SwaggerUIBundle" in answer.content
    assert len(answer.content) > 10**6


@pytest.mark.parametrize("path", ["/pages", "/pages/", "/pages/schema.html", "/pages/%2e%2e/paths.py"])
def test_nothing_else_is_an_asset(plain: Service, path: str) -> None:
    assert plain.request("GET", path).status_code == 404


def test_a_stranger_gets_a_page_without_the_documentation(protected: Service) -> None:
    stranger = protected.request("GET", "/schema", headers=AS_BROWSER)
    assert stranger.status_code == 200
    assert "/{key}" not in stranger.text
    assert Markup(stranger.text).open == []
    assert "/{key}" in protected.request("GET", "/schema", headers=AS_BROWSER | AUTHORIZED).text
    assert protected.request("GET", "/schema").status_code == 401
    assert protected.request("POST", "/schema", headers=AS_BROWSER).status_code == 401
    assert protected.request("GET", "/schema/openapi.json", headers=AS_BROWSER).status_code == 401


def operation(page: Page, name: str) -> str:
    """Open an operation, fill in what it requires, execute it, and return the status that is shown."""
    block = page.locator(f"[id$='-{name}']")
    block.locator(".opblock-summary-control").click()
    for field in block.get_by_placeholder("key").all():
        field.fill("0192f0c4-5c5e-7000-8000-000000000001" if name == "deleteRecord" else "10")
    block.get_by_role("button", name="Execute").click()
    return block.locator(".live-responses-table tbody .response-col_status").inner_text().split()[0]


def test_every_operation_can_be_tried(plain: Service, browser: Browser) -> None:
    with tab(browser) as page:
        page.goto(f"{plain.url}/schema")
        expect(page.locator("#static")).to_be_hidden()
        expect(page.locator(".opblock")).to_have_count(len(TRIED))
        assert {name: operation(page, name) for name in TRIED} == {name: str(status) for name, status in TRIED.items()}


def test_without_scripts_the_page_is_there(plain: Service, browser: Browser) -> None:
    with tab(browser, java_script_enabled=False) as page:
        page.goto(f"{plain.url}/schema")
        expect(page.get_by_role("heading", name="GET /{key}")).to_be_visible()
        expect(page.locator("#access")).to_be_hidden()


def test_without_swagger_ui_the_page_is_there(plain: Service, browser: Browser) -> None:
    with tab(browser) as page:
        page.route("**/swagger-ui-bundle.js", lambda route: route.abort())
        page.goto(f"{plain.url}/schema")
        expect(page.get_by_role("status")).to_contain_text("could not be loaded")
        expect(page.get_by_role("heading", name="GET /{key}")).to_be_visible()


def test_a_token_is_asked_for_and_kept_in_the_tab(protected: Service, browser: Browser) -> None:
    with tab(browser) as page:
        page.goto(f"{protected.url}/schema")
        page.get_by_label("Token").fill("x" * 32)
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("token")
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator("#access")).to_be_hidden()
        assert operation(page, "storeRecords") == "201"
        page.reload()
        assert operation(page, "listRecords") == "200"
        assert page.evaluate("localStorage.length") == 0
        page.locator(".authorize").first.click()
        page.get_by_role("button", name="Remove authorization").click()
        assert page.evaluate("sessionStorage.length") == 0


def test_the_page_is_as_light_or_dark_as_the_system(plain: Service, browser: Browser) -> None:
    with tab(browser, color_scheme="dark") as page:
        page.goto(f"{plain.url}/schema")
        expect(page.locator(".opblock").first).to_be_visible()
        in_the_dark = brightness_of_text(page)
        page.emulate_media(color_scheme="light")
        assert brightness_of_text(page) < 384 < in_the_dark


def brightness_of_text(page: Page) -> int:
    """Add up the red, green and blue of the title."""
    color = page.evaluate("getComputedStyle(document.querySelector('.swagger-ui .info .title')).color")
    return sum(map(int, re.findall(r"\d+", color)[:3]))
