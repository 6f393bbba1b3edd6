"""Options as values, and values as the command that gives them."""

import shlex
from typing import Any

import pytest

from netvision_cli import cli
from netvision_cli.options import Connection, command_line
from netvision_cli.swarm import command
from netvision_cli.swarm.options import Range, SwarmOptions
from netvision_cli.swarm.thresholds import Threshold

FAIL_IF = (Threshold.parse("delete.p99 > 50ms"), Threshold.parse("errors>0.1%"))


@pytest.mark.parametrize(
    "options",
    [
        SwarmOptions(),
        SwarmOptions(
            producers=3, batch=Range(5, 20), interval=0.3, duration=3600.0, rate=1_000_000.0, backlog=0, seed=0
        ),
        SwarmOptions(fail_if=FAIL_IF, leave=True, delete_foreign=True, json=True, seed=2**31),
    ],
)
def test_the_command_of_a_run_gives_the_same_options_again(
    options: SwarmOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(command, "run_swarm", lambda *values: given.extend(values))
    connection = Connection(url="http://localhost:1", timeout=2.5)
    program, *arguments = shlex.split(command_line("swarm", connection, options))
    assert program == "netvision"
    cli.app(arguments, standalone_mode=False)
    assert given == [connection, options]


def test_a_command_holds_no_secret() -> None:
    connection = Connection(url="http://user:password@localhost:1/x", token="t" * 32)
    assert command_line("swarm", connection) == "netvision swarm --url http://localhost:1/x"
