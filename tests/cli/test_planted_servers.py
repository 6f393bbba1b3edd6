"""The installed `netvision swarm` against servers with planted flaws, over real connections."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netvision_cli.swarm.summary import balances
from netvision_cli.swarm.tally import Tally
from tests.cli.commands import netvision
from tests.cli.flawed import DoublyDeleting, Dropping, Forgetting, Garbling, Halving, Reviving
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
    assert server.requests == calls + readiness_requests + summary["heartbeats"]["requests"]


def test_what_was_lost_is_dated_and_named_in_the_evidence(tmp_path: Path) -> None:
    evidence = tmp_path / "lost.jsonl"
    with planted(PlantedServer(Forgetting(1))) as url:
        done = netvision(url, "swarm", "--records", "300", "--evidence", str(evidence))
    named = [json.loads(line) for line in evidence.read_text().splitlines()]
    assert done.code == 5
    assert {line["lost"] for line in named} == {"insert"}
    assert all(line["acknowledged"] <= line["missing_since"] for line in named)
    assert f"lost {len(named)} inserts and 0 deletions, acknowledged " in done.err
    assert f"(evidence: {evidence})" in done.err


def test_a_short_run_says_in_one_line_that_there_was_no_outage_and_leaves_the_evidence_empty(tmp_path: Path) -> None:
    evidence = tmp_path / "lost.jsonl"
    with planted(PlantedServer(SimulatedServer(1))) as url:
        done = netvision(
            url, "swarm", "--records", "300", "--evidence", str(evidence), "--fail-if", "availability<100%"
        )
    assert (done.code, evidence.read_text()) == (0, "")
    assert [line for line in done.err.splitlines() if "outage" in line] == [
        "no outage of writes or reads of 0.5 s or more"
    ]


def test_stale_reads_spoil_the_account_only_if_it_is_strict() -> None:
    tally = Tally(created=1, deleted=1, stale=1)
    assert [balances(tally, is_strict=is_strict) for is_strict in (False, True)] == [True, False]
