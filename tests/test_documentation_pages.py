"""The pages are true: their commands run, their links resolve, and what they list is what exists."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from netvision_api.settings import Settings
from netvision_cli import errors
from netvision_cli.errors import NetvisionError
from tests.servers import clean_environment

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/netvision-records/netvision/blob/main/"
RAW_FILES = "https://raw.githubusercontent.com/netvision-records/netvision/main/"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").glob("*.md"))
}
PACKAGE_INDEX_LIMIT = 9000
"""The most bytes of the README: a stranger reads it to its end."""

LONG_RUNNING = ("serve", "swarm", "demo")
"""Commands that run until they are stopped, or for too long; their options are compared with their help."""

SET_UP = ("python3 -m venv", "uv run netvision ", "export ", ". .venv/bin/activate", "python -m pytest")
"""Commands that install, or prepare a shell for those after them."""

UNDOCUMENTED = ("/", "/schema", "/schema/openapi.json")
"""What is not in the OpenAPI document."""

SECRETS = {"token", "read_token"}
"""Settings without an option."""

RETIRED = re.compile(
    r"\b(answers?|answered|for ever|told|tells?|weighs?|lest|meanwhile|of itself|in words|goes with|behind a uuid"
    r"|whoever|wherever|whatever|doubled)\b"
)
"""Words that the glossary replaced."""

find_uuids = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").findall


class Command(NamedTuple):
    """A command of a page, and the output shown below it."""

    page: str
    line: str
    output: str


def blocks(page: str) -> Iterator[list[str]]:
    """Return the lines of each block of commands, continued lines joined."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL):
        yield block.replace("\\\n", " ").splitlines()


def commands_of(page: str) -> Iterator[Command]:
    for lines in blocks(page):
        for number, line in enumerate(lines):
            if line.startswith("$ "):
                output = takewhile(lambda below: not below.startswith("$ "), lines[number + 1 :])
                yield Command(page, line.removeprefix("$ "), "\n".join(output))


COMMANDS = [command for page in sorted(PAGES) for command in commands_of(page)]


def table_after(page: str, heading: str) -> list[str]:
    """Return the first cells of the table below a heading."""
    rows = PAGES[page].split(heading, 1)[1].split("\n\n|", 1)[1].split("\n\n", 1)[0].splitlines()
    return [row.strip("|").split(" | ")[0].strip() for row in rows if not set(row) <= set("|- ")][1:]


def code(cells: list[str]) -> set[str]:
    """Return what stands in code type in some cells."""
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


@cache
def help_of(*command: str) -> str:
    module, *rest = command
    environment = clean_environment() | {"COLUMNS": "200"}
    shown = subprocess.run(
        [sys.executable, "-m", module, *rest, "-h"], env=environment, capture_output=True, text=True, check=True
    )
    return shown.stdout


def listed_commands(module: str) -> set[str]:
    """Return the commands that a program's help lists."""
    return set(re.findall(r"^  (\w+)  ", help_of(module).split("Commands:")[1], re.MULTILINE))


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def offered_options(*command: str) -> set[str]:
    """Return the options that the help of a command offers at the beginnings of its lines."""
    return options_in("\n".join(re.findall(r"^  (?:-\w, )?(--.*?)(?:  |$)", help_of(*command), re.MULTILINE)))


def test_every_endpoint_is_listed_and_every_listed_one_exists(http: httpx.Client) -> None:
    paths = http.get("/schema/openapi.json").json()["paths"]
    documented = {
        f"{method.upper()} {path.replace('{key}', key)}"
        for path, methods in paths.items()
        for method in methods
        for key in (("{uuid}", "{count}") if (path, method) == ("/{key}", "get") else ("{uuid}",))
    }
    listed = code(table_after("docs/http.md", "## Endpoints"))
    assert listed == {*documented, *(f"GET {path}" for path in UNDOCUMENTED)}
    assert [http.get(path).status_code for path in UNDOCUMENTED] == [200] * len(UNDOCUMENTED)
    of_records = {endpoint for endpoint in documented if not endpoint.startswith(("GET /health/", "GET /metrics"))}
    assert {cell.split("`")[1] for cell in table_after("README.md", "## The service")} == of_records


