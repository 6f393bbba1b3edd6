"""What reaches a terminal and a pipe: records as data, words apart from them, and nothing that text could command."""

import csv
import json
import re
import signal
import socket
import subprocess
import sys
import unicodedata
from io import StringIO
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from netvision_cli.cli import app
from netvision_cli.escaping import escape
from tests.api.services import service_on
from tests.cli.commands import (
    COMMAND,
    TERMINAL_SIZE,
    environment,
    http_answer,
    invoke,
    netvision,
    on_terminal,
    raw_server,
    running,
)
from tests.databases import AnyDatabase, on_sqlite
from tests.servers import wait_until

COMMANDS = ("add", "list", "get", "delete", "status", "swarm", "demo")
KEY = "0192f0c4-5c5e-7000-8000-000000000001"
UNSENT = "http://127.0.0.1:1"
COLUMNS = TERMINAL_SIZE[1]
NASTY = (
    "",
    " ",
    "plain",
    "tab\there",
    "line\nline\r\nline\rline",
    "back\\slash \\n",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "\x7f\x80\x9b\x85",
    "\u2028\u2029\u202eabc\u2066",
    "[red]x[/] [/] :smile:",
    'a "quoted", text\'s end',
    "=1+1",
    "grüße 日本 👩‍👩‍👧",
    "\ufeffx\ufffe",
    "x" * 5000,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SHOWN = {r"\\": "\\", r"\t": "\t", r"\n": "\n", r"\r": "\r"}


@pytest.fixture
def nasty(http: httpx.Client) -> list[dict[str, str]]:
    """Records with every text that is hard to show."""
    records: list[dict[str, str]] = http.post("/new", json=[{"text": text} for text in NASTY]).json()
    return records


def unescaped(text: str) -> str:
    """Read an escaped text back."""

    def character(match: re.Match[str]) -> str:
        return SHOWN.get(match[0]) or chr(int(match[1] or match[2], 16))

    return re.sub(r"\\(?:[\\tnr]|x([0-9a-f]{2})|u([0-9a-f]{4}))", character, text)


# --- escaping


@given(TEXTS)
def test_an_escaped_text_holds_no_control_character(text: str) -> None:
    assert not {unicodedata.category(character) for character in escape(text)} & {"Cc", "Zl", "Zp"}


@given(TEXTS)
def test_an_escaped_text_can_be_read_back(text: str) -> None:
    assert unescaped(escape(text)) == text


@given(TEXTS, TEXTS)
def test_two_texts_never_look_alike(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("a\tb\nc\rd\\e", r"a\tb\nc\rd\\e"),
        ("\x00\x1b\x7f\x85", r"\x00\x1b\x7f\x85"),
        ("\u2028\u202e", r"\u2028\u202e"),
        ("grüße 日本 👩‍👧", "grüße 日本 👩‍👧"),
    ],
)
def test_what_is_shown_escaped(text: str, shown: str) -> None:
    assert escape(text) == shown


# --- formats


@on_sqlite
def test_text_is_one_line_per_record_with_one_tab(service: str, nasty: list[dict[str, str]]) -> None:
    done = invoke(service, "list", "--format", "text")
    assert done.lines == [f"{record['uuid']}\t{escape(record['text'])}" for record in nasty]
    assert invoke(service, "list").out == done.out


@on_sqlite
def test_a_table_is_one_line_per_record(service: str, nasty: list[dict[str, str]]) -> None:
    head, *rows = invoke(service, "list", "--format", "table").lines
    assert head.split() == ["UUID", "TEXT"]
    assert rows == [f"{record['uuid']}  {escape(record['text'])}" for record in nasty]


@on_sqlite
def test_json_and_csv_lose_nothing(service: str, nasty: list[dict[str, str]]) -> None:
    assert json.loads(invoke(service, "list", "--format", "json").out) == nasty
    lines = invoke(service, "list", "--format", "ndjson").out.removesuffix("\n").split("\n")
    assert [json.loads(line) for line in lines] == nasty
    table = invoke(service, "list", "--format", "csv").out
    assert list(csv.DictReader(StringIO(table, newline=""))) == nasty


@on_sqlite
@pytest.mark.parametrize("name", ["json", "ndjson", "csv"])
@pytest.mark.usefixtures("nasty")
def test_what_list_wrote_can_be_added_again(
    service: str, http: httpx.Client, database: AnyDatabase, tmp_path: Path, name: str
) -> None:
    before = http.get("/all").json()
    file = tmp_path / f"records.{name}"
    file.write_bytes(invoke(service, "list", "--format", name).out.encode())
    database.wipe()
    done = invoke(service, "add", "--file", str(file))
    assert (done.code, http.get("/all").json()) == (0, before), done.err


# --- terminals


