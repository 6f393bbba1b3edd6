"""The README keeps its word: its commands run, and what it lists is what there is."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import httpx
import pytest

from netvision_api.settings import Settings
from netvision_cli import errors
from netvision_cli.errors import NetvisionError
from netvision_cli.swarm.options import SwarmOptions
from tests.servers import clean_environment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NOT_IN_A_TEST = ("swarm", "demo")
UNDOCUMENTED = ("/metrics", "/schema", "/schema/openapi.json")
"""What is not in the OpenAPI document."""

SECRETS = {"token", "read_token"}
"""Settings without an option."""


def table_after(heading: str) -> list[str]:
    """Return the first cells of the table below a heading."""
    rows = README.split(heading, 1)[1].split("\n\n|", 1)[1].split("\n\n", 1)[0].splitlines()
    return [row.strip("|").split(" | ")[0].strip() for row in rows if not set(row) <= set("|- ")][1:]


def code(cells: list[str]) -> set[str]:
    """Return what stands in code type in some cells."""
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def help_of(*command: str) -> str:
    module, *rest = command
    shown = subprocess.run([sys.executable, "-m", module, *rest, "-h"], capture_output=True, text=True, check=True)
    return shown.stdout


def listed_commands(module: str) -> set[str]:
    """Return the commands that a program's help lists."""
    return set(re.findall(r"^  (\w+)  ", help_of(module).split("Commands:")[1], re.MULTILINE))


def test_every_endpoint_is_listed_and_every_listed_one_exists(http: httpx.Client) -> None:
    documented = {
        f"{method.upper()} {path.replace('{key}', key)}"
        for path, methods in http.get("/schema/openapi.json").json()["paths"].items()
        for method in methods
        if method != "head"
        for key in (("{uuid}", "{count}") if (path, method) == ("/{key}", "get") else ("{uuid}",))
    }
    listed = code(table_after("## The service"))
    assert listed == {*documented, *(f"GET {path}" for path in UNDOCUMENTED)}
    assert [http.get(path).status_code for path in UNDOCUMENTED] == [200] * len(UNDOCUMENTED)


@pytest.mark.parametrize(
    ("module", "program", "heading"),
    [("netvision_api", "netvision-api", "### Its command"), ("netvision_cli", "netvision", "## The client")],
)
def test_every_command_is_listed_and_every_listed_one_exists(module: str, program: str, heading: str) -> None:
    listed = {words.split()[1] for words in code(table_after(heading)) if words.startswith(f"{program} ")}
    assert listed == listed_commands(module)


def test_every_setting_is_listed_with_its_variable() -> None:
    section = README.split("### Its settings")[1].split("## The client")[0]
    names = [field.name for field in fields(Settings)]
    assert [name for name in names if name not in SECRETS and f"`--{name.replace('_', '-')}`" not in section] == []
    assert [name for name in names if f"`NETVISION_{name.upper()}`" not in section] == []


def test_every_option_of_the_swarm_is_listed() -> None:
    section = README.split("## The swarm")[1].split("### What the account")[0]
    assert [f.name for f in fields(SwarmOptions) if f"`--{f.name.replace('_', '-')}`" not in section] == []


def test_every_exit_code_is_listed() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, NetvisionError)]
    assert set(table_after("one record is one line")) == {"0", *(str(kind.exit_code) for kind in kinds)}


def test_every_file_of_the_tree_exists() -> None:
    tree = README.split("One can see the house from its tree:")[1].split("```")[1]
    named = set(re.findall(r"\w+\.py", tree))
    existing = {path.name for path in (ROOT / "src").rglob("*.py") if not path.name.startswith("__")}
    assert named == existing


def test_the_commands_of_the_tour_run(service: str) -> None:
    tour = README.split("## A tour of 60 seconds")[1].split("## The service")[0]
    commands = re.findall(r"^\$ (netvision .*)$", tour, re.MULTILINE)
    environment = clean_environment() | {
        "NETVISION_URL": service,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    for command in commands:
        if command.split()[1] not in NOT_IN_A_TEST:
            done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), command
            assert done.stdout, command


def test_the_curl_commands_name_paths_that_answer(http: httpx.Client) -> None:
    for path in re.findall(r"^\$ curl .*localhost:8000(/[^\s']+)", README, re.MULTILINE):
        assert http.options(path.split("?")[0]).status_code == 204, path
