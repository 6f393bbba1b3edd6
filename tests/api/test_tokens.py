"""Tokens: who gets in, who may only read, and that nothing ever shows one."""

import re
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from netvision_api.settings import ConfigurationError, Settings
from tests.api.services import Service, service_on
from tests.api.wire import BODY, HOST, JSON, connect, exchange, problem, statuses
from tests.cli.commands import netvision
from tests.servers import invoke_api, netvision_api, served, server_process

TOKEN = "w" * 30 + "-Token"
NEXT = "n" * 30 + "-Token"
READ = "r" * 30 + "-Token"
PASSWORD = "pass-s3cret"
SECRETS = (TOKEN, NEXT, READ, PASSWORD)
KEY = "0192f0c4-5c5e-7000-8000-000000000001"

WRONG = {
    "none": (),
    "empty": (b"Bearer ",),
    "another": (b"Bearer " + b"x" * 36,),
    "the beginning": (b"Bearer " + TOKEN[:-1].encode(),),
    "more than it": (b"Bearer " + TOKEN.encode() + b"x",),
    "two in one": (b"Bearer " + f"{TOKEN},{NEXT}".encode(),),
    "another case": (b"Bearer " + TOKEN.upper().encode(),),
    "no scheme": (TOKEN.encode(),),
    "another scheme": (b"Token " + TOKEN.encode(),),
    "Basic": (b"Basic " + b64encode(f"user:{TOKEN}".encode()),),
    "a tab": (b"Bearer\t" + TOKEN.encode(),),
    "a tab behind": (b"Bearer " + TOKEN.encode() + b"\tx",),
    "no ASCII": (b"Bearer " + TOKEN.encode() + b"\xff\xc3\xa9",),
    "two headers": (b"Bearer " + TOKEN.encode(), b"Bearer " + b"x" * 36),
}
ROUTES = [
    "GET /all",
    "GET /5",
    "HEAD /0",
    f"GET /{KEY}",
    f"DELETE /{KEY}",
    "POST /new",
    "OPTIONS /5",
    "OPTIONS *",
    "PATCH /new",
    "TRACE /all",
    "PROPFIND /all",
    "GET /metrics",
    "GET /schema",
    "GET /schema/openapi.json",
    "GET /",
    "GET /nothing/here",
    "GET /favicon.ico",
    "GET //all",
    "GET /./all",
    "GET /all/",
    "GET /%61ll",
    "GET /%2e/all",
    "GET /all%00",
    "GET /all?token=x",
    "GET http://localhost/all",
    "GET /health",
    "GET /health/",
    "GET /health/live/",
    "GET //health/live",
    "GET /health//live",
    "GET /HEALTH/LIVE",
    "GET /health/live%00",
    "GET /health/live/../../all",
    "GET /health/live/%2e%2e/%2e%2e/all",
    "DELETE /health/live%2f..%2f..%2fall",
    "GET /all;/health/live",
    "GET /all#/health/live",
    "GET /all?/health/live",
]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def lost() -> Iterator[str]:
    """A protected service whose PostgreSQL is not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/records"
    with served(Settings(database_url=url, port=0, token=TOKEN)) as address:
        yield address


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two tokens that may write, and one that may read."""
    folder = tmp_path_factory.mktemp("protected")
    with service_on(folder, token=f"{TOKEN}, {NEXT}", read_token=READ) as service:
        yield service


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_no_wrong_token_gets_in_anywhere(lost: str, values: tuple[bytes, ...]) -> None:
    """Neither the body nor the database is waited for: the one is not sent, the other is not there."""
    lines = b"".join(b"Authorization: " + value + b"\r\n" for value in values)
    for route in ROUTES:
        head = f"{route} HTTP/1.1\r\n".encode() + HOST + JSON + lines + b"Content-Length: 1000000\r\n\r\n"
        with connect(lost) as connection:
            connection.sendall(head)
            answer = connection.recv(65536)
            if answer.endswith(b"\r\n\r\n") and not route.startswith("HEAD"):
                answer += connection.recv(65536)
        assert statuses(answer) == [401], route
        is_invalid = any(re.fullmatch(rb"Bearer +.+", value) for value in values) and len(values) == 1
        challenge = b'bearer error="invalid_token"' if is_invalid else b"bearer"
        assert b"\r\nwww-authenticate: %s\r\n" % challenge in answer.lower()
        if not route.startswith("HEAD"):
            assert problem(answer)["type"] == "urn:netvision:problem:unauthorized"