@pytest.mark.parametrize(
    ("module", "program", "page", "heading"),
    [
        ("netvision_api", "netvision-api", "README.md", "documentation page too"),
        ("netvision_cli", "netvision", "README.md", "## The client"),
        ("netvision_cli", "netvision", "docs/client.md", "# The client"),
    ],
)
def test_every_command_is_listed_and_every_listed_one_exists(
    module: str, program: str, page: str, heading: str
) -> None:
    listed = {words.split()[1] for words in code(table_after(page, heading)) if words.startswith(f"{program} ")}
    assert listed == listed_commands(module)


def test_every_setting_is_listed_with_its_variable() -> None:
    page = PAGES["docs/configuration.md"]
    names = [field.name for field in fields(Settings)]
    assert [name for name in names if name not in SECRETS and f"`--{name.replace('_', '-')}`" not in page] == []
    assert [name for name in names if f"`NETVISION_{name.upper()}`" not in page] == []


def test_every_listed_setting_exists() -> None:
    page = "\n".join(table_after("docs/configuration.md", "# Configuration"))
    assert code([page]) == {f"--{f.name.replace('_', '-')}" for f in fields(Settings) if f.name not in SECRETS}


def test_every_option_of_the_swarm_is_listed_and_every_listed_one_exists() -> None:
    of_swarm = offered_options("netvision_cli", "swarm") - offered_options("netvision_cli", "list")
    assert "--producers" in of_swarm
    assert code(table_after("docs/swarm.md", "## Options")) == of_swarm


@pytest.mark.parametrize(("page", "heading"), [("README.md", "[the client]"), ("docs/client.md", "## Exit status")])
def test_every_exit_status_is_listed(page: str, heading: str) -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, NetvisionError)]
    assert set(table_after(page, heading)) == {"0", *(str(kind.exit_code) for kind in kinds)}


def test_the_plan_names_every_file_once_with_its_business() -> None:
    tree = PAGES["docs/architecture.md"].split("## The files")[1].split("```")[1]
    folders: list[str] = []
    named: list[str] = []
    for line in tree.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, business = line.strip().partition(" ")
        folders[depth:] = [name]
        if name.endswith(".py"):
            named.append("".join(folders))
            assert business.strip(), line
    existing = [path for path in (ROOT / "src").rglob("*.py") if not path.name.startswith("__")]
    assert sorted(named) == sorted(str(path.relative_to(ROOT)) for path in existing)


