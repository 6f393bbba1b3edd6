"""The address of a server: its URL, parsed."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from netvision_cli.errors import UsageError
from netvision_cli.escaping import without_password

PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535
MAX_LABEL = 63

is_plain = re.compile(r"[!$-;=A-Z\[\]_a-z~]+").fullmatch
"""A URL that can be sent as it is written: nothing in it needs escaping, and there is no user or password."""


@dataclass(frozen=True)
class Address:
    """The URL of a server, and its parts."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    """The prefix of every path of the service: empty, or `/below/this`."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL; raises UsageError if it does not name a server."""
        try:
            parts = urlsplit(url)
            port = PORTS[parts.scheme] if parts.port is None else parts.port
        except (KeyError, ValueError):
            raise not_a_url(url) from None
        is_whole = not set(url) & {"?", "#"} and url == url.strip()
        if not (parts.hostname and is_host(parts.hostname) and 0 < port <= MAX_PORT and is_whole):
            raise not_a_url(url)
        return cls(url.rstrip("/"), parts.scheme, parts.hostname, port, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """Return the host and, if the URL has one, the port."""
        return urlsplit(self.url).netloc

    @property
    def is_local(self) -> bool:
        """Return whether the server is on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def is_direct(self) -> bool:
        """Return whether requests can be sent directly: there is no proxy, and the URL needs no escaping."""
        return bool(is_plain(self.url)) and (self.is_local or not is_behind_proxy(self.host))

    @property
    def shown(self) -> str:
        """Return the URL without user and password."""
        return without_password(self.url)


def not_a_url(url: str) -> UsageError:
    """Return the error that a URL does not name a server."""
    return UsageError(f"{without_password(url)!r} is not the URL of a server; write it as http://127.0.0.1:8000")


def is_host(name: str) -> bool:
    """Return whether a name can be that of a host, by the lengths of its labels."""
    return all(0 < len(label) <= MAX_LABEL for label in name.removesuffix(".").split("."))


def is_behind_proxy(host: str) -> bool:
    """Return whether the environment names a proxy and does not exempt this host."""
    from urllib.request import getproxies, proxy_bypass

    return any(name != "no" for name in getproxies()) and not proxy_bypass(host)
