"""Everything that can be configured, in one frozen value: nothing else in the server reads the environment."""

import os
import re
from dataclasses import dataclass, field
from functools import cached_property, partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

import platformdirs

from netvision_api.database_url import MAX_PORT, reject_database_url, sqlite_file
from netvision_api.option_spec import Notation, Option, flag
from netvision_api.units import format_duration, format_size, parse_duration, parse_positive_duration, parse_size

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

Tokens = tuple[bytes, ...]

DOTENV = ".env"
MIN_TOKEN_LENGTH = 32
is_visible = re.compile(rb"[!-~]+").fullmatch
is_root_path = re.compile(r"(/[A-Za-z0-9._~-]+)*").fullmatch
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class ConfigurationError(ValueError):
    """The settings cannot work, contradict each other, or would expose the service."""


def default_database_url() -> str:
    """Return the URL of the SQLite file in the user's data directory."""
    return f"sqlite:///{platformdirs.user_data_path('netvision') / 'netvision.db'}"


def read_dotenv(value: bool) -> bool:  # noqa: FBT001 - the signature of a callback
    """Read `.env` in the working directory into the environment, with --reload only."""
    if value and os.path.exists(DOTENV):  # noqa: PTH110 - a name in the working directory
        from dotenv import load_dotenv

        load_dotenv(DOTENV)
    return value


Setting = partial(Option, has_variable=True)
Network = partial(Setting, group="Network")
Storage = partial(Setting, group="Database")
Limit = partial(Setting, group="Limits")
Access = partial(Setting, group="Access")
Logging = partial(Setting, group="Logging and development", is_negatable=True)

