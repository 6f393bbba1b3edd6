"""Database URLs: parsed in one place for every use, and shown without their passwords."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode

if TYPE_CHECKING:
    from sqlalchemy import URL

MASK = "***"
MAX_PORT = 65_535
SCHEMES = frozenset({"sqlite", "postgresql", "postgres"})

DRIVER_PARAMETERS = frozenset(
    {
        "host",
        "port",
        "dbname",
        "database",
        "user",
        "password",
        "passfile",
        "service",
        "options",
        "application_name",
        "target_session_attrs",
        "sslmode",
        "sslnegotiation",
        "sslcert",
        "sslkey",
        "sslpassword",
        "sslrootcert",
        "sslcrl",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "krbsrvname",
        "gsslib",
    }
)
"""The parameters of libpq that asyncpg takes in a URL; any other it would send to the server as a setting."""

IGNORED_PARAMETERS = frozenset(
    {
        "fallback_application_name",
        "client_encoding",
        "gssencmode",
        "sslcompression",
        "sslsni",
        "tcp_user_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
    }
)
"""Parameters of libpq that change nothing here, so that a URL made for it can be used as it is."""

CONNECT_TIMEOUT, TLS_MODE = "connect_timeout", "ssl"
APPLICATION_PARAMETER, APPLICATION_NAME = "application_name", "netvision-api"
KNOWN_PARAMETERS = DRIVER_PARAMETERS | IGNORED_PARAMETERS | {CONNECT_TIMEOUT, TLS_MODE}

Address = tuple[str, int | None]

credentials = re.compile(r"([^:]*://[^:/?#@]*:).*@.*", re.DOTALL).fullmatch
"""A user, and a password up to the last `@`, which may hold any character."""

parameter = re.compile(r"([?&])([^=&]*)=([^&]*)")


def mask_passwords(url: str) -> str:
    """Return a database URL with `***` for each password, in the address or in a parameter; it need not be valid."""
    masked = parameter.sub(mask_parameter, url)
    if not (found := credentials(url)):
        return masked
    _, at, location = masked.rpartition("@")
    return f"{found[1]}{MASK}{at}{location}" if at else f"{found[1]}{MASK}"


def mask_parameter(found: re.Match[str]) -> str:
    """Return a parameter of a URL, with `***` for its value if that is a password."""
    separator, name, value = found.groups()
    return f"{separator}{name}={MASK if 'password' in unquote(name).lower() else value}"


def reject_database_url(url: str) -> str | None:
    """Explain why a URL names no database of a supported kind, without its passwords; None if it does."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.partition("+")[0] not in SCHEMES:
        return "the database URL must look like postgresql://user@host/database or sqlite:///path"
    if scheme.startswith("sqlite"):
        return None
    masked = mask_passwords(url)
    try:
        unknown = sorted({name for name, _ in parameters(url)} - KNOWN_PARAMETERS)
        parse_postgresql_url(url)
    except ValueError as error:
        return f"the database URL {masked} cannot be parsed: {error}"
    return f"the database URL {masked} has a parameter that is not known{named(unknown, masked)}" if unknown else None


def named(unknown: Sequence[str], masked: str) -> str:
    """Return which parameters are unknown, unless what looks like one is part of a password."""
    shown = [name for name in unknown if f"{name}=" in masked]
    return f": {', '.join(shown)}" if shown else ""


def parameters(url: str) -> list[tuple[str, str]]:
    """Return the parameters of a URL; raises ValueError if they are malformed."""
    query = url.partition("?")[2].partition("#")[0]
    if not all("=" in field for field in query.split("&") if query):
        msg = "a parameter has no value"
        raise ValueError(msg)
    return parse_qsl(query, keep_blank_values=True)


@dataclass(frozen=True)
class PostgresqlUrl:
    """A URL of PostgreSQL as asyncpg takes it, the addresses that were in it, and its limit in seconds to connect."""

    dsn: str
    addresses: Sequence[Address]
    connect_timeout: float | None


def parse_postgresql_url(url: str) -> PostgresqlUrl:
    """Parse a URL as libpq and SQLAlchemy write it; raises ValueError if a port, a limit or a parameter is malformed.

    The user and the password end at the last `@` of the address, as in any URL.
    """
    rest = url.partition("://")[2]
    address = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, hosts = address.rpartition("@")
    given = parameters(url)
    values = {APPLICATION_PARAMETER: APPLICATION_NAME, **dict(given)}
    hosts = hosts or ",".join(quote(value, safe="/:[],") for name, value in given if name == "host")
    found = list(addresses_of(hosts, values.get("port", "")))
    kept = {name: value for name, value in values.items() if name in DRIVER_PARAMETERS}
    if TLS_MODE in values:
        kept.setdefault("sslmode", values[TLS_MODE])
    if found:
        kept = {name: value for name, value in kept.items() if name not in {"host", "port"}}
    path = re.split("[?#]", rest[len(address) :], maxsplit=1)[0]
    dsn = f"postgresql://{user.replace('@', '%40')}{at}{path}?{urlencode(kept, quote_via=quote)}"
    limit = float(values.get(CONNECT_TIMEOUT) or 0)
    return PostgresqlUrl(dsn, found, limit if limit > 0 else None)


def addresses_of(hosts: str, ports: str) -> Iterator[Address]:
    """Return the addresses in a percent-encoded list of hosts, and a list of ports for those that have none."""
    names = hosts.split(",") if hosts else []
    others = [parse_port(port) for port in ports.split(",")]
    others = others * len(names) if len(others) == 1 else others
    if len(others) != len(names):
        msg = "it has not as many ports as hosts"
        raise ValueError(msg)
    for name, other in zip(names, others, strict=True):
        host, separator, port = name.rpartition(":")
        if name.startswith("/") or not separator or name.endswith("]"):
            host, port = name, ""
        yield unquote(host.strip("[]")), parse_port(port) or other


def parse_port(port: str) -> int | None:
    """Parse a port; None if it is empty."""
    if not port:
        return None
    number = int(port) if port.isdecimal() else 0
    if not 0 < number <= MAX_PORT:
        msg = f"a port must be a number from 1 to {MAX_PORT}"
        raise ValueError(msg)
    return number


def parse_sqlite_url(url: str) -> "URL":
    """Parse the URL of an SQLite database."""
    from sqlalchemy import make_url

    return make_url(url)


def sqlite_file(url: str) -> str | None:
    """Return the path of the file that an SQLite URL names; None if it names anything else, or more than a path."""
    parsed = parse_sqlite_url(url)
    path = parsed.database or ""
    is_special = not path or path.startswith((":memory:", "file:")) or "\0" in path
    return None if is_special or parsed.host or parsed.username or parsed.query else path
