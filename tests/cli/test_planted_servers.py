"""The installed `netvision swarm` against servers with planted flaws, over real connections."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.cli.flawed import DoublyDeleting, Dropping, Garbling, Halving, Reviving
from tests.cli.planted import PlantedServer, planted
from tests.cli.simulation import SimulatedServer
from tests.servers import clean_environment


def swarm(url: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a short swarm; return its exit code and its summary."""
    command = [sys.executable, "-m", "netvision_cli", "swarm", "--url", url, "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=clean_environment(), check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])["summary"]


@pytest.mark.parametrize(
    ("flawed", "harm"),
    [(Dropping, "lost"), (Garbling, "corrupt"), (Reviving, "resurrected"), (DoublyDeleting, "duplicated")],
)
def test_harm_is_found_and_decides_the_exit_code(flawed: type[SimulatedServer], harm: str) -> None:
    with planted(PlantedServer(flawed(1))) as url:
        code, summary = swarm(url, "--records", "300")
    assert code == 5, summary
    assert summary["account"][harm] > 0
    assert "does not balance" in summary["verdict"]


@pytest.mark.parametrize(
    "server",
    [
        PlantedServer(SimulatedServer(1), cuts=0.1),
        PlantedServer(SimulatedServer(2), overloads=0.1),
        PlantedServer(SimulatedServer(3), cuts=0.05, overloads=0.05),
        PlantedServer(Halving(4)),
    ],
    ids=["cuts connections", "responds 503", "both", "stores halves"],
)
def test_a_server_that_is_merely_flaky_is_forgiven(server: PlantedServer) -> None:
    with planted(server) as url:
        code, summary = swarm(url, "--records", "300")
    assert code == 0, summary
    assert summary["balances"]
    assert summary["account"]["created"] == 300
    assert not server.store.texts


def test_one_call_is_one_request_while_connections_are_cut() -> None:
    server = PlantedServer(SimulatedServer(5), cuts=0.2)
    with planted(server) as url:
        _, summary = swarm(url, "--records", "300")
    readiness_requests = 2
    calls = sum(calls["count"] + calls["errors"] for calls in summary["calls"].values())
    assert server.requests == calls + readiness_requests
