"""Adding while texts come slowly, are interrupted, or the server is away."""

import os
import pty
import signal
import subprocess
from pathlib import Path

from netvision_api.settings import Settings
from netvision_cli.storing import ATTEMPTS, BATCH_RECORDS
from tests.cli.commands import COMMAND, END_SECONDS, environment, http_answer, invoke, raw_server
from tests.databases import AnyDatabase, on_sqlite
from tests.servers import served, wait_until

NOT_SAVED = '{"type": "urn:netvision:problem:database-unavailable", "detail": "no", "outcome": "not-saved"}'


@on_sqlite
def test_texts_that_are_typed_are_stored_within_a_second_and_one_interrupt_ends_it(
    service: str, database: AnyDatabase
) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "add", "-"], env=environment(service), stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as adding:
        assert adding.stdout
        assert adding.stderr
        assert b"end with Ctrl-D" in adding.stderr.readline()
        os.write(master, b"one\n")
        assert len(adding.stdout.readline()) == 37
        assert database.count() == 1
        adding.send_signal(signal.SIGINT)
        said = adding.stderr.read().decode()
        assert adding.wait(END_SECONDS) == 130
    assert said == "Error: interrupted; 1 text was stored before that; to go on, skip them in the input\n"
    os.close(slave)
    os.close(master)


@on_sqlite
def test_lines_of_a_slow_pipe_are_stored_before_the_next_ones_come(service: str, database: AnyDatabase) -> None:
    with subprocess.Popen(
        [*COMMAND, "add", "-"], env=environment(service), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as adding:
        assert adding.stdin
        assert adding.stdout
        for number in range(2):
            adding.stdin.write(f"{number}\nanother\n".encode())
            adding.stdin.flush()
            assert [len(adding.stdout.readline()) for _ in range(2)] == [37, 37]
            assert database.count() == 2 * number + 2
        adding.stdin.write(b"last")
        adding.stdin.close()
        assert adding.wait(END_SECONDS) == 0
    assert database.count() == 5


def test_an_interrupt_says_what_may_be_stored_too(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("one\ntwo\n")
    with raw_server(lambda _request: None) as silent:
        command = [*COMMAND, "add", "--file", str(file)]
        with subprocess.Popen(command, env=environment(silent.url), stderr=subprocess.PIPE, text=True) as adding:
            wait_until(lambda: silent.requests)
            adding.send_signal(signal.SIGINT)
            assert adding.stderr
            assert adding.stderr.read() == "Error: interrupted; 0 texts were stored before that, and 2 more may be\n"
            assert adding.wait(END_SECONDS) == 130


@on_sqlite
def test_an_import_waits_for_a_server_that_restarts(database: AnyDatabase, tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("".join(f"{number}\n" for number in range(BATCH_RECORDS + 1)))
    with raw_server(http_answer("503 Service Unavailable")) as stopping:
        command = [*COMMAND, "add", "--file", str(file), "--wait", "1m"]
        adding = subprocess.Popen(command, env=environment(stopping.url), stdout=subprocess.PIPE)
        wait_until(lambda: len(stopping.requests) > ATTEMPTS)
    with adding, served(Settings(database_url=database.url, port=stopping.port, migrate=False)):
        assert adding.stdout
        assert len(adding.stdout.readlines()) == BATCH_RECORDS + 1
        assert adding.wait(END_SECONDS) == 0
    assert database.count() == BATCH_RECORDS + 1


def test_what_may_be_stored_never_contradicts_what_the_server_says() -> None:
    answers = {
        "not-saved": http_answer("503 Service Unavailable", NOT_SAVED),
        "unknown": http_answer("502 Bad Gateway"),
    }
    for outcome, answer in answers.items():
        with raw_server(answer) as server:
            done = invoke(server.url, "add", "one")
        assert (done.code, "may be stored" in done.err) == (1, outcome == "unknown")
