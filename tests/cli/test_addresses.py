"""How the client reads the URL of a server, and by which way it goes there."""

import base64
import re
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from netvision_cli.transport.address import Address
from tests.cli.commands import http_answer, invoke, netvision, raw_server
from tests.databases import on_sqlite

KEY = "0192f0c4-5c5e-7000-8000-000000000001"
FOUND = http_answer("200 OK", f'{{"uuid":"{KEY}","text":"a"}}')

EVERY_CALL = pytest.mark.parametrize("command", [("get", KEY), ("list",)], ids=["call", "stream"])


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "", "127.0.0.1:8000"),
        ("https://example.org/", "example.org", 443, "", "example.org"),
        ("http://example.org/below/this/", "example.org", 80, "/below/this", "example.org"),
        ("HTTP://[::1]:8000", "::1", 8000, "", "[::1]:8000"),
    ],
)
def test_a_url_has_its_parts(url: str, host: str, port: int, path: str, authority: str) -> None:
    address = Address.parse(url)
    assert (address.host, address.port, address.path, address.authority) == (host, port, path, authority)


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("http://localhost:8000", True),
        ("http://api.localhost", True),
        ("http://127.1.2.3", True),
        ("http://[::1]", True),
        ("http://192.168.0.1", False),
        ("http://localhost.example.org", False),
    ],
)
def test_this_machine_is_known(url: str, is_local: bool) -> None:  # noqa: FBT001 - a parameter
    assert Address.parse(url).is_local == is_local


@EVERY_CALL
@pytest.mark.parametrize(
    "url",
    [
        "http://a..b",
        "http://localhost..",
        "http://.",
        f"http://{'a' * 70}",
        "http://[::1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:8000?x=1",
        "http://127.0.0.1:8000/?",
        "http://127.0.0.1:8000#f",
        " http://127.0.0.1:8000",
        "http://127.0.0.1:8000\r\nX: y",
        "http://127.0.0.1:8000/\x1b[31m",
        "http://127.0.0.1:8000/\u202e",
        "ftp://127.0.0.1",
        "127.0.0.1",
    ],
)
def test_what_names_no_server_is_wrong_usage(command: tuple[str, ...], url: str) -> None:
    refused = invoke(url, *command)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "is not the URL of a server" in refused.err


@EVERY_CALL
def test_a_name_that_cannot_be_is_no_server(command: tuple[str, ...]) -> None:
    refused = invoke("http://xn--a", *command)
    assert (refused.code, refused.err.count("\n")) == (3, 1)


