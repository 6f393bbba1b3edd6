"""The help of both programs: every command has examples, and values are shown as they are typed."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from netvision_api.cli import app as api
from netvision_cli.cli import app as cli

PROGRAMS = {"netvision-api": api, "netvision": cli}


def commands(group: Any, *path: str) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - click's, which Typer bundles
    """Yield the path of every command of a group."""
    for name, command in group.commands.items():
        yield from commands(command, *path, name) if hasattr(command, "commands") else [(*path, name)]


COMMANDS = [path for name, app in PROGRAMS.items() for path in commands(typer.main.get_command(app), name)]


def help_of(program: str, *command: str, width: int = 80) -> str:
    result = CliRunner().invoke(PROGRAMS[program], [*command, "-h"], terminal_width=width)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_examples_of_itself_on_lines_of_their_own(command: tuple[str, ...]) -> None:
    examples = help_of(*command).split("Examples:\n")[1].splitlines()
    assert all(line.startswith("  ") for line in examples if line)
    assert any(" ".join(command) in line for line in examples)


@pytest.mark.parametrize("group", [("netvision-api",), ("netvision-api", "db"), ("netvision",)], ids=" ".join)
def test_no_summary_of_a_command_is_cut(group: tuple[str, ...]) -> None:
    assert "..." not in help_of(*group, width=60).split("Commands:")[1]


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        (("netvision", "swarm"), {"interval": "10s", "batch": "10:100", "wait": "30s", "timeout": "10s"}),
        (("netvision-api", "serve"), {"grace": "10s", "max-body": "10MiB", "pool-timeout": "2s"}),
    ],
    ids=["swarm", "serve"],
)
def test_defaults_are_shown_as_they_are_typed(command: tuple[str, ...], defaults: dict[str, str]) -> None:
    shown = " ".join(help_of(*command).split())
    for name, value in defaults.items():
        assert re.search(rf"--{name} [^\[]*\[(env var: \w+; )?default: {value}\]", shown), name


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        (("netvision", "swarm"), ["Connection", "Work", "Start and end", "Results", "Options"]),
        (
            ("netvision-api", "serve"),
            ["Database", "Network", "Limits", "Access", "Logging and development", "Options"],
        ),
    ],
    ids=["swarm", "serve"],
)
def test_options_are_listed_under_headings(command: tuple[str, ...], headings: list[str]) -> None:
    assert re.findall(r"^(\w.*):$", help_of(*command), re.MULTILINE) == [*headings, "Examples"]


@pytest.mark.parametrize(
    ("command", "option"),
    [(("netvision-api", "serve"), "--until-stdin-closes"), (("netvision", "get"), "--token ")],
    ids=["serve", "get"],
)
def test_internal_options_are_hidden(command: tuple[str, ...], option: str) -> None:
    assert option not in help_of(*command)
