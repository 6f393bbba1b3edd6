"""Output: records on standard output, messages on standard error."""

import csv
import sys
from asyncio import CancelledError
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from shutil import get_terminal_size
from typing import Any
from uuid import UUID

import msgspec

from netvision_cli.client import Record
from netvision_cli.errors import Interrupted, NetvisionError, NotFound
from netvision_cli.escaping import escape, escape_json
from netvision_cli.options import Format
from netvision_cli.streams import print_data


def default_format() -> Format:
    """Return the format if none is given: a table on a terminal, lines in a pipe."""
    return Format.TABLE if sys.stdout.isatty() else Format.TEXT


def print_status(message: str) -> None:
    """Print a message that is not data."""
    print(message, file=sys.stderr, flush=True)


async def write(records: AsyncIterator[Record], format_: Format) -> int:
    """Write records as they arrive, and return their number; nothing is written before the first one.

    In no format does a terminal get text that it would obey: JSON stays the same value, CSV is escaped.
    """
    rows = (TERMINAL_ROWS if sys.stdout.isatty() else ROWS)[format_]
    count = 0
    async for record in records:
        print_data(("" if count else HEADS[format_]) + rows(record, count))
        count += 1
    print_data(TAILS[format_] if count else EMPTY[format_], flush=True)
    return count


def table_row(record: Record, _count: int) -> str:
    """Format a record for a terminal."""
    return f"{record.uuid}  {escape(record.text)}\n"


def cut(line: str) -> str:
    """Cut a line to the width of the terminal."""
    width = get_terminal_size().columns
    if len(line) <= width and line.isascii():
        return line
    from rich.cells import cell_len, set_cell_size

    text = line.removesuffix("\n")
    return line if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…\n"


def text_row(record: Record, _count: int) -> str:
    """Format a record for a pipe."""
    return f"{record.uuid}\t{escape(record.text)}\n"


def json_row(record: Record, count: int) -> str:
    """Format a record as an item of an array."""
    return (",\n" if count else "") + msgspec.json.encode(record).decode()


def ndjson_row(record: Record, _count: int) -> str:
    """Format a record as a line of JSON."""
    return msgspec.json.encode(record).decode() + "\n"


def csv_row(record: Record, _count: int) -> str:
    """Format a record as a row of CSV."""
    row = StringIO(newline="")
    csv.writer(row).writerow((record.uuid, record.text))
    return row.getvalue()


TABLE_HEAD = f"{'UUID':<36}  TEXT\n"
CSV_HEAD = "uuid,text\r\n"
HEADS = {Format.TABLE: TABLE_HEAD, Format.TEXT: "", Format.JSON: "[\n", Format.NDJSON: "", Format.CSV: CSV_HEAD}
TAILS = dict.fromkeys(Format, "") | {Format.JSON: "\n]\n"}
EMPTY = HEADS | {Format.JSON: "[]\n"}
ROWS: dict[Format, Callable[[Record, int], str]] = {
    Format.TABLE: table_row,
    Format.TEXT: text_row,
    Format.JSON: json_row,
    Format.NDJSON: ndjson_row,
    Format.CSV: csv_row,
}
TERMINAL_ROWS: dict[Format, Callable[[Record, int], str]] = ROWS | {
    Format.JSON: lambda record, count: escape_json(json_row(record, count)),
    Format.NDJSON: lambda record, count: escape_json(ndjson_row(record, count)),
    Format.TABLE: lambda record, count: cut(table_row(record, count)),
    Format.CSV: lambda record, count: csv_row(Record(record.uuid, escape(record.text)), count),
}


async def existing(
    keys: Iterable[UUID], call: Callable[[UUID], Coroutine[Any, Any, Record]], absent: list[UUID]
) -> AsyncGenerator[Record, None]:
    """Yield the result of a call for each uuid; collect those that do not exist."""
    for key in keys:
        try:
            yield await call(key)
        except NotFound:
            absent.append(key)


def report_absent(absent: list[UUID]) -> None:
    """Raise NotFound for uuids that do not exist."""
    if absent:
        listed = ", ".join(map(str, absent[:10])) + (f" and {len(absent) - 10} more" if len(absent) > 10 else "")  # noqa: PLR2004
        msg = f"no record has the uuid {listed}; netvision list shows which there are"
        raise NotFound(msg)


@contextmanager
def progress(action: str, total: int | None = None, *, is_shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many records are done, of how many if that is known; yields the function that counts."""
    if not (is_shown and sys.stderr.isatty()):
        yield lambda _count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    of = "" if total is None else f" of {total}"
    bars = () if total is None else (BarColumn(),)
    columns = (SpinnerColumn(), TextColumn(f"{action} {{task.completed}}{of} records"), *bars, TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(action, total=total)
        yield lambda count: bar.advance(task, count)


def were(count: int, noun: str) -> str:
    """Return a number of things with the verb, as in `1 text was`."""
    return f"{count} {noun} was" if count == 1 else f"{count} {noun}s were"


@contextmanager
def reporting(so_far: Callable[[], str]) -> Iterator[None]:
    """Add to the message of an error, or of an interruption, what was done before, if anything was."""
    try:
        yield
    except CancelledError as error:
        msg = "; ".join(filter(None, ["interrupted", so_far()]))
        raise Interrupted(msg) from error
    except NetvisionError as error:
        if done := so_far():
            error.add(done)
        raise