@on_sqlite
def test_a_terminal_gets_a_table_of_what_is_stored_and_nothing_it_obeys(
    service: str, nasty: list[dict[str, str]]
) -> None:
    code, shown = on_terminal(service, "list")
    assert code == 0
    assert "\x1b" not in shown
    head, *rows = shown.removesuffix("\n").split("\n")
    assert head.split() == ["UUID", "TEXT"]
    whole = [f"{record['uuid']}  {escape(record['text'])}" for record in nasty]
    assert rows == [row if len(row) <= COLUMNS else f"{row[: COLUMNS - 1]}…" for row in whole]


@on_sqlite
def test_a_wide_text_is_cut_by_the_cells_it_takes(service: str, http: httpx.Client) -> None:
    http.post("/new", json=[{"text": "日本" * 100}, {"text": "日本"}])
    _, first, second = on_terminal(service, "list")[1].splitlines()
    assert first[36:] == f"  {'日本' * 30}…"
    assert second[36:] == "  日本"


@on_sqlite
@pytest.mark.parametrize("name", ["json", "ndjson", "csv"])
def test_a_terminal_gets_nothing_it_obeys_in_any_format(service: str, nasty: list[dict[str, str]], name: str) -> None:
    code, shown = on_terminal(service, "list", "--format", name)
    assert code == 0
    assert not [character for character in shown if character != "\n" and escape(character)[:2] in {"\\x", "\\u"}]
    if name == "csv":
        rows = list(csv.DictReader(StringIO(shown, newline="")))
        assert rows == [record | {"text": escape(record["text"])} for record in nasty]
    else:
        text = shown if name == "json" else f"[{','.join(shown.splitlines())}]"
        assert json.loads(text) == nasty


@on_sqlite
def test_deletions_on_a_terminal_are_all_shown(service: str, nasty: list[dict[str, str]]) -> None:
    code, shown = on_terminal(service, "delete", "--all", "--yes", "--format", "ndjson")
    assert code == 0
    assert all(record["uuid"] in shown for record in nasty)
    assert "[red]x[/] [/] :smile:" in shown


@on_sqlite
def test_no_color_is_kept(service: str) -> None:
    code, shown = on_terminal(service, "swarm", "--records", "50", NO_COLOR="1")
    assert code == 0
    colours = re.findall(r"\x1b\[[0-9;]*m", shown)
    assert not [colour for colour in colours if re.search(r"[\[;](3[0-7]|4[0-7]|9[0-7]|38|48)[;m]", colour)]


def test_text_in_an_error_is_not_obeyed() -> None:
    code, shown = on_terminal(UNSENT, "get", "[red]x[/]\x1b[31m")
    assert code == 2
    assert "[red]x[/]" in shown
    assert "\x1b[31m" not in shown


@pytest.mark.parametrize("answer", ["[bold]no[/]", "\x1b[31mno\x1b[0m"])
def test_the_output_of_a_server_is_escaped(answer: str) -> None:
    problem = json.dumps({"title": "x", "detail": answer})
    with raw_server(http_answer("400 Bad Request", problem)) as server:
        code, shown = on_terminal(server.url, "get", KEY)
    assert code == 4
    assert "no" in shown
    assert "\x1b" not in shown
    assert answer in shown or escape(answer) in shown


# --- pipes


