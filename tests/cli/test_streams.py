"""Standard streams that are full or closed: one sentence and an exit status, whatever the command does."""

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import COMMAND, Ended, environment
from tests.databases import AnyDatabase, on_sqlite

KEY = "0192f0c4-5c5e-7000-8000-000000000001"
OUTPUT = [
    "add x",
    "list",
    f"get {KEY}",
    f"delete {KEY}",
    "status",
    "swarm --records 20",
    "--version",
    "--help",
]


def in_a_shell(url: str, command: str) -> Ended:
    """Run a command whose streams a shell redirects, to its end."""
    line = f"{' '.join(COMMAND)} {command}"
    done = subprocess.run(["sh", "-c", line], env=environment(url), capture_output=True, timeout=60, check=False)
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full, of Linux")
@on_sqlite
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
@pytest.mark.parametrize("command", OUTPUT)
def test_output_that_cannot_be_written_is_reported_in_one_sentence(
    service: str, http: httpx.Client, command: str, redirection: str
) -> None:
    http.post("/new", json=[{"uuid": KEY, "text": "one"}])
    done = in_a_shell(service, f"{command} {redirection}")
    reason = "No space left on device" if "full" in redirection else "Bad file descriptor"
    *messages, last = done.err.splitlines()
    assert (done.code, last.partition(";")[0]) == (1, f"Error: cannot write to standard output ({reason})")
    assert messages == [] or command.startswith("swarm")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full, of Linux")
@on_sqlite
def test_a_stored_or_deleted_record_that_cannot_be_printed_is_said_to_be_so(
    service: str, database: AnyDatabase
) -> None:
    added = in_a_shell(service, f"add --uuid {KEY} x >/dev/full")
    assert database.count() == 1
    assert "1 text was stored before that" in added.err
    deleted = in_a_shell(service, f"delete {KEY} >/dev/full")
    assert database.count() == 0
    assert "1 record was deleted before that" in deleted.err


@on_sqlite
def test_a_swarm_whose_lines_cannot_be_written_deletes_what_it_inserted(service: str, database: AnyDatabase) -> None:
    assert in_a_shell(service, "swarm --interval 200ms >/dev/full").code == 1
    assert database.count() == 0


@pytest.mark.parametrize("command", ["add -", "get -", "delete -"])
def test_standard_input_that_is_closed_is_wrong_usage(command: str) -> None:
    done = in_a_shell("http://127.0.0.1:1", f"{command} <&-")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: cannot read standard input (Bad file descriptor)")
    assert done.err.count("\n") == 1


@on_sqlite
def test_without_standard_error_the_data_is_complete(service: str, http: httpx.Client) -> None:
    http.post("/new", json=[{"uuid": KEY, "text": "one"}])
    assert in_a_shell(service, "list 2>&-") == (0, f"{KEY}\tone\n", "")
    assert in_a_shell(service, "get x 2>&-").code == 2
