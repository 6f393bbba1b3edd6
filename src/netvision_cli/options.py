"""Options that commands share, as frozen values: `@with_options` spreads their fields over a command's signature."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer

from netvision_cli.durations import parse_duration, parse_positive_duration
from netvision_cli.errors import UsageError
from netvision_cli.keys import MAX_BATCH


class Format(StrEnum):
    """How records are written."""

    TABLE = "table"
    TEXT = "text"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def checked(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Have a ValueError of a reader told as wrong usage."""

    def parsed(text: Any) -> Any:  # noqa: ANN401 - whatever the reader reads
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parsed


Duration = partial(typer.Option, parser=checked(parse_positive_duration), metavar="DURATION")
Wait = partial(typer.Option, parser=checked(parse_duration), metavar="DURATION")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Which server to call, and how."""

    url: Annotated[str, typer.Option(envvar="NETVISION_URL", help="The server.")] = "http://127.0.0.1:8000"
    token: Annotated[str | None, typer.Option(envvar="NETVISION_TOKEN", hidden=True)] = None
    token_file: Annotated[
        Path | None, typer.Option(envvar="NETVISION_TOKEN_FILE", help="A file with the server's token.")
    ] = None
    timeout: Annotated[float, Duration(help="How long to wait for each step of a call.")] = 10.0

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

    producers: Annotated[int, typer.Option(min=1, help="Tasks that insert batches.")] = 2
    consumers: Annotated[int, typer.Option(min=1, help="Tasks that fetch records and delete them.")] = 8
    batch: Annotated[Any, typer.Option(parser=checked(parse_range), metavar="MIN:MAX", help="Records per batch.")] = (
        BATCH
    )
    length: Annotated[int, typer.Option(min=1, help="Characters per text.")] = 16
    fetch: Annotated[int, typer.Option(min=1, max=1000, help="Records that a consumer fetches at once.")] = 10
    interval: Annotated[float, Duration(help="Time between two lines.")] = 10.0
    duration: Annotated[float | None, Duration(help="Stop after this time; without it, never.")] = None
    records: Annotated[int | None, typer.Option(min=1, help="Stop when so many records are inserted.")] = None
    rate: Annotated[float | None, typer.Option(min=0.001, help="Insert at most so many records per second.")] = None
    backlog: Annotated[
        int, typer.Option(min=0, help="Producers wait while more of the swarm's records are stored; 0: never.")
    ] = 1000
    seed: Annotated[int | None, typer.Option(help="The same seed offers the same texts and batch sizes.")] = None
    wait: Annotated[float, Wait(help="How long to wait for the server at the start and for the final read.")] = 30.0
    leave: Annotated[bool, typer.Option("--leave", help="Do not delete what is left at the end.")] = False
    delete_foreign: Annotated[
        bool, typer.Option("--delete-foreign", help="Delete whatever is fetched, also what others inserted.")
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Write each line, and the summary, as JSON.")] = False


def read_token(path: Path) -> str:
    """Read a token file."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the token file {path} ({error})"
        raise UsageError(msg) from error


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a dataclass by options for its fields."""
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: p.annotation for name, p in signature.parameters.items() if is_dataclass(p.annotation)
    }
    own = [parameter for name, parameter in signature.parameters.items() if name not in groups]
    shared = {name: spread(group) for name, group in groups.items()}

    def with_values(**values: Any) -> None:  # noqa: ANN401 - whatever the options are
        for name, group in groups.items():
            values[name] = group(**{option.name: values.pop(option.name) for option in shared[name]})
        command(**values)

    parameters = [*own, *(option for options in shared.values() for option in options)]
    with_values.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_values.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    with_values.__doc__, with_values.__name__ = command.__doc__, command.__name__
    return with_values


def spread(group: Any) -> list[inspect.Parameter]:  # noqa: ANN401 - any dataclass
    """List the fields of a dataclass as keyword parameters."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]