@pytest.mark.parametrize("value", [b"\0", b"Bearer " + TOKEN.encode() + b"\0", b"Bearer\r" + TOKEN.encode()])
def test_a_token_that_is_no_header_is_no_request(lost: str, value: bytes) -> None:
    assert statuses(exchange(lost, b"GET /0 HTTP/1.1\r\n" + HOST + b"Authorization: " + value + b"\r\n\r\n")) == [400]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_right_token_gets_in(lost: str, scheme: str) -> None:
    assert httpx.get(f"{lost}/0", headers={"Authorization": f"{scheme} {TOKEN}"}).json() == []


def test_the_probes_need_no_token_and_tell_nothing_else_without(lost: str, protected: Service) -> None:
    for url, status in ((lost, 503), (protected.url, 200)):
        assert httpx.get(f"{url}/health/live").json() == {"status": "live"}
        for headers in ({}, bearer("x" * 36)):
            ready = httpx.get(f"{url}/health/ready", headers=headers, timeout=30)
            assert (ready.status_code, list(ready.json())) == (status, ["status"])
        assert "database" in httpx.get(f"{url}/health/ready", headers=bearer(TOKEN), timeout=30).json()
    assert "schema" in protected.request("GET", "/health/ready", headers=bearer(READ)).json()


@pytest.mark.parametrize("token", [TOKEN, NEXT])
def test_each_of_several_tokens_may_do_everything(protected: Service, token: str) -> None:
    stored = protected.request("POST", "/new", json={"text": "a"}, headers=bearer(token))
    assert stored.status_code == 201
    path = f"/{stored.json()['uuid']}"
    assert protected.request("GET", path, headers=bearer(token)).status_code == 200
    assert protected.request("DELETE", path, headers=bearer(token)).status_code == 200


@pytest.mark.parametrize("path", ["/5", "/all", "/schema", "/metrics", "/schema/openapi.json"])
def test_a_read_token_may_read(protected: Service, path: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        assert protected.request(method, path, headers=bearer(READ)).is_success


@pytest.mark.parametrize(
    "request_line", ["POST /new", f"DELETE /{KEY}", "DELETE /5", "PUT /5", "PATCH /x", "POST /all"]
)
def test_a_read_token_may_not_write_nor_have_its_body_read(protected: Service, request_line: str) -> None:
    before = protected.database.count()
    head = f"{request_line} HTTP/1.1\r\nAuthorization: Bearer {READ}\r\n".encode() + HOST + JSON
    with connect(protected.url) as connection:
        connection.sendall(head + b"Content-Length: 1000000\r\n\r\n")
        answer = connection.recv(65536)
        connection.sendall(BODY.ljust(1_000_000))
    assert statuses(answer) == [403]
    assert problem(answer)["type"] == "urn:netvision:problem:forbidden"
    assert protected.database.count() == before


@pytest.mark.parametrize("method", ["X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override"])
def test_no_header_makes_one_method_another(protected: Service, method: str) -> None:
    stored = protected.request("POST", "/new", json={"text": "a"}, headers=bearer(TOKEN)).json()
    headers = bearer(READ) | {method: "DELETE"}
    assert protected.request("GET", f"/{stored['uuid']}", headers=headers).json() == stored
    assert protected.request("GET", f"/{stored['uuid']}", headers=headers).status_code == 200


# --- where tokens come from


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'records.db'}"


def check_silent(text: str) -> None:
    """Check that a text shows no secret, nor most of one."""
    for secret in SECRETS:
        assert secret[: len(secret) * 2 // 3] not in text


def test_a_public_address_without_a_token_is_rejected_with_how_to_make_one(url: str) -> None:
    result = netvision_api("serve", "--host", "0.0.0.0", "--port", "0", NETVISION_DATABASE_URL=url)
    assert result.returncode == 2
    assert "NETVISION_TOKEN" in result.stderr
    command = result.stderr[result.stderr.index("python3 -c '") + len("python3 -c '") : result.stderr.rindex("'")]
    made = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    with server_process("--host", "0.0.0.0", NETVISION_DATABASE_URL=url, NETVISION_TOKEN=made) as server:
        port = httpx.URL(server.url()).port
        assert httpx.get(f"http://127.0.0.1:{port}/5").status_code == 401
        assert httpx.get(f"http://127.0.0.1:{port}/5", headers=bearer(made)).json() == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
@pytest.mark.parametrize("tokens", [{}, {"read_token": READ}])
def test_no_other_address_does_without_a_token(host: str, tokens: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="NETVISION_TOKEN"):
        Settings(host=host, **tokens)  # type: ignore[arg-type]


GUESSABLE = ["", " ", "short", "x" * 31, f"{TOKEN},short", f"{TOKEN},", f",{TOKEN}", f"{TOKEN} {NEXT}", "\u00e9" * 40]


@pytest.mark.parametrize("token", GUESSABLE)
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    for where in ({"token": token}, {"token_file": file}):
        with pytest.raises(ConfigurationError, match="NETVISION_TOKEN"):
            Settings(**where)
        read = {f"read_{name}": value for name, value in where.items()}
        with pytest.raises(ConfigurationError, match="NETVISION_READ_TOKEN"):
            Settings(token=TOKEN, **read)  # type: ignore[arg-type]


def test_a_short_token_is_exit_code_2_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(PASSWORD)
    for variables in ({"NETVISION_TOKEN": PASSWORD}, {"NETVISION_TOKEN_FILE": str(file)}):
        result = invoke_api("serve", "--port", "0", **variables)
        assert (result.returncode, result.stdout) == (2, "")
        assert "at least 32 characters" in result.stderr
        check_silent(result.stderr)


@pytest.mark.parametrize("name", ["none", "."])
def test_a_token_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=str(tmp_path / name)):
        Settings(token_file=tmp_path / name)


