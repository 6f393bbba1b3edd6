"""Where a server is: its URL taken apart."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from netvision_cli.errors import UsageError

PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535

is_plain = re.compile(r"[!-?A-~]+").fullmatch
"""A URL that can be sent as it is written: ASCII without spaces, and without a user or a password before an `@`."""


@dataclass(frozen=True)
class Address:
    """The URL of a server, and its parts."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    """What goes before every path of the service: nothing, or `/below/this`."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take a URL apart; raises UsageError where it names no server."""
        try:
            parts = urlsplit(url)
            port = PORTS[parts.scheme] if parts.port is None else parts.port
        except (KeyError, ValueError):
            raise not_a_url(url) from None
        if not parts.hostname or not 0 < port <= MAX_PORT:
            raise not_a_url(url)
        return cls(url.rstrip("/"), parts.scheme, parts.hostname, port, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """Return the host and, if the URL has one, the port."""
        return urlsplit(self.url).netloc

    @property
    def is_local(self) -> bool:
        """Tell whether the server is on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def is_direct(self) -> bool:
        """Tell whether requests can go straight to the server: no proxy, and nothing of the URL to translate."""
        return bool(is_plain(self.url)) and (self.is_local or not has_proxies())


def not_a_url(url: str) -> UsageError:
    """Say that a URL names no server."""
    return UsageError(f"{url!r} is not the URL of a server; write it as http://127.0.0.1:8000")


def has_proxies() -> bool:
    """Tell whether the environment names a proxy."""
    from urllib.request import getproxies

    return bool(getproxies())
