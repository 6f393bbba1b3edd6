"""The page at /schema: complete, and loading nothing from anywhere."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import httpx
import pytest

VOID = {"meta", "br"}
MAY_STAY_OPEN = {"p", "tr", "td"}


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.style = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "style", "action"}]
        if tag not in VOID | MAY_STAY_OPEN:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in MAY_STAY_OPEN:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data


@pytest.fixture
def answer(http: httpx.Client) -> httpx.Response:
    """The page."""
    return http.get("/schema")


def test_the_page_is_html_and_every_element_is_closed(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!doctype html>")
    assert Page(answer.text).open == []


def test_the_page_names_every_operation_and_every_status(answer: httpx.Response, http: httpx.Client) -> None:
    text = re.sub("<[^>]+>", " ", answer.text)
    for path, item in http.get("/schema/openapi.json").json()["paths"].items():
        for method, operation in item.items():
            assert f"{method.upper()} {path} " in text
            assert operation["summary"] in text
            assert all(f" {status} " in text for status in operation["responses"])


def test_the_page_loads_nothing(answer: httpx.Response) -> None:
    page = Page(answer.text)
    assert page.links == ["schema/openapi.json"]
    assert not page.tags & {"script", "link", "img", "iframe", "base", "form", "object"}
    assert not re.search(r"https?:|@import|url\(|\bon[a-z]+=", answer.text)


def test_the_policy_allows_the_style_of_the_page_and_nothing_else(answer: httpx.Response) -> None:
    policy = answer.headers["content-security-policy"]
    digest = b64encode(sha256(Page(answer.text).style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
