"""`netvision-api serve` as a process: how it starts, what it refuses, and how it stops."""

import json
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from litestar.exceptions import LitestarDeprecationWarning

from netvision_api import __version__
from netvision_api.app import create_app
from netvision_api.settings import ConfigurationError, Settings
from tests.databases import AnyDatabase, PostgresqlDatabase
from tests.servers import (
    ServerProcess,
    clean_environment,
    invoke_api,
    netvision_api,
    server_process,
    variables,
    wait_until,
)

SIGNALS = [signal.SIGTERM, signal.SIGINT]
HALF_A_HEAD = b"GET /5 HTTP/1.1\r\nHost: local"
HALF_A_BODY = (
    b'POST /new HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[{"te'
)

COMMANDS = [
    [],
    ["serve"],
    ["openapi"],
    ["config"],
    ["db"],
    ["db", "upgrade"],
    ["db", "downgrade"],
    ["db", "current"],
    ["db", "check"],
    ["db", "sql"],
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'records.db'}"


def connect(url: str) -> socket.socket:
    where = urlsplit(url)
    return socket.create_connection((where.hostname, where.port or 0), timeout=30)


def check_refusal(code: int, *words: str, arguments: Sequence[str] = (), **environment: str) -> None:
    """Check that `serve` does not run, and that one sentence says why."""
    with server_process(*arguments, **environment) as server:
        wait_until(lambda: server.process.poll() is not None or "listening on" in server.said)
        assert server.stop(signal.SIGKILL) == code, server.said
        assert "Traceback" not in server.said
        assert all(word in server.said for word in words), server.said
        told = [line for line in server.lines if not line.startswith("database: ")]
        assert len(told) == 1 or "Usage" in server.said


def test_it_responds_as_soon_as_it_announces_its_url(url: str) -> None:
    with server_process(NETVISION_DATABASE_URL=url) as server:
        address = server.url()
        assert httpx.post(f"{address}/new", json=[{"text": "a"}]).status_code == 201
        assert httpx.get(f"{address}/health/ready").json()["status"] == "ready"
        assert address.startswith("http://127.0.0.1:")
        assert f"listening on {address}\n" in server.said
        assert url.removeprefix("sqlite:///") in server.said


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_it_with_exit_code_0(url: str, number: int) -> None:
    with server_process(NETVISION_DATABASE_URL=url) as server:
        with httpx.Client(base_url=server.url(), verify=False) as http:
            assert http.get("/all").status_code == 200
            assert server.stop(number) == 0
        assert "Traceback" not in server.said


@pytest.mark.parametrize(
    ("number", "half"), [(signal.SIGTERM, HALF_A_HEAD), (signal.SIGINT, HALF_A_BODY)], ids=["head", "body"]
)
def test_a_half_sent_request_does_not_hold_it_up(url: str, number: int, half: bytes) -> None:
    with server_process("--grace", "1s", NETVISION_DATABASE_URL=url) as server, connect(server.url()) as connection:
        connection.sendall(half)
        assert httpx.get(f"{server.url()}/health/live").status_code == 200
        assert server.stop(number) == 0


