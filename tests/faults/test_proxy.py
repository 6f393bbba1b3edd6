"""The proxy itself: every fault that the other tests rely on really happens."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.faults.proxy import Direction, Proxy
from tests.faults.wire import leave
from tests.servers import wait_until

SHORT = 0.3


class Echo:
    """A server that sends back what it gets, and says goodbye when its client has no more to say."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.received = b""
        self.is_leaving = False
        self.ended_by: list[str] = []
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        """Serve one connection after another until the listener ends."""
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        """Serve one connection to its end."""
        try:
            while data := connection.recv(65536):
                self.received += data
                if self.is_leaving:
                    leave(connection)
                    return
                connection.sendall(data)
            connection.sendall(b"goodbye")
            self.ended_by.append("end")
        except ConnectionResetError:
            self.ended_by.append("reset")
        except BrokenPipeError:
            self.ended_by.append("broken pipe")

    def close(self) -> None:
        """End the server."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", echo.port) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """A connection that has already passed something on."""
    with connect(proxy) as connection:
        connection.sendall(b"hello")
        assert receive(connection, 5) == b"hello"
        yield connection


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := connection.recv(65536)):
        data += piece
    return data


def is_silent(connection: socket.socket) -> bool:
    connection.settimeout(SHORT)
    try:
        return connection.recv(1) is None
    except TimeoutError:
        return True
    finally:
        connection.settimeout(10)


def test_without_a_fault_everything_passes(proxy: Proxy, echo: Echo, client: socket.socket) -> None:
    data = bytes(range(256)) * 4000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    assert receive(client, len(data)) == data
    sender.join()
    assert echo.received == b"hello" + data
    wait_until(lambda: proxy.passed[Direction.TO_CLIENT] == len(data) + 5)


def test_a_side_that_half_closes_still_receives_the_response(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)
    assert receive(client, 100) == b"goodbye"


def test_a_client_that_leaves_by_a_reset_does_so_for_the_server(echo: Echo, client: socket.socket) -> None:
    leave(client)
    wait_until(lambda: echo.ended_by == ["reset"])


def test_a_server_that_leaves_by_a_reset_does_so_for_the_client(echo: Echo, client: socket.socket) -> None:
    echo.is_leaving = True
    client.sendall(b"go")
    with pytest.raises(ConnectionResetError):
        receive(client, 100)


def test_a_delay_holds_back_what_comes(proxy: Proxy, client: socket.socket) -> None:
    proxy.delay = SHORT / 2
    began = time.monotonic()
    client.sendall(b"late")
    assert receive(client, 4) == b"late"
    assert time.monotonic() - began >= SHORT


def test_a_black_hole_is_silent_until_it_is_healed(proxy: Proxy, echo: Echo, client: socket.socket) -> None:
    proxy.stall()
    client.sendall(b"anybody?")
    with connect(proxy) as another:
        another.sendall(b"nobody")
        assert is_silent(client)
        assert is_silent(another)
        assert echo.received == b"hello"
        proxy.heal()
        assert receive(client, 8) == b"anybody?"


def test_refused_connections_are_refused_and_the_old_ones_stay(proxy: Proxy, client: socket.socket) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    client.sendall(b"still here")
    assert receive(client, 10) == b"still here"


def test_connections_are_accepted_again_on_the_same_port(proxy: Proxy) -> None:
    port = proxy.port
    proxy.refuse()
    proxy.heal()
    with connect(proxy) as connection:
        connection.sendall(b"back")
        assert receive(connection, 4) == b"back"
    assert proxy.port == port


def test_a_reset_reaches_both_sides(proxy: Proxy, echo: Echo, client: socket.socket) -> None:
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    wait_until(lambda: echo.ended_by == ["reset"])


def test_a_polite_cut_is_an_end_for_both_sides(proxy: Proxy, echo: Echo, client: socket.socket) -> None:
    proxy.cut(reset=False)
    assert client.recv(1) == b""
    wait_until(lambda: echo.ended_by)
    assert echo.ended_by != ["reset"]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_request_can_be_cut_after_any_byte(proxy: Proxy, echo: Echo, client: socket.socket, count: int) -> None:
    proxy.cut_after(count, Direction.TO_SERVER)
    client.sendall(b"a request that does not arrive")
    with pytest.raises(ConnectionResetError):
        receive(client, 100)
    wait_until(lambda: echo.ended_by)
    assert b"hello" + b"a request"[:count] == echo.received or echo.received == b"hello"


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_response_can_be_cut_after_any_byte(proxy: Proxy, echo: Echo, client: socket.socket, count: int) -> None:
    proxy.cut_after(count, Direction.TO_CLIENT)
    client.sendall(b"an answer that does not arrive")
    with pytest.raises(ConnectionResetError):
        receive(client, 100)
    assert echo.received == b"helloan answer that does not arrive"
    assert proxy.passed[Direction.TO_CLIENT] == 5 + count


def test_a_cut_waits_for_its_byte(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut_after(6, Direction.TO_SERVER)
    for piece in (b"abc", b"def"):
        client.sendall(piece)
        assert receive(client, 3) == piece
    client.sendall(b"g")
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_one_way_can_be_closed_while_the_other_stays_open(proxy: Proxy, echo: Echo, client: socket.socket) -> None:
    proxy.half_close(Direction.TO_CLIENT)
    assert client.recv(1) == b""
    client.sendall(b"one more word")
    wait_until(lambda: echo.received == b"helloone more word")


def test_a_server_that_is_away_ends_the_connection(proxy: Proxy, echo: Echo) -> None:
    echo.close()
    with closing(connect(proxy)) as connection, suppress(ConnectionResetError):
        assert connection.recv(1) == b""