@on_sqlite
@pytest.mark.parametrize("count", [3, 5000])
@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_closed_pipe_ends_a_list_quietly(service: str, http: httpx.Client, count: int, format_: str) -> None:
    http.post("/new", json=[{"text": "x" * 100} for _ in range(count)])
    command = [*COMMAND, "list", "--format", format_]
    with subprocess.Popen(command, env=environment(service), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        assert reader.stdout
        assert reader.stderr
        if count > 3:
            reader.stdout.readline()
        reader.stdout.close()
        assert reader.stderr.read() == b""
        assert reader.wait() in {0, 141}


def test_a_list_whose_reader_pauses_for_longer_than_the_server_waits_is_complete(tmp_path: Path) -> None:
    with service_on(tmp_path, write_timeout=0.3) as service:

        def in_flight() -> float:
            found = re.search(
                r"^netvision_requests_in_flight (\S+)$", service.request("GET", "/metrics").text, re.MULTILINE
            )
            assert found
            return float(found[1])

        for _ in range(5):
            service.request("POST", "/new", json=[{"text": "x" * 400_000}] * 20).raise_for_status()
        idle = in_flight()
        command = [*COMMAND, "list", "--format", "ndjson"]
        with subprocess.Popen(
            command, env=environment(service.url), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as pager:
            assert pager.stdout
            assert pager.stderr
            first = pager.stdout.readline()
            wait_until(lambda: in_flight() == idle)
            rest = pager.stdout.readlines()
            assert (pager.wait(), pager.stderr.read()) == (0, b"")
        assert [json.loads(line) for line in (first, *rest)] == service.request("GET", "/all").json()


@on_sqlite
@pytest.mark.parametrize("arguments", [["list"], ["add", "one"], ["delete", "--all", "--yes"]])
def test_standard_input_is_read_only_for_a_dash(service: str, arguments: list[str]) -> None:
    reading, writing = socket.socketpair()
    with reading, writing:
        writing.sendall(b"unread\n")
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=environment(service),
            stdin=reading.fileno(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0
        assert reading.recv(100) == b"unread\n"


@on_sqlite
def test_output_is_utf_8_in_any_locale(service: str, nasty: list[dict[str, str]]) -> None:
    done = netvision(service, "list", "--format", "ndjson", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.code, len(done.lines)) == (0, len(nasty))
    assert "grüße 日本" in done.out


# --- errors


@pytest.fixture
def unused_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("arguments", [["list"], ["add", "x"], ["delete", "--all", "--yes"], ["status"]])
def test_a_missing_server_is_reported_with_the_next_command(unused_port: int, arguments: list[str]) -> None:
    done = invoke(f"http://127.0.0.1:{unused_port}", *arguments, COLUMNS="40")
    sentence = f"no server at http://127.0.0.1:{unused_port} (connection refused). Start one: netvision-api serve"
    assert (done.code, done.out) == (3, "")
    assert re.fullmatch(rf"Error: {re.escape(sentence)}\n", done.err)


def test_a_list_without_a_server_writes_nothing(unused_port: int) -> None:
    for name in ("table", "csv"):
        done = invoke(f"http://127.0.0.1:{unused_port}", "list", "--format", name)
        assert (done.code, done.out) == (3, "")


def test_a_long_error_is_not_wrapped() -> None:
    detail = "a long reason that goes on " * 30
    with raw_server(http_answer("422 Unprocessable Content", json.dumps({"detail": detail}))) as server:
        done = netvision(server.url, "get", KEY)
    assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
    assert detail in done.err


def test_a_reason_of_several_lines_is_printed_in_one() -> None:
    with raw_server(http_answer("422 Unprocessable Content", json.dumps({"detail": "one\ntwo"}))) as server:
        done = invoke(server.url, "get", KEY)
    assert (done.code, done.err.count("\n")) == (4, 1)


def test_an_interrupted_command_is_130() -> None:
    with raw_server(lambda _request: None) as silent, running(silent.url, "list", "--timeout", "10m") as command:
        wait_until(lambda: silent.requests)
        command.signal(signal.SIGINT)
        done = command.end()
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err


def test_nothing_is_guessed_about_a_server_that_only_reports_ready() -> None:
    with raw_server(http_answer("200 OK", '{"status": "ready"}', "Connection: close")) as server:
        done = invoke(server.url, "status")
    assert (done.code, done.err) == (0, "")
    expected = rf"{re.escape(server.url)} is ready, [0-9.]+ ms away: give its token to see more\n"
    assert re.fullmatch(expected, done.out)


def test_a_token_in_a_file_that_is_not_text_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe\x00")
    done = invoke(UNSENT, "status", "--token-file", str(file))
    assert (done.code, done.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("token", ["caf\u00e9" * 10, "two\nlines"])
def test_a_token_that_no_header_can_carry_is_wrong_usage(token: str) -> None:
    done = invoke(UNSENT, "status", NETVISION_TOKEN=token)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert token not in done.err


# --- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_every_option_of_a_connection(command: str) -> None:
    short, long = (CliRunner().invoke(app, [command, option]) for option in ("-h", "--help"))
    assert (short.exit_code, short.stderr, long.stdout) == (0, "", short.stdout)
    shown = [f"  {option} " in short.stdout for option in ("--url", "--token-file", "--timeout")]
    assert shown == [command != "demo"] * 3


def test_help_names_every_command() -> None:
    done = netvision(UNSENT, "-h")
    assert done.code == 0
    assert all(re.search(rf"^  {command} ", done.out, re.MULTILINE) for command in COMMANDS)


def test_the_version_is_printed() -> None:
    assert re.fullmatch(r"netvision \d+\.\d+\.\d+\n", netvision(UNSENT, "--version").out)


def loaded_after(program: str, url: str = UNSENT) -> list[str]:
    """Return what of the heavier packages a program has imported in the end."""
    heavy = {"httpx", "litestar", "msgspec", "netvision_api", "rich", "sqlalchemy"}
    told = f"import sys\n{program}\nprint('loaded:', *sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", told], env=environment(url), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1].split()[1:]


def test_help_imports_neither_http_nor_the_server() -> None:
    program = f"""
from netvision_cli.cli import app
for command in ((), *[(name,) for name in {COMMANDS!r}]):
    app([*command, "--help"], standalone_mode=False)
"""
    assert loaded_after(program) == []


def test_a_single_call_imports_no_more_than_it_needs() -> None:
    program = f"""
from netvision_cli.cli import app
app(["get", "{KEY}"], standalone_mode=False)
"""
    with raw_server(http_answer("200 OK", f'{{"uuid": "{KEY}", "text": "a"}}')) as server:
        assert loaded_after(program, server.url) == ["msgspec"]
