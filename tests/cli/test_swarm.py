"""The swarm: its lines, its ends, and that it leaves a store as it found it."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from netvision_cli.cli import app
from netvision_cli.client import Client
from netvision_cli.errors import Unchecked
from netvision_cli.keys import FIRST_BATCH, Run
from netvision_cli.swarm.options import Range, SwarmOptions
from netvision_cli.swarm.workload import Workload
from tests.cli.commands import (
    COMMAND,
    END_SECONDS,
    Ended,
    Running,
    environment,
    http_answer,
    leading_terminal,
    netvision,
    on_terminal,
    raw_server,
    running,
)
from tests.cli.flawed import Stuck
from tests.cli.simulation import OPTIONS, simulate
from tests.cli.summaries import summary_of
from tests.databases import AnyDatabase, SqliteDatabase, on_sqlite
from tests.servers import server_process, wait_until

SMALL = ("--backlog", "100", "--batch", "5:20")
NOWHERE = "http://127.0.0.1:1"
LINE = re.compile(r"deleted (\d+) in (\d+(?:\.\d+)?) s, total (\d+)")
BALANCE = re.compile(r"Every record acknowledged was kept until it was deleted, once: (\d+) created")


@pytest.fixture
def foreign(http: httpx.Client) -> list[dict[str, str]]:
    """Five records that no swarm made: below, among and above the uuids of a run."""
    keys = ["00000000-0000-0000-0000-000000000001", None, None, None, "ffffffff-ffff-ffff-ffff-ffffffffffff"]
    http.post("/new", json=[{"uuid": key, "text": "foreign"} for key in keys])
    records: list[dict[str, str]] = http.get("/all").json()
    assert len(records) == 5
    return records


def stored(http: httpx.Client) -> list[dict[str, str]]:
    records: list[dict[str, str]] = http.get("/all").json()
    return records


def samples(done: Ended) -> list[tuple[int, float, int]]:
    """Read the lines of a run; there is nothing else on standard output."""
    found = [LINE.fullmatch(line) for line in done.lines]
    assert all(found), done.out
    return [(int(match[1]), float(match[2]), int(match[3])) for match in found if match]


def worked(swarm: Running) -> bool:
    """Return whether a swarm has deleted something."""
    return any(not line.startswith("deleted 0") for line in swarm.out)


# --- lines and ends


def test_a_swarm_reports_what_it_deleted_and_leaves_the_store_as_it_was(
    service: str, http: httpx.Client, foreign: list[dict[str, str]]
) -> None:
    done = netvision(service, "swarm", "--interval", "1s", "--duration", "3s", "--backlog", "200")
    assert done.code == 0, done.err
    lines = samples(done)
    totals = [total for _, _, total in lines]
    assert totals == list(accumulate(deleted for deleted, _, _ in lines))
    assert totals[-1] > 0
    assert len(lines) >= 4
    assert [seconds for _, seconds, _ in lines[:-1]] == [1.0] * (len(lines) - 1)
    assert lines[-1][1] <= 1
    balance = BALANCE.search(done.err)
    assert balance, done.err
    assert int(balance[1]) == totals[-1]
    assert stored(http) == foreign


@on_sqlite
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_swarm_with_its_account(
    service: str, http: httpx.Client, foreign: list[dict[str, str]], number: int
) -> None:
    with running(service, "swarm", "--interval", "300ms", *SMALL) as swarm:
        wait_until(lambda: worked(swarm))
        swarm.signal(number)
        done = swarm.end()
    assert done.code == 0, done.err
    assert samples(done)
    assert BALANCE.search(done.err)
    assert stored(http) == foreign


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once(number: int) -> None:
    with raw_server(lambda _request: None) as silent, running(silent.url, "swarm", "--timeout", "10m") as swarm:
        wait_until(lambda: silent.requests)
        swarm.signal(number)
        wait_until(lambda: "again to exit at once" in swarm.said)
        swarm.signal(number)
        done = swarm.end()
    assert done.code == 130
    assert "Traceback" not in done.err


@on_sqlite
def test_a_terminal_that_goes_away_ends_a_swarm_with_its_account(
    service: str, database: AnyDatabase, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    arguments = ("swarm", "--interval", "300ms", "--report", str(report), *SMALL)
    with leading_terminal(service, *arguments) as (swarm, master):
        wait_until(lambda: b", total" in os.read(master, 65536))
        os.close(master)
        assert swarm.wait(END_SECONDS) == 0
    assert database.count() == 0
    assert "Every record acknowledged" in report.read_text()


@on_sqlite
def test_a_hang_up_that_is_ignored_does_not_end_a_swarm(service: str) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with running(service, "swarm", "--interval", "300ms", *SMALL) as swarm:
            wait_until(lambda: worked(swarm))
            swarm.signal(signal.SIGHUP)
            lines = len(swarm.out)
            wait_until(lambda: len(swarm.out) > lines + 1)
            assert "stopping" not in swarm.said
            swarm.signal()
            assert swarm.end().code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@on_sqlite
def test_a_closed_pipe_ends_a_swarm_quietly(service: str, database: AnyDatabase) -> None:
    command = [*COMMAND, "swarm", "--interval", "300ms", *SMALL]
    with subprocess.Popen(
        command, env=environment(service), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as swarm:
        try:
            assert swarm.stdout
            assert LINE.match(swarm.stdout.readline())
            swarm.stdout.close()
            swarm.wait(20)
            assert swarm.stderr
            assert "Traceback" not in swarm.stderr.read()
        finally:
            swarm.kill()
    assert database.count() == 0


@on_sqlite
def test_on_a_terminal_no_line_is_lost_and_the_panel_shows(service: str, tmp_path: Path) -> None:
    with (tmp_path / "lines").open("wb") as file:
        code, shown = on_terminal(service, "swarm", "--interval", "400ms", "--duration", "2s", *SMALL, stdout=file)
    assert code == 0, shown
    lines = samples(Ended(code, (tmp_path / "lines").read_text(), ""))
    assert sum(deleted for deleted, _, _ in lines) == lines[-1][2] > 0
    assert len(lines) >= 4
    assert "running" in shown
    assert "stored now" in shown
    assert BALANCE.search(shown)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--batch", "0:5"],
        ["--batch", "9:3"],
        ["--batch", "x"],
        ["--duration", "soon"],
        ["--interval", "0s"],
        ["--consumers", "0"],
        ["--producers", "-1"],
        ["--fetch", "1001"],
        ["--records", "0"],
        ["--rate", "0"],
        ["extra"],
    ],
)
def test_wrong_usage_of_a_swarm_is_reported(arguments: list[str]) -> None:
    result = CliRunner(env={"NETVISION_URL": NOWHERE}).invoke(app, ["swarm", "--wait", "0s", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")


# --- options


@on_sqlite
def test_a_number_of_records_is_created_exactly(service: str, http: httpx.Client) -> None:
    done = netvision(service, "swarm", "--records", "137", "--producers", "5", "--json")
    summary = summary_of(done)
    assert (done.code, stored(http)) == (0, [])
    assert summary["account"]["created"] == summary["account"]["deleted"] == 137
    assert (summary["checked"], summary["balances"]) == (True, True)


@on_sqlite
def test_json_lines_are_samples_and_at_last_the_summary(service: str) -> None:
    done = netvision(service, "swarm", "--duration", "1s", "--interval", "400ms", "--json", "--seed", "7", *SMALL)
    *lines, last = [json.loads(line) for line in done.lines]
    assert (done.code, len(lines) >= 3) == (0, True)
    assert sum(line["deleted"] for line in lines) == lines[-1]["total"]
    assert last["summary"]["account"]["deleted"] == lines[-1]["total"]
    assert last["summary"]["balances"]
    assert last["summary"]["seed"] == 7
    assert set(last["summary"]["calls"]) == {"insert", "fetch", "delete"}
    assert {"count", "rate", "p50", "p95", "p99", "p99.9", "max", "errors", "retries"} <= set(
        last["summary"]["calls"]["insert"]
    )


@on_sqlite
def test_the_summary_on_standard_error_names_what_it_must(service: str) -> None:
    said = netvision(service, "swarm", "--records", "20", "--seed", "4242").err
    for word in ("seed 4242", "netvision 0", "sqlite", "p99.9", "insert", "fetch", "delete", "errors", "retries"):
        assert word in said.lower()


def offers(seed: int, options: SwarmOptions) -> list[list[str]]:
    async def offered() -> list[list[str]]:
        workload = Workload(Client(NOWHERE), options, seed)
        return [[record.text for record in workload.next_batch().records] for _ in range(20)]

    return asyncio.run(offered())


def test_the_same_seed_offers_the_same_texts_in_the_same_batches() -> None:
    options = SwarmOptions(batch=Range(10, 100))
    assert offers(1, options) == offers(1, options) != offers(2, options)


def test_texts_and_batches_are_as_long_as_requested() -> None:
    batches = offers(1, SwarmOptions(batch=Range(3, 5), length=7))
    assert {len(batch) for batch in batches} == {3, 4, 5}
    assert {len(text) for batch in batches for text in batch} == {7}
    assert all(text.isascii() and text.isalnum() for batch in batches for text in batch)


@on_sqlite
def test_what_remains_on_purpose_is_counted(
    service: str, http: httpx.Client, foreign: list[dict[str, str]], database: AnyDatabase
) -> None:
    arguments = ("--records", "600", "--batch", "100", "--producers", "4", "--consumers", "1", "--leave", "--json")
    done = netvision(service, "swarm", *arguments)
    account = summary_of(done)["account"]
    assert (done.code, account["created"]) == (0, 600)
    assert account["remaining"] == 600 - account["deleted"] - account["unconfirmed"] == database.count() - 5 > 0
    assert all(record in stored(http) for record in foreign)
    assert f"{account['remaining']} remaining" in done.err


@on_sqlite
def test_two_swarms_on_one_server_do_not_disturb_each_other(service: str, database: AnyDatabase) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: netvision(service, "swarm", "--duration", "2s", "--json", *SMALL), range(2)))
    for done in runs:
        summary = summary_of(done)
        assert (done.code, summary["balances"]) == (0, True), done.err
        assert summary["account"]["created"] == summary["account"]["deleted"] > 0
        assert summary["account"]["foreign"] == 0
    assert database.count() == 0


@on_sqlite
@pytest.mark.usefixtures("foreign")
def test_foreign_records_are_deleted_only_on_request(service: str, database: AnyDatabase) -> None:
    done = netvision(service, "swarm", "--records", "300", "--delete-foreign", "--json")
    summary = summary_of(done)
    assert (done.code, database.count()) == (0, 0), done.err
    assert (summary["account"]["foreign"], summary["balances"]) == (5, True)
    assert json.loads(done.lines[-2])["total"] == summary["account"]["deleted"] + 5


@on_sqlite
def test_a_rate_bounds_what_is_inserted(service: str) -> None:
    done = netvision(service, "swarm", "--duration", "2s", "--rate", "20", "--batch", "5", "--json")
    assert 5 <= summary_of(done)["account"]["created"] <= 60


@on_sqlite
def test_producers_wait_while_the_backlog_is_full(service: str) -> None:
    arguments = ("--duration", "2s", "--backlog", "50", "--batch", "10", "--producers", "3", "--interval", "100ms")
    done = netvision(service, "swarm", *arguments, "--json")
    waiting = [json.loads(line)["waiting"] for line in done.lines[:-1]]
    assert done.code == 0
    assert max(waiting) <= 50 + 3 * 10


# --- servers that are not there


def test_an_absent_server_is_waited_for_as_long_as_requested() -> None:
    done = netvision(NOWHERE, "swarm", "--wait", "1s")
    assert done.code == 3
    assert "no response from the server" in done.err
    assert (
        done.err.splitlines()[-1]
        == f"Error: no server at {NOWHERE} (connection refused). Start one: netvision-api serve"
    )
    assert {total for _, _, total in samples(done)} <= {0}


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_refused_token_ends_a_swarm_with_that_error_alone(status: str) -> None:
    with raw_server(http_answer(status)) as guarded:
        done = netvision(guarded.url, "swarm")
    assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
    assert "--token-file" in done.err


@on_sqlite
def test_texts_that_the_server_refuses_end_a_swarm_with_that_error_alone(service: str) -> None:
    done = netvision(service, "swarm", "--length", "2000000")
    assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
    assert "responded with 400" in done.err
    assert "1048576" in done.err.replace(" ", "")


def test_a_server_that_repeats_a_page_leaves_the_account_unchecked() -> None:
    with pytest.raises(Unchecked, match="does not list what comes after"):
        simulate(Stuck(seed=1), 1, replace(OPTIONS, leave=True))


def test_a_server_that_comes_and_goes_is_waited_for(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "records.db")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = str(reserved.getsockname()[1])
    with running(f"http://127.0.0.1:{port}", "swarm", "--interval", "300ms", "--json", *SMALL) as swarm:
        with server_process("--port", port, NETVISION_DATABASE_URL=database.url) as server:
            server.url()
            wait_until(lambda: total(swarm) > 0)
            absences = swarm.said.count(": no response from the server: ")
            server.stop(signal.SIGKILL)
        wait_until(lambda: swarm.said.count(": no response from the server: ") == 1 + absences)
        before = total(swarm)
        with server_process("--port", port, NETVISION_DATABASE_URL=database.url) as server:
            server.url()
            wait_until(lambda: total(swarm) > before)
            swarm.signal()
            done = swarm.end()
    summary = summary_of(done)
    assert done.code == 0, done.err
    assert (summary["balances"], database.count()) == (True, 0)
    assert sum(calls["errors"] for calls in summary["calls"].values()) > 0
    assert summary["outages"]["count"] == done.err.count(": the server responds again, after ") == 1 + absences


def test_a_final_read_that_fails_is_reported(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "records.db")
    with (
        server_process(NETVISION_DATABASE_URL=database.url) as server,
        running(server.url(), "swarm", "--interval", "300ms", "--wait", "1s", *SMALL) as swarm,
    ):
        wait_until(lambda: worked(swarm))
        server.stop(signal.SIGKILL)
        swarm.signal()
        done = swarm.end()
    assert done.code == 6, done.err
    assert "could not be checked" in done.err


def total(swarm: Running) -> int:
    """Return how many records a swarm with lines in JSON reports as deleted."""
    return int(json.loads(swarm.out[-1])["total"]) if swarm.out else 0


@on_sqlite
def test_what_dead_swarms_left_is_deleted_and_nothing_else(
    service: str, http: httpx.Client, foreign: list[dict[str, str]]
) -> None:
    with running(service, "swarm", "--interval", "300ms", *SMALL) as killed:
        wait_until(lambda: worked(killed))
        killed.signal(signal.SIGKILL)
    assert netvision(service, "swarm", "--records", "1200", "--leave", "--consumers", "1").code == 0
    added = netvision(service, "add", "letters1").lines
    with running(service, "swarm", "--interval", "300ms", *SMALL) as alive:
        wait_until(lambda: worked(alive))
        done = netvision(service, "swarm", "--clean", "--interval", "1s")
        alive.signal()
        assert alive.end().code == 0
    assert (done.code, done.out, done.err.count("deleted ")) == (0, "", 2)
    assert done.err.count("which is running") == 1
    assert {record["uuid"] for record in stored(http)} == {*added, *(record["uuid"] for record in foreign)}
    again = netvision(service, "swarm", "--clean")
    assert (again.code, again.err) == (0, "no swarm has left records here\n")


def test_cleaning_that_a_server_refuses_ends_with_that_error_alone() -> None:
    run = Run.start_swarm()
    keys = [run.key(FIRST_BATCH + 1, position) for position in range(20)]
    listed = "".join(json.dumps({"uuid": str(key), "text": "abc"}) + "\n" for key in keys)

    def respond(request: bytes) -> bytes:
        if request.startswith(b"GET "):
            return http_answer("200 OK", listed, kind="application/x-ndjson")
        return http_answer("403 Forbidden", '{"detail": "The token may only read."}')

    with raw_server(respond) as server:
        done = netvision(server.url, "swarm", "--clean", "--interval", "100ms")
    assert (done.code, done.err.count("Error: "), "Traceback" in done.err) == (4, 1, False)


# --- demo


@contextmanager
def demonstrating(folder: Path, *arguments: str) -> Iterator[tuple[Running, int]]:
    """Run a demo with its temporary files in a folder; yields it and the port of its server."""
    with running(NOWHERE, "demo", *arguments, TMPDIR=str(folder)) as demo:
        wait_until(lambda: "listens on" in demo.said or demo.process.poll() is not None)
        found = re.search(r"listens on http://127\.0\.0\.1:(\d+)", demo.said)
        assert found, demo.said
        yield demo, int(found[1])


def is_served(port: int) -> bool:
    """Return whether something listens."""
    try:
        socket.create_connection(("127.0.0.1", port), END_SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_demo_shows_a_swarm_and_removes_its_traces(tmp_path: Path) -> None:
    with demonstrating(tmp_path, "--duration", "3s", "--interval", "1s", *SMALL) as (demo, port):
        assert is_served(port)
        done = demo.end()
    assert done.code == 0, done.err
    assert samples(done)[-1][2] > 0
    assert BALANCE.search(done.err)
    assert (list(tmp_path.iterdir()), is_served(port)) == ([], False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_removes_its_traces(tmp_path: Path, number: int) -> None:
    with demonstrating(tmp_path, "--interval", "500ms", *SMALL) as (demo, port):
        wait_until(lambda: worked(demo))
        demo.signal(number)
        done = demo.end()
    assert done.code == 0, done.err
    assert (list(tmp_path.iterdir()), is_served(port)) == ([], False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_while_its_server_starts_removes_its_traces(tmp_path: Path, number: int) -> None:
    with running(NOWHERE, "demo", TMPDIR=str(tmp_path)) as demo:
        wait_until(lambda: list(tmp_path.iterdir()))
        demo.signal(number)
        done = demo.end()
    assert done.code in {0, 130}
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in done.err


def test_the_server_of_a_killed_demo_ends_by_itself(tmp_path: Path) -> None:
    with demonstrating(tmp_path) as (demo, port):
        demo.signal(signal.SIGKILL)
        demo.process.wait(END_SECONDS)
        wait_until(lambda: not is_served(port))