@EVERY_CALL
def test_a_password_is_not_shown(command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    refused = invoke(f"http://anna:secret@127.0.0.1:{port}", *command)
    assert refused.code == 3
    assert f"no server at http://127.0.0.1:{port} " in refused.err
    with raw_server(http_answer("500 Internal Server Error")) as server:
        assert "secret" not in invoke(f"http://anna:secret@127.0.0.1:{server.port}", *command).err


@EVERY_CALL
@pytest.mark.parametrize(
    "url",
    [
        "http://anna:s/cret@tail@127.0.0.1:1",
        "http://anna:s@cret@tail@127.0.0.1:1",
        "http://anna:cret#tail@127.0.0.1:1",
        "http://anna:cret//tail@127.0.0.1",
        "ftp://anna:cret@127.0.0.1",
        "anna:cret@127.0.0.1:1",
        "anna:cret@tail@127.0.0.1",
        "http://127.0.0.1:1/?password=cret&x=tail",
        "127.0.0.1:1/?password=cret",
    ],
)
def test_no_part_of_a_password_is_shown_however_it_is_written(command: tuple[str, ...], url: str) -> None:
    refused = invoke(url, *command)
    assert (refused.code, refused.err.count("\n")) in {(2, 1), (3, 1)}
    assert "127.0.0.1" in refused.err
    assert not {"cret", "tail"} & set(re.findall("[a-z]+", refused.err))


@EVERY_CALL
@pytest.mark.parametrize(
    ("user", "sent"), [("anna:s@cr@t", b"anna:s@cr@t"), ("an%40na:%73@", b"an@na:s@"), ("a", b"a:")]
)
def test_a_user_ends_at_the_last_at_sign(command: tuple[str, ...], user: str, sent: bytes) -> None:
    with raw_server(FOUND) as server:
        assert invoke(f"http://{user}@127.0.0.1:{server.port}", *command).code == 0
    assert b"\r\nauthorization: basic " + base64.b64encode(sent).lower() in server.requests[0].lower()


def test_a_question_before_a_deletion_shows_no_password() -> None:
    refused = invoke("http://anna:secret@127.0.0.1:1", "delete", "--all")
    assert refused.code == 2
    assert "every record at http://127.0.0.1:1." in refused.err


@EVERY_CALL
def test_a_host_and_port_are_taken_as_http(command: tuple[str, ...]) -> None:
    with raw_server(FOUND) as server:
        assert invoke(f"localhost:{server.port}", *command).code == 0
        assert invoke(f"127.0.0.1:{server.port}/below", *command).code == 0
    assert server.requests[1].startswith(b"GET /below/")


@EVERY_CALL
def test_the_user_and_the_password_of_a_url_are_sent(command: tuple[str, ...]) -> None:
    with raw_server(FOUND) as server:
        assert invoke(f"http://anna:secret@127.0.0.1:{server.port}", *command).code == 0
    credentials = base64.b64encode(b"anna:secret")
    assert b"\r\nauthorization: basic " + credentials.lower() in server.requests[0].lower()


@EVERY_CALL
def test_a_path_in_any_script_is_escaped(command: tuple[str, ...]) -> None:
    with raw_server(FOUND) as server:
        assert invoke(f"{server.url}/über uns", *command).code == 0
    assert server.requests[0].startswith(b"GET /%C3%BCber%20uns/")


@EVERY_CALL
def test_a_proxy_is_used_for_other_machines(command: tuple[str, ...]) -> None:
    with raw_server(FOUND) as proxy:
        assert invoke("http://netvision.example", *command, HTTP_PROXY=proxy.url).code == 0
    assert proxy.requests[0].startswith(b"GET http://netvision.example/")


@EVERY_CALL
@pytest.mark.parametrize("proxy", ["ftp://x", "://", "http://[::1", "socks5://127.0.0.1:1", "http://a:s/cret@x"])
def test_a_proxy_that_cannot_be_is_wrong_usage(command: tuple[str, ...], proxy: str) -> None:
    refused = invoke("http://netvision.example", *command, HTTP_PROXY=proxy)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "proxies" in refused.err
    assert "cret" not in refused.err


@EVERY_CALL
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_loaded_are_wrong_usage(
    command: tuple[str, ...], tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "authority.pem"
    if content:
        file.write_text(content)
    refused = netvision("https://127.0.0.1:1", *command, SSL_CERT_FILE=str(file))
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "SSL_CERT_FILE" in refused.err


@EVERY_CALL
def test_no_proxy_is_used_for_this_machine(command: tuple[str, ...]) -> None:
    with raw_server(FOUND) as server, raw_server(FOUND) as proxy:
        assert invoke(server.url, *command, HTTP_PROXY=proxy.url).code == 0
        assert (len(server.requests), proxy.requests) == (1, [])


@EVERY_CALL
def test_a_certificate_that_is_trusted_is_taken_and_no_other(command: tuple[str, ...], tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(secure)
    with raw_server(FOUND, secure=secure) as server:
        assert netvision(server.url, *command, SSL_CERT_FILE=str(tmp_path / "authority.pem")).code == 0
        refused = netvision(server.url, *command)
        assert len(server.requests) == 1
    assert refused.code == 3
    assert re.search(r"no TLS with https://\S+ \(.*certificate.*\)\. .*SSL_CERT_FILE", refused.err)


@EVERY_CALL
def test_a_certificate_for_another_name_is_told_from_one_that_is_not_trusted(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("netvision.example").configure_cert(secure)
    with raw_server(FOUND, secure=secure) as server:
        refused = netvision(server.url, *command, SSL_CERT_FILE=str(tmp_path / "authority.pem"))
    assert refused.code == 3
    assert "Call it by a name that its certificate has" in refused.err


@EVERY_CALL
def test_a_server_without_tls_is_no_server_for_https(command: tuple[str, ...]) -> None:
    with raw_server(FOUND) as server:
        refused = invoke(server.url.replace("http:", "https:"), *command, "--timeout", "1s")
    assert refused.code == 3
    assert "not permitted" not in refused.err


@on_sqlite
@EVERY_CALL
def test_a_service_without_tls_is_named_as_such(service: str, command: tuple[str, ...]) -> None:
    refused = invoke(service.replace("http:", "https:"), *command)
    assert refused.code == 3
    assert "If it speaks http, write so in --url" in refused.err
