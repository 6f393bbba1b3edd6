"""The address of a server: its URL, parsed."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self
from urllib.parse import unquote, urlsplit

from netvision_cli.errors import UsageError
from netvision_cli.escaping import escape, show_url

PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535
MAX_LABEL = 63

is_plain = re.compile(r"[!$-;=A-Z\[\]_a-z~]+").fullmatch
"""A URL that can be sent as it is written: nothing in it needs escaping."""

has_scheme = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE).match
has_port = re.compile(r"[^/?#]*:[0-9]+(/.*)?").fullmatch


@dataclass(frozen=True)
class Address:
    """The URL of a server, and its parts."""

    url: str
    """The URL without user and password, so that it can be shown."""

    scheme: str
    host: str
    port: int
    path: str
    """The prefix of every path of the service: empty, or `/below/this`."""

    credentials: str | None = field(repr=False)
    """`user:password`, if the URL has them."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a URL, or `host:port`; raises UsageError if it does not name a server."""
        url = f"http://{text}" if has_port(text) and not has_scheme(text) else text
        try:
            parts = urlsplit(url)
            port = PORTS[parts.scheme] if parts.port is None else parts.port
        except (KeyError, ValueError):
            raise not_a_url(text) from None
        is_whole = not set(url) & {"?", "#"} and url == url.strip() and url.isprintable()
        if not (parts.hostname and is_host(parts.hostname) and 0 < port <= MAX_PORT and is_whole):
            raise not_a_url(text)
        user, at, _ = parts.netloc.rpartition("@")
        path = parts.path.rstrip("/")
        bare = f"{parts.scheme}://{parts.netloc.removeprefix(user + at)}{path}"
        return cls(bare, parts.scheme, parts.hostname, port, path, credentials(user) if at else None)

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


def credentials(user: str) -> str:
    """Return the user of a URL as `user:password`."""
    name, _, password = user.partition(":")
    return f"{unquote(name)}:{unquote(password)}"


def not_a_url(url: str) -> UsageError:
    """Return the error that a URL does not name a server."""
    return UsageError(
        f"'{escape(show_url(url))}' is not the URL of a server; write it as http://127.0.0.1:8000 or https://example.org"
    )


def is_host(name: str) -> bool:
    """Return whether a name can be that of a host, by the lengths of its labels."""
    return all(0 < len(label) <= MAX_LABEL for label in name.removesuffix(".").split("."))


def is_behind_proxy(host: str) -> bool:
    """Return whether the environment names a proxy and does not exempt this host."""
    from urllib.request import getproxies, proxy_bypass

    return any(name != "no" for name in getproxies()) and not proxy_bypass(host)
