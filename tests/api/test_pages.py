"""The pages as people use them, in a browser that reaches nothing but this machine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from netvision_api.settings import Settings
from tests.api.services import READ_TOKEN, TOKEN, Service
from tests.browsers import chromium, tab
from tests.servers import served

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>&lt;\u202eevil\x1b[2J"


TRIED = {
    "storeRecords": 201,
    "readRecords": 200,
    "deleteRecord": 404,
    "listRecords": 200,
    "checkLiveness": 200,
    "checkReadiness": 200,
    "readMetrics": 200,
}


@pytest.fixture(scope="module")
def browser(plain: Service, protected: Service) -> Iterator[Browser]:
    """A browser: started after the services and ended with this module, as no other event loop runs beside its own."""
    assert plain.url != protected.url
    with chromium() as program:
        yield program


@pytest.fixture
def stored(plain: Service) -> list[str]:
    """The uuids of 45 records, all that the service has, the first of which is hostile."""
    plain.database.wipe()
    texts = [HOSTILE, "", "long " * 1000, *(f"record {number}" for number in range(42))]
    records = plain.request("POST", "/new", json=[{"text": text} for text in texts]).json()
    return [record["uuid"] for record in records]


def open_home(page: Page, url: str) -> None:
    """Open the page, and wait for its data."""
    page.goto(f"{url}/")
    expect(page.locator("#data")).to_be_visible()


def test_records_are_shown_page_by_page(plain: Service, stored: list[str], browser: Browser) -> None:
    with tab(browser) as page:
        open_home(page, plain.url)
        expect(page.locator("#status")).to_have_text("ready")
        rows = page.locator("#rows tr")
        expect(rows).to_have_count(20)
        for number, shown, first in ((2, 20, 20), (3, 5, 40)):
            page.get_by_role("button", name="Next").click()
            expect(page.locator("#page")).to_have_text(f"Page {number}")
            expect(rows).to_have_count(shown)
            expect(rows.first).to_contain_text(stored[first])
        page.get_by_role("button", name="Next").click(force=True)
        page.get_by_role("button", name="Previous").click()
        expect(page.locator("#page")).to_have_text("Page 2")
        page.get_by_role("button", name="First").click()
        expect(rows.first).to_contain_text(stored[0])


def test_a_text_is_shown_and_not_obeyed(plain: Service, stored: list[str], browser: Browser) -> None:
    with tab(browser) as page:
        dialogs: list[str] = []

        def note(dialog: Dialog) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", note)
        open_home(page, plain.url)
        texts = page.locator("#rows .text")
        expect(texts.nth(0)).to_have_text(HOSTILE.replace("\u202e", "U+202E").replace("\x1b", "U+001B"))
        expect(texts.nth(1)).to_have_text("empty")
        expect(page.locator("#rows :is(img, script)")).to_have_count(0)
        page.get_by_role("button", name="Show all 5,000 characters").click()
        expect(texts.nth(2)).to_have_text("long " * 1000)
        assert len(stored) == 45
        assert dialogs == []


def test_records_are_added_and_deleted_by_keyboard(plain: Service, browser: Browser) -> None:
    plain.database.wipe()
    with tab(browser) as page:
        open_home(page, plain.url)
        expect(page.get_by_text("There are no records here.")).to_be_visible()
        page.get_by_label("New record").focus()
        for text in ("first", "second"):
            page.keyboard.type(f"{text}\n<b>line</b>")
            page.keyboard.press("Control+Enter")
            expect(page.locator("#rows")).to_contain_text(text)
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Delete").first).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#rows tr")).to_have_count(1)
        expect(page.get_by_role("button", name="Delete")).to_be_focused()
        assert [record["text"] for record in plain.request("GET", "/all").json()] == ["second\n<b>line</b>"]
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#rows tr")).to_have_count(2)
        expect(page.locator("#rows tr").first).to_contain_text("first")


def test_what_is_refused_is_explained(plain: Service, stored: list[str], browser: Browser) -> None:
    with tab(browser) as page:
        open_home(page, plain.url)
        plain.request("DELETE", f"/{stored[0]}")
        page.get_by_role("button", name="Delete").first.click()
        expect(page.get_by_role("status")).to_contain_text(f"No record has the uuid {stored[0]}")


def test_the_load_is_drawn_as_it_comes(plain: Service, browser: Browser) -> None:
    with tab(browser) as page:
        open_home(page, plain.url)
        plain.request("POST", "/new", json=[{"text": "x"}] * 1000)
        expect(page.get_by_role("img")).to_have_attribute(
            "aria-label", re.compile("at most [1-9][0-9]"), timeout=15_000
        )


def test_the_home_page_asks_for_a_token_and_keeps_it_in_the_tab(protected: Service, browser: Browser) -> None:
    with tab(browser) as page:
        page.goto(f"{protected.url}/")
        expect(page.get_by_label("Token")).to_be_focused()
        expect(page.locator("#data")).to_be_hidden()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("token")
        page.get_by_label("Token").fill(READ_TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_have_text("ready")
        page.get_by_label("New record").fill("x")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("status").first).to_contain_text("needs a token that may write")
        page.reload()
        expect(page.locator("#data")).to_be_visible()
        page.get_by_role("link", name="Documentation").click()
        expect(page.locator(".opblock").first).to_be_visible()
        page.go_back()
        page.get_by_role("button", name="Forget the token").click()
        expect(page.get_by_label("Token")).to_be_visible()
        assert page.evaluate("sessionStorage.length + localStorage.length + document.cookie.length") == 0


def test_the_home_page_says_that_the_service_is_gone(tmp_path: Path, browser: Browser) -> None:
    with tab(browser) as page:
        with served(Settings(database_url=f"sqlite:///{tmp_path}/records.db", port=0, migrate=True)) as url:
            open_home(page, url)
        expect(page.locator("#status")).to_have_text("not reachable")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_home_page_fits_a_phone_in_light_and_dark(
    plain: Service, stored: list[str], browser: Browser, scheme: str
) -> None:
    with tab(browser, color_scheme=scheme, viewport={"width": 360, "height": 640}) as page:
        open_home(page, plain.url)
        expect(page.locator("#rows tr")).to_have_count(min(20, len(stored)))
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")


def operation(page: Page, name: str) -> str:
    """Open an operation, fill in what it requires, execute it, and return the status that is shown."""
    block = page.locator(f"[id$='-{name}']")
    block.locator(".opblock-summary-control").click()
    for field in block.get_by_placeholder("key").all():
        field.fill("0192f0c4-5c5e-7000-8000-000000000001" if name == "deleteRecord" else "10")
    block.get_by_role("button", name="Execute").click()
    return block.locator(".live-responses-table tbody .response-col_status").inner_text().split()[0]


def test_every_operation_of_the_documentation_can_be_tried(plain: Service, browser: Browser) -> None:
    with tab(browser) as page:
        page.goto(f"{plain.url}/schema")
        expect(page.locator("#static")).to_be_hidden()
        expect(page.locator(".opblock")).to_have_count(len(TRIED))
        assert {name: operation(page, name) for name in TRIED} == {name: str(status) for name, status in TRIED.items()}


def test_without_scripts_the_documentation_is_there(plain: Service, browser: Browser) -> None:
    with tab(browser, java_script_enabled=False) as page:
        page.goto(f"{plain.url}/schema")
        expect(page.get_by_role("heading", name="GET /{key}")).to_be_visible()
        expect(page.locator("#access")).to_be_hidden()


def test_without_swagger_ui_the_documentation_is_there(plain: Service, browser: Browser) -> None:
    with tab(browser) as page:
        page.route("**/swagger-ui-bundle.js", lambda route: route.abort())
        page.goto(f"{plain.url}/schema")
        expect(page.get_by_role("status")).to_contain_text("could not be loaded")
        expect(page.get_by_role("heading", name="GET /{key}")).to_be_visible()


def test_the_documentation_asks_for_a_token_and_keeps_it_in_the_tab(protected: Service, browser: Browser) -> None:
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


def test_the_documentation_is_as_light_or_dark_as_the_system(plain: Service, browser: Browser) -> None:
    with tab(browser, color_scheme="dark") as page:
        page.goto(f"{plain.url}/schema")
        expect(page.locator(".opblock").first).to_be_visible()
        in_the_dark = brightness_of_text(page)
        page.emulate_media(color_scheme="light")
        expect(page.locator("html")).not_to_have_class("dark-mode")
        assert brightness_of_text(page) < 384 < in_the_dark


def brightness_of_text(page: Page) -> int:
    """Add up the red, green and blue of the title."""
    color = page.evaluate("getComputedStyle(document.querySelector('.swagger-ui .info .title')).color")
    return sum(map(int, re.findall(r"\d+", color)[:3]))
