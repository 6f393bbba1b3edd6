"""Options that commands share, as frozen values; the text beside a field is its help."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from netvision_cli.durations import parse_duration, parse_positive_duration
from netvision_cli.errors import UsageError
from netvision_cli.escaping import without_password
from netvision_cli.keys import MAX_BATCH
from netvision_cli.swarm.thresholds import Threshold


class Format(StrEnum):
    """How records are written."""

    TABLE = "table"
    TEXT = "text"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class Option(NamedTuple):
    """How the command line offers a field, in Typer's words."""

    help: str
    envvar: str | None = None
    hidden: bool = False
    min: float | None = None
    max: float | None = None
    parser: Callable[[Any], Any] | None = None
    """What reads the text; it raises ValueError for wrong usage."""

    metavar: str | None = None


Duration = partial(Option, parser=parse_positive_duration, metavar="DURATION")
Wait = partial(Option, parser=parse_duration, metavar="DURATION")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Which server to call, and how."""

    url: Annotated[str, Option("The server.", envvar="NETVISION_URL")] = "http://127.0.0.1:8000"
    token: Annotated[str | None, Option("The server's token.", envvar="NETVISION_TOKEN", hidden=True)] = None
    token_file: Annotated[Path | None, Option("A file with the server's token.", envvar="NETVISION_TOKEN_FILE")] = None
    timeout: Annotated[float, Duration("How long to wait for an answer.")] = 10.0

    @property
    def bearer(self) -> str | None:
        """Return the first of the comma-separated tokens."""
        text = read_token(self.token_file) if self.token is None and self.token_file else self.token
        token = text.partition(",")[0].strip() if text else None
        if token and not (token.isascii() and token.isprintable()):
            msg = "the token has characters that no token has; check --token-file or NETVISION_TOKEN"
            raise UsageError(msg)
        return token


class Range(NamedTuple):
    """The least and the most of something."""

    low: int
    high: int

    def __str__(self) -> str:
        """Write the range as it is read."""
        return f"{self.low}:{self.high}"


split_range = re.compile(r"([0-9]{1,9})(?::([0-9]{1,9}))?").fullmatch


def parse_range(text: object) -> Range:
    """Read `10:100`, or `50` for always the same; raises ValueError for anything else."""
    match = split_range(str(text))
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= low <= high <= MAX_BATCH:
        msg = f"{text!r} is not a range such as 10:100, from 1 to {MAX_BATCH}"
        raise ValueError(msg)
    return Range(low, high)


BATCH = Range(10, 100)


@dataclass(frozen=True, kw_only=True)
class SwarmOptions:
    """What the swarm does, and for how long."""

    producers: Annotated[int, Option("Tasks that insert batches.", min=1)] = 2
    consumers: Annotated[int, Option("Tasks that fetch records and delete them.", min=1)] = 16
    batch: Annotated[Any, Option("Records per batch.", parser=parse_range, metavar="MIN:MAX")] = BATCH
    length: Annotated[int, Option("Characters per text.", min=1)] = 16
    fetch: Annotated[int, Option("Records that a consumer fetches at once.", min=1, max=1000)] = 10
    interval: Annotated[float, Duration("Time between two lines.")] = 10.0
    duration: Annotated[float | None, Duration("Stop after this time; without it, never.")] = None
    records: Annotated[int | None, Option("Stop when so many records are inserted.", min=1)] = None
    rate: Annotated[
        float | None, Option("Offer so many records per second, however slow the server is.", min=0.001)
    ] = None
    backlog: Annotated[int, Option("Producers wait while more of the swarm's records are stored; 0: never.", min=0)] = (
        1000
    )
    seed: Annotated[int | None, Option("The same seed offers the same texts and batch sizes.")] = None
    wait: Annotated[float, Wait("How long to wait for the server at the start and for the final read.")] = 30.0
    leave: Annotated[bool, Option("Do not delete what is left at the end.")] = False
    delete_foreign: Annotated[bool, Option("Delete whatever is fetched, also what others inserted.")] = False
    fail_if: Annotated[
        tuple[Threshold, ...],
        Option("End with 99 if this is true, such as 'delete.p99>50ms'.", parser=Threshold.parse, metavar="EXPRESSION"),
    ] = ()
    compare: Annotated[Path | None, Option("Show this run beside an earlier one: what its --json wrote.")] = None
    report: Annotated[Path | None, Option("Write the whole run as a page to this file.")] = None
    json: Annotated[bool, Option("Write each line, and the summary, as JSON.")] = False


def read_token(path: Path) -> str:
    """Read a token file."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the token file {path} ({error})"
        raise UsageError(msg) from error


def flag(name: str) -> str:
    """Write the name of a field as an option."""
    return f"--{name.replace('_', '-')}"


def command_line(command: str, *groups: Any) -> str:  # noqa: ANN401 - any dataclasses
    """Write the command that gives these values, without what is secret: reports are passed on."""
    words = ["netvision", command]
    for group in groups:
        for field in fields(group):
            value = getattr(group, field.name)
            if value != field.default and field.name != "token":
                words += worded(flag(field.name), value)
    return shlex.join(map(without_password, words))


def worded(name: str, value: object) -> list[str]:
    """Write one option as it is read."""
    match value:
        case bool():
            return [name]
        case float():
            return [name, f"{value:.10g}"]
        case Range():
            return [name, str(value)]
        case tuple():
            return [word for one in value for word in worded(name, one)]
        case _:
            return [name, str(value)]