def test_a_token_may_come_from_a_file_and_the_option_wins(url: str, tmp_path: Path) -> None:
    by_option, by_variable = tmp_path / "option", tmp_path / "variable"
    by_option.write_text(f" {TOKEN} ,\n{NEXT}\n")
    by_variable.write_text(READ)
    variables = {"NETVISION_TOKEN_FILE": str(by_variable), "NETVISION_TOKEN": "v" * 40}
    with server_process("--token-file", str(by_option), NETVISION_DATABASE_URL=url, **variables) as server:
        address = server.url()
        answers = [httpx.get(f"{address}/5", headers=bearer(token)) for token in (TOKEN, NEXT, READ, "v" * 40)]
        assert [answer.status_code for answer in answers] == [200, 200, 401, 401]


# --- nothing shows a secret


def test_no_representation_of_the_settings_shows_a_secret() -> None:
    settings = Settings(database_url=f"postgresql://u:{PASSWORD}@localhost/x", token=TOKEN, read_token=READ)
    assert settings.tokens == (TOKEN.encode(),)
    check_silent(f"{settings!r} {settings}")


def test_config_shows_no_secret() -> None:
    result = invoke_api(
        "config",
        NETVISION_DATABASE_URL=f"postgresql://u:{PASSWORD}@localhost/x",
        NETVISION_TOKEN=f"{TOKEN},{NEXT}",
        NETVISION_READ_TOKEN=READ,
    )
    assert result.returncode == 0
    assert "***" in result.stdout
    check_silent(result.stdout + result.stderr)


def test_no_log_response_or_argument_shows_a_secret_even_at_the_debug_level() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environment = {
        "NETVISION_DATABASE_URL": f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/x",
        "NETVISION_TOKEN": f"{TOKEN},{NEXT}",
        "NETVISION_READ_TOKEN": READ,
    }
    with server_process("--log-level", "debug", "--access-log", "--workers", "2", **environment) as server:
        url = server.url()
        for token in (TOKEN, READ, TOKEN[:-1]):
            for method, path in (("GET", "/5"), ("GET", "/health/ready"), ("DELETE", f"/{KEY}"), ("POST", "/new")):
                answer = httpx.request(method, f"{url}{path}", headers=bearer(token), timeout=30)
                check_silent(f"{answer.text} {answer.headers}")
        check_silent(" ".join(arguments_of(server.process.pid)))
        assert server.stop() == 0
        assert "GET /health/ready" in server.said
        check_silent(server.said)


def arguments_of(parent: int) -> list[str]:
    """List the arguments of a process and of those it has started, where the system tells."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    if not children.exists():
        return []
    family = [parent, *map(int, children.read_text().split())]
    return [Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ") for process in family]


# --- the client


def test_the_client_gets_in_with_the_first_of_its_tokens(protected: Service, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN},{'x' * 36}\n")
    added = netvision(protected.url, "add", "a", "--token-file", str(file))
    assert (added.code, added.err) == (0, "")
    listed = netvision(protected.url, "get", added.lines[0], NETVISION_TOKEN=f"{READ},{TOKEN}")
    assert (listed.code, listed.out) == (0, f"{added.lines[0]}\ta\n")
    refused = netvision(protected.url, "delete", added.lines[0], NETVISION_TOKEN=f"{READ},{TOKEN}")
    assert refused.code == 4


@pytest.mark.parametrize("token", ["", "x" * 36, READ])
def test_a_swarm_that_may_not_write_ends_at_once(protected: Service, token: str) -> None:
    before = protected.database.count()
    done = netvision(protected.url, "swarm", "--wait", "30s", **({"NETVISION_TOKEN": token} if token else {}))
    assert done.code == 4, done.err
    assert protected.database.count() == before
    check_silent(done.out + done.err)