DURATION = Notation(parse=parse_positive_duration, format=format_duration, metavar="DURATION")
DURATION_OR_ZERO = Notation(parse=parse_duration, format=format_duration, metavar="DURATION")
SIZE = Notation(parse=parse_size, format=format_size, metavar="SIZE")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One value per option of `netvision-api serve`, with its help."""

    database_url: Annotated[str, Storage("postgresql://… or sqlite:///path.")] = field(
        default_factory=default_database_url, repr=False
    )
    host: Annotated[str, Network("The address to listen on; only loopback is allowed without a token.")] = "127.0.0.1"
    port: Annotated[int, Network("The TCP port; 0 takes a free one.")] = 8000
    workers: Annotated[int, Network("Processes that serve; SQLite allows one.")] = 1
    migrate: Annotated[
        bool | None,
        Storage("Upgrade the schema at start; by default on SQLite only.", is_negatable=True),
    ] = None
    pool_size: Annotated[int, Storage("Database connections per worker.")] = 8
    pool_timeout: Annotated[float, Storage("How long a request waits for a database connection.", **DURATION)] = 2.0
    statement_timeout: Annotated[float, Storage("How long one database statement may take.", **DURATION)] = 10.0
    header_timeout: Annotated[float, Limit("How long the headers of a request may take to arrive.", **DURATION)] = 10.0
    body_timeout: Annotated[float, Limit("How long the body of a request may take to arrive.", **DURATION)] = 30.0
    write_timeout: Annotated[float, Limit("How long a client may take no bytes of its response.", **DURATION)] = 30.0
    max_in_flight: Annotated[
        int, Limit("How many requests a worker serves at a time; a large body counts as several.")
    ] = 256
    grace: Annotated[float, Limit("How long requests in flight may take after a signal to stop.", **DURATION)] = 10.0
    drain_delay: Annotated[
        float,
        Limit(
            "How long requests are still taken after a signal to stop, while readiness is 503 already.",
            **DURATION_OR_ZERO,
        ),
    ] = 0.0
    max_body: Annotated[int, Limit("The largest request body.", **SIZE)] = 10 * 2**20
    max_records: Annotated[int, Limit("The most records in one POST.")] = 10_000
    max_text: Annotated[int, Limit("The most characters in one text.")] = 2**20
    token: Annotated[str | None, Access("Comma-separated tokens that permit everything.", is_secret=True)] = field(
        default=None, repr=False
    )
    token_file: Annotated[Path | None, Access("A file with comma-separated tokens that permit everything.")] = None
    read_token: Annotated[str | None, Access("Comma-separated tokens that only permit reading.", is_secret=True)] = (
        field(default=None, repr=False)
    )
    read_token_file: Annotated[Path | None, Access("A file with comma-separated tokens that only permit reading.")] = (
        None
    )
    allowed_hosts: Annotated[
        str | None, Access("Comma-separated Hosts to serve; by default, on loopback, its names.")
    ] = None
    root_path: Annotated[str, Network("The path under which a proxy offers the service, for links: /records.")] = ""
    forwarded_allow_ips: Annotated[
        str | None, Network("Comma-separated addresses or networks of proxies whose X-Forwarded-For is believed.")
    ] = None
    log_level: Annotated[LogLevel, Logging("The least severe messages to log.", is_negatable=False)] = "info"
    log_format: Annotated[LogFormat, Logging("Log lines as text or as JSON.", is_negatable=False)] = "text"
    access_log: Annotated[bool, Logging("Log every request.")] = False
    reload: Annotated[
        bool,
        Logging(
            "Restart when a source file changes; reads .env in the working directory.",
            is_eager=True,
            callback=read_dotenv,
        ),
    ] = False

    def __post_init__(self) -> None:
        """Reject what cannot work or must not run."""
        if reason := reject_database_url(self.database_url):
            raise ConfigurationError(reason)
        for name in ("workers", "pool_size", "max_records", "max_text", "max_in_flight"):
            if getattr(self, name) < 1:
                msg = f"{flag(name)} must be at least 1, not {getattr(self, name)}"
                raise ConfigurationError(msg)
        if not 0 <= self.port <= MAX_PORT:
            msg = f"--port, or NETVISION_PORT, must be from 0 to {MAX_PORT}, not {self.port}"
            raise ConfigurationError(msg)
        if not is_root_path(self.root_path):
            msg = f"--root-path must look like /records, without a slash at its end, not {self.root_path!r}"
            raise ConfigurationError(msg)
        if self.reload and self.workers > 1:
            msg = "--reload requires --workers 1"
            raise ConfigurationError(msg)
        if self.read_tokens and not self.tokens:
            msg = "a read token protects nothing while writing needs none: set NETVISION_TOKEN too"
            raise ConfigurationError(msg)
        if self.is_sqlite:
            self.check_sqlite()
        self.check_proxies()
        if is_address(self.host):
            self.check_exposure(self.host)

    def check_sqlite(self) -> None:
        """Reject what SQLite cannot do."""
        if self.sqlite_path is None:
            msg = (
                "an SQLite database is a file, and its URL has nothing but the path, no `file:` and no parameters: "
                "sqlite:///path/to/netvision.db"
            )
            raise ConfigurationError(msg)
        if self.workers > 1:
            msg = "SQLite has one writer, so it allows one worker: take --workers 1, or PostgreSQL"
            raise ConfigurationError(msg)

    def check_proxies(self) -> None:
        """Reject what is no address of a proxy: it would never be believed, without a word."""
        for address in (self.forwarded_allow_ips or "*").split(","):
            try:
                _ = address.strip() == "*" or ip_network(address.strip())
            except ValueError as error:
                msg = f"--forwarded-allow-ips must name addresses or networks, or be *, not {address.strip()!r}"
                raise ConfigurationError(msg) from error

    def check_exposure(self, address: str) -> None:
        """Raise ConfigurationError if an address can be reached from elsewhere and no token is needed.

        A name says nothing about that: the address to which it was bound does.
        """
        if self.tokens or ip_address(address).is_loopback:
            return
        msg = (
            f"{address} is not a loopback address, and anyone who reaches it could read and delete every record: "
            "set NETVISION_TOKEN or --token-file; make a token with "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
        raise ConfigurationError(msg)

    @cached_property
    def tokens(self) -> Tokens:
        """Return the tokens that permit everything; none if no token is needed."""
        return tokens_of(self.token, self.token_file, "NETVISION_TOKEN")

    @cached_property
    def read_tokens(self) -> Tokens:
        """Return the tokens that only permit reading."""
        return tokens_of(self.read_token, self.read_token_file, "NETVISION_READ_TOKEN")

    @property
    def is_sqlite(self) -> bool:
        """Return whether the database is SQLite; otherwise it is PostgreSQL."""
        return self.database_url.startswith("sqlite")

    @cached_property
    def sqlite_path(self) -> Path | None:
        """Return the SQLite file, None if the URL names none."""
        path = sqlite_file(self.database_url) if self.is_sqlite else None
        return Path(path) if path else None

    @property
    def has_default_database(self) -> bool:
        """Return whether the database is the default one, whose directories are made."""
        return self.database_url == default_database_url()

    @property
    def migrates(self) -> bool:
        """Return whether the schema is upgraded at start."""
        return self.is_sqlite if self.migrate is None else self.migrate

    @property
    def hosts(self) -> frozenset[str] | None:
        """Return the Hosts to serve in lower case, each with or without a port; None for any."""
        if self.allowed_hosts is None:
            is_local = not self.tokens or is_loopback(self.host)
            return frozenset(LOOPBACK_NAMES) | {bracketed(self.host)} if is_local else None
        named = (name.strip().lower() for name in self.allowed_hosts.split(","))
        return frozenset(filter(None, named)) | {bracketed(self.host)}


def settings_from_environment() -> Settings:
    """Read the settings from variables alone, as `serve` does without options; raises ConfigurationError."""
    import typer

    from netvision_api.typer_options import with_options

    read: list[Settings] = []
    program = typer.Typer(pretty_exceptions_enable=False)

    @program.command()
    @with_options
    def take(*, settings: Settings) -> None:
        read.append(settings)

    try:
        program([], standalone_mode=False)
    except typer.BadParameter as error:
        raise ConfigurationError(error.format_message()) from error
    if not read:
        msg = "the settings in the environment cannot work together"
        raise ConfigurationError(msg)
    return read[0]


def tokens_of(value: str | None, file: Path | None, variable: str) -> Tokens:
    """Read tokens from a file, else from a value; raises ConfigurationError for one that could be guessed."""
    try:
        text = file.read_text("utf-8") if file else value
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the token file {file} ({getattr(error, 'strerror', None) or 'not UTF-8'})"
        raise ConfigurationError(msg) from error
    tokens = () if text is None else tuple(token.strip().encode() for token in text.split(","))
    if any(len(token) < MIN_TOKEN_LENGTH for token in tokens):
        msg = f"every token of {variable} must have at least {MIN_TOKEN_LENGTH} characters"
        raise ConfigurationError(msg)
    if not all(map(is_visible, tokens)):
        msg = f"a token of {variable} contains a character that cannot be sent in a header"
        raise ConfigurationError(msg)
    return tokens


def bracketed(host: str) -> str:
    """Return an address as it is written in a Host header."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Return whether an address, or a name by its meaning, is one that only this machine can reach."""
    return ip_address(host).is_loopback if is_address(host) else host == "localhost"


def is_address(host: str) -> bool:
    """Return whether a host is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
