"""The page at /schema: complete without a script, and a place to try every operation with one."""

import re

import httpx
import pytest

from netvision_api.http.paths import ASSET_PATHS
from tests.api.markup import Markup
from tests.api.services import AUTHORIZED, Service

AS_BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


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
    assert {f"/{link}" for link in page.links} - {"/./", "/schema/openapi.json", "/data:,"} <= ASSET_PATHS
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
