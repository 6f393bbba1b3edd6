"""Everything that can be set, in one frozen value: nothing else in the server reads an option or the environment."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, NewType
from urllib.parse import urlsplit

import platformdirs

Seconds = NewType("Seconds", float)
Bytes = NewType("Bytes", int)
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

MAX_PORT = 65_535
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class UnsafeConfigurationError(ValueError):
    """The settings contradict each other, or would expose the service."""


def default_database_url() -> str:
    """Name the SQLite file in the user's data directory."""
    return f"sqlite:///{platformdirs.user_data_path('netvision') / 'netvision.db'}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One value per option of `netvision-api serve`; the text beside a field is its help."""

    database_url: Annotated[str, "postgresql://… or sqlite:///path."] = field(
        default_factory=default_database_url, repr=False
    )
    host: Annotated[str, "The address to listen on; only loopback is allowed without a token."] = "127.0.0.1"
    port: Annotated[int, "The TCP port; 0 takes a free one."] = 8000
    workers: Annotated[int, "Processes that serve; SQLite allows one."] = 1
    migrate: Annotated[bool | None, "Bring the schema up to date at start; by default on SQLite only."] = None
    pool_size: Annotated[int, "Database connections per worker."] = 8
    pool_timeout: Annotated[Seconds, "How long a request waits for a database connection."] = Seconds(2)
    statement_timeout: Annotated[Seconds, "How long one database statement may take."] = Seconds(10)
    grace: Annotated[Seconds, "How long requests in flight may take after a signal to stop."] = Seconds(10)
    max_body: Annotated[Bytes, "The largest request body."] = Bytes(10 * 2**20)
    max_records: Annotated[int, "The most records in one POST."] = 10_000
    max_text: Annotated[int, "The most characters in one text."] = 2**20
    allowed_hosts: Annotated[str, "Comma-separated Host names to answer; by default the loopback names."] = ",".join(
        LOOPBACK_NAMES
    )
    log_level: Annotated[LogLevel, "The least severe messages to log."] = "info"
    log_format: Annotated[LogFormat, "Log lines as text or as JSON."] = "text"
    access_log: Annotated[bool, "Log every request."] = False
    reload: Annotated[bool, "Restart when a source file changes; reads .env in the working directory."] = False

    def __post_init__(self) -> None:
        """Refuse what cannot work or must not run."""
        if not is_database_url(self.database_url):
            msg = "the database URL must look like postgresql://user@host/database or sqlite:///path"
            raise UnsafeConfigurationError(msg)
        for name in ("workers", "pool_size", "max_records", "max_text"):
            if getattr(self, name) < 1:
                msg = f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}"
                raise UnsafeConfigurationError(msg)
        if not 0 <= self.port <= MAX_PORT:
            msg = f"--port must be from 0 to {MAX_PORT}, not {self.port}"
            raise UnsafeConfigurationError(msg)
        if self.is_sqlite and self.sqlite_path is None:
            msg = "an SQLite database must be a file: sqlite:///path/to/netvision.db"
            raise UnsafeConfigurationError(msg)
        if self.is_sqlite and self.workers > 1:
            msg = "SQLite has one writer, so it allows one worker: take --workers 1, or PostgreSQL"
            raise UnsafeConfigurationError(msg)
        if self.reload and self.workers > 1:
            msg = "--reload goes with one worker"
            raise UnsafeConfigurationError(msg)
        if not is_loopback(self.host):
            msg = (
                f"{self.host} is not a loopback address, and whoever reaches it could read and delete every record: "
                "listen on 127.0.0.1, and let a proxy that checks its callers stand before it"
            )
            raise UnsafeConfigurationError(msg)

    @property
    def is_sqlite(self) -> bool:
        """Tell SQLite from PostgreSQL."""
        return self.database_url.startswith("sqlite")

    @property
    def sqlite_path(self) -> Path | None:
        """Return the SQLite file, or None where the URL names none."""
        _, _, path = self.database_url.partition(":///")
        path = path.partition("?")[0]
        return Path(path) if path and not path.startswith(":memory:") else None

    @property
    def migrates(self) -> bool:
        """Tell whether the schema is brought up to date at start."""
        return self.is_sqlite if self.migrate is None else self.migrate

    @property
    def hosts(self) -> frozenset[str]:
        """Return the Host names to answer, in lower case and without ports."""
        named = {name.strip().lower() for name in self.allowed_hosts.split(",") if name.strip()}
        return frozenset({*named, f"[{self.host}]" if ":" in self.host else self.host})


def is_database_url(url: str) -> bool:
    """Tell whether a URL names a database of a kind that is served, with a port that is a number."""
    try:
        parsed = urlsplit(url)
        is_port = parsed.port is None or parsed.port <= MAX_PORT
    except ValueError:
        return False
    return is_port and parsed.scheme.partition("+")[0] in {"sqlite", "postgresql", "postgres"} and "://" in url


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