def test_the_commands_of_records_run(service: str) -> None:
    environment = clean_environment() | {
        "NETVISION_URL": service,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    runnable = [
        command
        for command in COMMANDS
        if command.line.startswith(("netvision ", "printf ")) and command.line.split()[1] not in LONG_RUNNING
    ]
    assert {command.page for command in runnable} >= {"README.md", "docs/client.md"}
    for command in runnable:
        done = subprocess.run(
            command.line, shell=True, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        shown = command.output.splitlines()
        assert len(done.stdout.splitlines()) == len(shown), command
        if "status" not in command.line:
            assert [without_uuids(line) for line in done.stdout.splitlines()] == list(map(without_uuids, shown))


def without_uuids(line: str) -> str:
    for uuid in find_uuids(line):
        line = line.replace(uuid, "a uuid")
    return line


def test_the_commands_of_the_service_run(tmp_path: Path) -> None:
    environment = clean_environment() | {"NETVISION_DATABASE_URL": f"sqlite:///{tmp_path / 'records.db'}"}
    runnable = [command for command in COMMANDS if command.line.startswith("netvision-api ")]
    ended = [command for command in runnable if command.line.split()[1] not in LONG_RUNNING]
    assert {command.line for command in ended} == {"netvision-api config", "netvision-api db upgrade"}
    for command in ended:
        done = subprocess.run(
            [sys.executable, "-m", "netvision_api", *shlex.split(command.line)[1:]],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert command.output in done.stdout


def test_the_commands_of_litestar_run_on_the_application_that_the_page_names(tmp_path: Path) -> None:
    commands = [command for command in COMMANDS if command.line.startswith("litestar ")]
    (exported,) = [command for command in COMMANDS if command.line.startswith("export LITESTAR_APP=")]
    name, _, application = exported.line.removeprefix("export ").partition("=")
    environment = {name: application, "NETVISION_DATABASE_URL": f"sqlite:///{tmp_path / 'records.db'}"}
    assert commands
    for command in commands:
        words = [sys.executable, "-m", *shlex.split(command.line)]
        shown = subprocess.run(
            words, env=clean_environment() | environment, capture_output=True, text=True, check=True, timeout=60
        )
        assert "/new" in shown.stdout


def test_the_options_of_commands_that_run_for_long_exist() -> None:
    checked = 0
    for command in COMMANDS:
        program, _, rest = command.line.partition(" ")
        if program in {"netvision", "netvision-api"} and rest.split()[0] in LONG_RUNNING:
            module = {"netvision": "netvision_cli", "netvision-api": "netvision_api"}[program]
            assert options_in(rest) <= offered_options(module, rest.split()[0]), command
            checked += 1
    assert checked


def test_the_curl_commands_get_the_responses_shown(http: httpx.Client) -> None:
    made: dict[str, str] = {}
    requests = [command for command in COMMANDS if command.line.startswith("curl ")]
    assert len(requests) > 4
    for command in requests:
        line = command.line
        for shown, real in made.items():
            line = line.replace(shown, real)
        response = send_as_curl(http, line)
        text = response.text
        if response.request.method == "POST":
            made |= dict(zip(find_uuids(command.output), find_uuids(text), strict=True))
        for shown, real in made.items():
            text = text.replace(real, shown)
        problem = '"type":"urn:netvision:problem:' in command.output
        assert response.is_client_error if problem else response.is_success, (command, response.status_code)
        if command.output:
            assert without_request_id(text).splitlines() == without_request_id(command.output).splitlines()


def send_as_curl(http: httpx.Client, line: str) -> httpx.Response:
    """Send the request that a curl command sends."""
    words = iter(shlex.split(line)[1:])
    headers: dict[str, str] = {}
    method, path, body = "", "", None
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        elif word == "-X":
            method = next(words)
        elif word != "-s":
            path = word.removeprefix("localhost:8000")
    return http.request(method or ("POST" if body else "GET"), path, headers=headers, content=body)


def without_request_id(text: str) -> str:
    return re.sub(r'"request_id":"[0-9a-f]{32}"', '"request_id":"…"', text)


def test_every_session_of_nox_that_a_page_names_exists() -> None:
    noxfile = (ROOT / "noxfile.py").read_text()
    names = {*re.findall(r"^def (\w+)\(session", noxfile, re.MULTILINE), *re.findall(r'name="([\w-]+)"', noxfile)}
    for page, text in PAGES.items():
        for words in re.findall(r"nox -s ((?:[a-z][a-z0-9.-]*[a-z0-9](?: |\b))+)", text):
            for word in words.split():
                assert re.sub(r"-[0-9.]+$", "", word) in names, (page, word)


def test_no_command_of_a_page_is_left_unchecked() -> None:
    checked = ("netvision ", "netvision-api ", "curl ", "printf ", "nox ", "uvx nox ", "litestar ", *SET_UP)
    unknown = [
        command for command in COMMANDS if not re.sub(r"^NETVISION_\w+=\S+ ", "", command.line).startswith(checked)
    ]
    assert unknown == []


def links_of(page: str) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_between_pages_resolve(page: str) -> None:
    for link in links_of(page):
        local = link.removeprefix(REPOSITORY).removeprefix(RAW_FILES)
        if local.startswith("https://"):
            continue
        name, _, anchor = local.partition("#")
        path = (ROOT if local != link else (ROOT / page).parent) / name if name else ROOT / page
        assert path.exists(), link
        assert not anchor or anchor in anchors_of(path), link


def test_the_readme_can_be_read_on_a_package_index() -> None:
    assert len(PAGES["README.md"].encode()) <= PACKAGE_INDEX_LIMIT
    assert [link for link in links_of("README.md") if not link.startswith("https://")] == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_pages_use_the_words_of_the_glossary(page: str) -> None:
    assert [line for line in PAGES[page].splitlines() if RETIRED.search(line)] == []