def test_a_port_in_use_is_exit_code_1(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        check_refusal(1, port, "in use", arguments=["--port", port], NETVISION_DATABASE_URL=url)


def test_a_host_that_is_not_known_is_named(url: str) -> None:
    token = {"NETVISION_TOKEN": "t" * 32}
    check_refusal(
        1, "nowhere.invalid", "--host", arguments=["--host", "nowhere.invalid"], NETVISION_DATABASE_URL=url, **token
    )


def test_a_second_server_on_an_sqlite_file_is_refused_until_the_first_is_gone(url: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    other = f"sqlite+aiosqlite:///{tmp_path / 'elsewhere' / 'records.db'}"
    with server_process(NETVISION_DATABASE_URL=url) as first:
        stored = httpx.post(f"{first.url()}/new", json=[{"text": "a"}]).json()
        (tmp_path / "hard.db").hardlink_to(tmp_path / "records.db")
        check_refusal(1, "in use", NETVISION_DATABASE_URL=f"sqlite:///{tmp_path}/hard.db")
        check_refusal(1, "in use", NETVISION_DATABASE_URL=other)
        first.stop(signal.SIGKILL)
    with server_process(NETVISION_DATABASE_URL=other) as second:
        assert httpx.get(f"{second.url()}/all").json() == stored


def test_a_file_that_is_no_database_is_exit_code_1_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear database,\n" * 1000)
    check_refusal(1, "not a database", NETVISION_DATABASE_URL=f"sqlite:///{path}")
    assert path.read_text() == "Dear database,\n" * 1000


def test_a_folder_in_place_of_a_database_is_exit_code_1(tmp_path: Path) -> None:
    check_refusal(1, str(tmp_path), NETVISION_DATABASE_URL=f"sqlite:///{tmp_path}")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0"),
        (["--host", "192.0.2.1"], "loopback"),
        (["--workers", "2"], "SQLite"),
        (["--database-url", "sqlite://"], "file"),
        (["--database-url", "sqlite:///:memory:"], "file"),
        (["--database-url", "sqlite:///file:x.db?uri=true"], "`file:`"),
        (["--database-url", "mysql://localhost/x"], "postgresql://"),
        (["--pool-timeout", "soon"], "soon"),
        (["--grace", "0s"], "0s"),
        (["--grace", "5 parsecs"], "parsecs"),
        (["--max-records", "many"], "--max-records"),
        (["--max-records", "0"], "0"),
        (["--workers", "0"], "0"),
        (["--pool-size", "0"], "0"),
        (["--max-text", "-5"], "-5"),
        (["--port", "70000"], "70000"),
        (["--log-level", "loud"], "loud"),
        (["--root-path", "records"], "--root-path"),
        (["--root-path", "/records/"], "--root-path"),
        (["--forwarded-allow-ips", "127.0.0.1,proxy"], "'proxy'"),
        (["--no-such-option"], "--no-such-option"),
        (["extra"], "extra"),
    ],
    ids=str,
)
def test_wrong_usage_and_unsafe_settings_are_exit_code_2(url: str, arguments: list[str], word: str) -> None:
    result = invoke_api("serve", "--port", "0", *arguments, NETVISION_DATABASE_URL=url)
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    assert word in result.stderr
    assert "Traceback" not in result.stderr
    told = [line for line in result.stderr.splitlines() if not line.startswith("database: ")]
    assert len(told) == 1 or "Usage" in result.stderr


def test_a_bad_variable_is_exit_code_2_and_named(url: str) -> None:
    check_refusal(2, "soon", "NETVISION_GRACE", NETVISION_DATABASE_URL=url, NETVISION_GRACE="soon")


def test_an_option_wins_over_a_variable(url: str, tmp_path: Path) -> None:
    with server_process("--database-url", url, NETVISION_DATABASE_URL=f"sqlite:///{tmp_path}/other.db") as server:
        server.url()
    assert (tmp_path / "records.db").exists()
    assert not (tmp_path / "other.db").exists()


def test_it_stops_when_its_standard_input_closes(url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "netvision_api", "serve", "--port", "0", "--until-stdin-closes"],
        env=clean_environment() | {"NETVISION_DATABASE_URL": url},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stderr
        assert any("listening on" in line for line in iter(process.stderr.readline, ""))
        process.stdin.close()
        assert process.wait(60) == 0


def test_two_workers_serve_and_stop_with_exit_code_0(postgresql: PostgresqlDatabase) -> None:
    database = postgresql.sibling("netvision_workers")
    environment = {"NETVISION_DATABASE_URL": database.url}
    with server_process("--workers", "2", "--migrate", "--grace", "1s", **environment) as server:
        wait_until_ready(server)
        stored = httpx.post(f"{server.url()}/new", json=[{"text": "a"}]).json()
        assert [httpx.get(f"{server.url()}/all").json() for _ in range(8)] == [stored] * 8
        assert server.stop() == 0


def wait_until_ready(server: ServerProcess) -> None:
    url = server.url()
    wait_until(lambda: httpx.get(f"{url}/health/ready").status_code == 200)


