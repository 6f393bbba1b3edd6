"""Database URLs: parsed in one place for every use, and shown without their passwords."""

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from sqlalchemy import URL

MASK = "***"
MAX_PORT = 65_535
SCHEMES = frozenset({"sqlite", "postgresql", "postgres"})

credentials = re.compile(r"([^:]*://[^:/?#@]*:).*@.*", re.DOTALL).fullmatch
"""A user, and a password up to the last `@`, whatever is in it."""

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


def is_database_url(url: str) -> bool:
    """Return whether a URL names a database of a supported kind, and its port, if any, is valid."""
    try:
        parsed = urlsplit(url)
        is_port = parsed.port is None or parsed.port <= MAX_PORT
    except ValueError:
        return False
    return is_port and parsed.scheme.partition("+")[0] in SCHEMES and "://" in url


def parse_database_url(url: str) -> "URL":
    """Parse a database URL; the user and the password end at the last `@` of the address, as in any URL."""
    from sqlalchemy import make_url

    scheme, _, rest = url.partition("://")
    address = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, host = address.rpartition("@")
    return make_url(f"{scheme}://{user.replace('@', '%40')}{at}{host}{rest[len(address) :]}")


def sqlite_file(url: str) -> str | None:
    """Return the path of the file that an SQLite URL names; None if it names anything else, or more than a path."""
    parsed = parse_database_url(url)
    path = parsed.database or ""
    is_special = not path or path.startswith((":memory:", "file:")) or "\0" in path
    return None if is_special or parsed.host or parsed.username or parsed.query else path
