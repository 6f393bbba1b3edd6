"""The Host a request names: which are served, where the service is bound, and with which port."""

from pathlib import Path

import pytest

from netvision_api.settings import Settings
from tests.api.services import service_on
from tests.api.wire import exchange, statuses
from tests.servers import server_process

TOKEN = "t" * 32
ANY_HOST = ["evil.example", "records.example:443", "192.0.2.1", "[::1]:8000", "localhost", "", "*"]


def test_bound_elsewhere_with_a_token_any_host_is_served(tmp_path: Path) -> None:
    with service_on(tmp_path, host="0.0.0.0", token=TOKEN) as service:
        url = service.url.replace("0.0.0.0", "127.0.0.1")
        for host in ANY_HOST:
            head = f"GET /0 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n".encode()
            assert statuses(exchange(url, head + b"\r\n")) == [401]
            assert statuses(exchange(url, head + f"Authorization: Bearer {TOKEN}\r\n\r\n".encode())) == [200]


def test_a_token_does_not_make_a_foreign_host_ours(tmp_path: Path) -> None:
    with service_on(tmp_path, token=TOKEN) as service:
        headers = {"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}
        assert service.request("GET", "/0", headers=headers).status_code == 421


@pytest.mark.parametrize("name", ["records.example", "[2001:db8::1]", "192.0.2.7"])
def test_an_allowed_host_is_served_with_any_port_and_in_any_case(tmp_path: Path, name: str) -> None:
    with service_on(tmp_path, allowed_hosts=f" {name} ,other.example") as service:
        for host in (name, name.upper(), f"{name}:443", f"{name}:65535"):
            assert service.request("GET", "/0", headers={"Host": host}).status_code == 200
        for host in (f"{name}.evil.example", f"evil.{name}", f"{name}:x", f"{name}:", f"{name}@evil", f"{name}, x"):
            assert service.request("GET", "/0", headers={"Host": host}).status_code == 421


def test_an_allowed_host_may_have_one_port_alone(tmp_path: Path) -> None:
    with service_on(tmp_path, allowed_hosts="records.example:8443") as service:
        for host, status in (("records.example:8443", 200), ("records.example:80", 421), ("records.example", 421)):
            assert service.request("GET", "/0", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_bound_to_loopback_its_names_are_served_and_the_address_itself(host: str) -> None:
    hosts = Settings(host=host).hosts
    assert hosts
    assert hosts >= {"localhost", "127.0.0.1", "[::1]"}
    assert (f"[{host}]" if ":" in host else host) in hosts


@pytest.mark.parametrize("name", ["", "0"])
def test_a_name_that_stands_for_every_interface_is_refused_without_a_token(tmp_path: Path, name: str) -> None:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    with server_process("--host", name, NETVISION_DATABASE_URL=url) as server:
        assert server.wait() == 2
        assert "0.0.0.0 is not a loopback address" in server.said


def test_a_name_of_a_loopback_address_is_served_under_that_name(tmp_path: Path) -> None:
    with service_on(tmp_path, host="127.1") as service:
        assert service.url.startswith("http://127.0.0.1:")
        assert service.request("GET", "/5", headers={"Host": "127.1"}).status_code == 200
        assert service.request("GET", "/5", headers={"Host": "evil.example"}).status_code == 421