def test_postgresql_that_is_away_at_start_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    away = f"postgresql://nobody@127.0.0.1:{port}/netvision"
    with server_process("--migrate", NETVISION_DATABASE_URL=away) as server:
        assert server.url()
        assert "waiting for the database: The database is unreachable: start it" in server.said
        assert httpx.get(f"{server.url()}/health/live").status_code == 200
        ready = httpx.get(f"{server.url()}/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
        assert "unreachable" in ready.json()["reason"]
        assert server.process.poll() is None
        assert server.stop() == 0


def test_a_server_that_waits_for_its_schema_serves_once_it_is_there(postgresql: PostgresqlDatabase) -> None:
    database = postgresql.sibling("netvision_late")
    with server_process(NETVISION_DATABASE_URL=database.url) as server:
        assert httpx.get(f"{server.url()}/health/ready").status_code == 503
        assert "waiting for the database: schema at none, needs 0002: run `netvision-api db upgrade`" in server.said
        assert netvision_api("db", "upgrade", NETVISION_DATABASE_URL=database.url).returncode == 0
        wait_until_ready(server)
        assert httpx.post(f"{server.url()}/new", json=[]).status_code == 200


@pytest.mark.parametrize("module", ["netvision_api", "netvision_cli"])
def test_both_commands_tell_their_version(module: str) -> None:
    result = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert __version__ in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(arguments: list[str]) -> None:
    result = invoke_api(*arguments, "-h")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: " in result.stdout


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_client_explains_itself(flag: str) -> None:
    result = subprocess.run([sys.executable, "-m", "netvision_cli", flag], capture_output=True, text=True, check=True)
    assert "Usage: " in result.stdout


def test_help_imports_neither_litestar_nor_sqlalchemy() -> None:
    code = (
        "import json, sys\n"
        "from netvision_api.cli import app\n"
        "app(['serve', '--help'], standalone_mode=False)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {name.partition(".")[0] for name in json.loads(result.stdout.splitlines()[-1])}
    assert "netvision_api" in modules
    assert not modules & {"litestar", "sqlalchemy", "advanced_alchemy", "uvicorn", "netvision_cli"}


def test_the_application_uses_nothing_that_is_deprecated(url: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", LitestarDeprecationWarning)
        warnings.filterwarnings("error", category=DeprecationWarning, module="netvision_api")
        assert create_app(Settings(database_url=url)).openapi_schema


def test_the_application_takes_its_settings_from_the_environment_unless_it_is_given_some(url: str) -> None:
    environment = {"NETVISION_DATABASE_URL": url, "NETVISION_GRACE": "20s", "NETVISION_TOKEN": "t" * 32}
    with variables(clean_environment() | environment):
        settings = create_app().state.settings
        assert settings == Settings(database_url=url, grace=20, token="t" * 32)
    with variables(clean_environment() | {"NETVISION_GRACE": "soon"}), pytest.raises(ConfigurationError, match="soon"):
        create_app()


@pytest.mark.parametrize("module", ["netvision_api.app", "netvision_api.server"])
def test_the_service_is_imported_without_a_warning(module: str) -> None:
    command = [sys.executable, "-W", "error", "-c", f"import {module}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_openapi_prints_the_document() -> None:
    result = invoke_api("openapi")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["openapi"].startswith("3.1")


def test_the_schema_is_upgraded_at_start_with_migrate(empty_database: AnyDatabase) -> None:
    with server_process("--migrate", NETVISION_DATABASE_URL=empty_database.url) as server:
        assert httpx.get(f"{server.url()}/health/ready").status_code == 200
        assert "waiting" not in server.said
        assert empty_database.count() == 0


def test_the_schema_is_left_alone_with_no_migrate(empty_database: AnyDatabase) -> None:
    with server_process("--no-migrate", NETVISION_DATABASE_URL=empty_database.url) as server:
        answer = httpx.get(f"{server.url()}/health/ready")
        assert answer.status_code == 503
        assert "netvision-api db upgrade" in answer.json()["reason"]


def test_permanent_objects_are_never_searched_for_garbage(url: str) -> None:
    program = f"""
import gc
from netvision_api.server import create_worker_app
from netvision_api.settings import ConfigurationError, Settings
app = create_worker_app(Settings(database_url="{url}"))
print(len(gc.get_objects()) / gc.get_freeze_count())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.01
