"""Options that commands share, as frozen values."""

import shlex
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from netvision_cli.errors import UsageError
from netvision_cli.escaping import show_url
from netvision_cli.option_spec import Notation, Option, flag, options_of
from netvision_cli.units import format_duration, parse_positive_duration


class Format(StrEnum):
    """The format of records."""

    TABLE = "table"
    TEXT = "text"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class InputFormat(StrEnum):
    """The format of texts to store: one per line, or records."""

    TEXT = "text"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    TSV = "tsv"


ConnectionOption = partial(Option, group="Connection")
WAIT_SECONDS = 30.0
PATH = Notation(parse=Path, format=str, metavar="PATH")
DURATION = Notation(parse=parse_positive_duration, format=format_duration, metavar="DURATION")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Which server to call, and how."""

    url: Annotated[str, ConnectionOption("The server.", has_variable=True)] = "http://127.0.0.1:8000"
    token: Annotated[str | None, ConnectionOption("The server's token.", has_variable=True, hidden=True)] = None
    token_file: Annotated[Path | None, ConnectionOption("A file with the server's token.", has_variable=True)] = None
    timeout: Annotated[float, ConnectionOption("How long to wait for a response.", **DURATION)] = 10.0

    @property
    def bearer(self) -> str | None:
        """Return the first of the comma-separated tokens."""
        text = read_token(self.token_file) if self.token is None and self.token_file else self.token
        token = text.partition(",")[0].strip() if text else None
        if token and not (token.isascii() and token.isprintable()):
            msg = "the token contains characters that cannot be sent in a header; check --token-file or NETVISION_TOKEN"
            raise UsageError(msg)
        return token


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """Where the texts to store come from, and how persistently they are stored."""

    file: Annotated[
        tuple[Path, ...],
        Option("Store one text per line, or the records of a .json, .ndjson, .csv or .tsv; repeatable.", **PATH),
    ] = ()
    format: Annotated[
        InputFormat | None, Option("By default a file's ending; - is text, unless it begins as list prints records.")
    ] = None
    uuid: Annotated[str | None, Option("The uuid of a single text.")] = None
    wait: Annotated[
        float | None,
        Option("How long to wait for a server that is away; by default 30s once a batch is stored.", **DURATION),
    ] = None

    def patience(self, *, is_started: bool) -> float:
        """Return how many seconds to wait for a server that is away."""
        return self.wait if self.wait is not None else WAIT_SECONDS if is_started else 0.0


def read_token(path: Path) -> str:
    """Read a token file."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the token file {path} ({error})"
        raise UsageError(msg) from error


def command_line(command: str, *groups: Any) -> str:  # noqa: ANN401 - any dataclasses
    """Return the command that gives these values, without secrets, since reports are shared."""
    words = ["netvision", command]
    for group in groups:
        for field in fields(group):
            value = getattr(group, field.name)
            if value != field.default and field.name != "token":
                shown = show_url(value) if field.name.endswith("url") else value
                words += format_option(flag(field.name), shown, options_of(group)[field.name])
    return shlex.join(words)


def format_option(name: str, value: object, option: Option) -> list[str]:
    """Return one option as words of a command line."""
    if isinstance(value, bool):
        return [name]
    # A value such as Range is a tuple too, but of a class of its own; a plain one holds a repeated option.
    values = value if type(value) is tuple else [value]
    return [word for item in values for word in (name, option.format(item))]
