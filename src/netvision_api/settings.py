"""Everything that can be set, in one frozen value: nothing else in the server reads an option or the environment."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, NewType
from urllib.parse import urlsplit

import platformdirs

Seconds = NewType("Seconds", float)
Bytes = NewType("Bytes", int)
Secret = NewType("Secret", str)
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

Tokens = tuple[bytes, ...]

MAX_PORT = 65_535
MIN_TOKEN_LENGTH = 32
is_visible = re.compile(rb"[!-~]+").fullmatch
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class ConfigurationError(ValueError):
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
    header_timeout: Annotated[Seconds, "How long the headers of a request may take to come."] = Seconds(10)
    body_timeout: Annotated[Seconds, "How long the body of a request may take to come."] = Seconds(30)
    max_in_flight: Annotated[int, "How many requests a worker serves at a time; a large body counts for several."] = 256
    grace: Annotated[Seconds, "How long requests in flight may take after a signal to stop."] = Seconds(10)
    max_body: Annotated[Bytes, "The largest request body."] = Bytes(10 * 2**20)
    max_records: Annotated[int, "The most records in one POST."] = 10_000
    max_text: Annotated[int, "The most characters in one text."] = 2**20
    token: Annotated[Secret | None, "Comma-separated tokens that may do everything."] = field(default=None, repr=False)
    token_file: Annotated[Path | None, "A file with comma-separated tokens that may do everything."] = None
    read_token: Annotated[Secret | None, "Comma-separated tokens that may only read."] = field(default=None, repr=False)
    read_token_file: Annotated[Path | None, "A file with comma-separated tokens that may only read."] = None
    allowed_hosts: Annotated[str | None, "Comma-separated Hosts to answer; by default, on loopback, its names."] = None
    log_level: Annotated[LogLevel, "The least severe messages to log."] = "info"
    log_format: Annotated[LogFormat, "Log lines as text or as JSON."] = "text"
    access_log: Annotated[bool, "Log every request."] = False
    reload: Annotated[bool, "Restart when a source file changes; reads .env in the working directory."] = False

    def __post_init__(self) -> None:
        """Refuse what cannot work or must not run."""
        if not is_database_url(self.database_url):
            msg = "the database URL must look like postgresql://user@host/database or sqlite:///path"
            raise ConfigurationError(msg)
        for name in ("workers", "pool_size", "max_records", "max_text", "max_in_flight"):
            if getattr(self, name) < 1:
                msg = f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}"
                raise ConfigurationError(msg)
        if not 0 <= self.port <= MAX_PORT:
            msg = f"--port must be from 0 to {MAX_PORT}, not {self.port}"
            raise ConfigurationError(msg)
        if self.is_sqlite and self.sqlite_path is None:
            msg = "an SQLite database must be a file: sqlite:///path/to/netvision.db"
            raise ConfigurationError(msg)
        if self.is_sqlite and self.workers > 1:
            msg = "SQLite has one writer, so it allows one worker: take --workers 1, or PostgreSQL"
            raise ConfigurationError(msg)
        if self.reload and self.workers > 1:
            msg = "--reload goes with one worker"
            raise ConfigurationError(msg)
        if self.read_tokens and not self.tokens:
            msg = "a read token protects nothing while writing needs none: set NETVISION_TOKEN too"
            raise ConfigurationError(msg)
        if not self.tokens and not is_loopback(self.host):
            msg = (
                f"{self.host} is not a loopback address, and whoever reaches it could read and delete every record: "
                "set NETVISION_TOKEN or --token-file; make a token with "
                "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
            raise ConfigurationError(msg)

    @cached_property
    def tokens(self) -> Tokens:
        """Return the tokens that may do everything; none where everyone may."""
        return tokens_of(self.token, self.token_file, "NETVISION_TOKEN")

    @cached_property
    def read_tokens(self) -> Tokens:
        """Return the tokens that may only read."""
        return tokens_of(self.read_token, self.read_token_file, "NETVISION_READ_TOKEN")

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
    def hosts(self) -> frozenset[str] | None:
        """Return the Hosts to answer in lower case, each with or without a port; None for any."""
        if self.allowed_hosts is None:
            return frozenset(LOOPBACK_NAMES) | {bracketed(self.host)} if is_loopback(self.host) else None
        named = (name.strip().lower() for name in self.allowed_hosts.split(","))
        return frozenset(filter(None, named)) | {bracketed(self.host)}


def tokens_of(given: str | None, file: Path | None, variable: str) -> Tokens:
    """Read tokens from a file, else from a value; raises ConfigurationError for one that could be guessed."""
    try:
        text = file.read_text("utf-8") if file else given
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the token file {file} ({getattr(error, 'strerror', None) or 'not UTF-8'})"
        raise ConfigurationError(msg) from error
    tokens = () if text is None else tuple(token.strip().encode() for token in text.split(","))
    if any(len(token) < MIN_TOKEN_LENGTH for token in tokens):
        msg = f"every token of {variable} must have at least {MIN_TOKEN_LENGTH} characters"
        raise ConfigurationError(msg)
    if not all(map(is_visible, tokens)):
        msg = f"a token of {variable} holds a character that no header can carry"
        raise ConfigurationError(msg)
    return tokens


def bracketed(host: str) -> str:
    """Write an address as a Host header does."""
    return f"[{host}]" if ":" in host else host


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
