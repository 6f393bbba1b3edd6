"""What reaches the terminal: records on standard output, words on standard error."""

import csv
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import msgspec

from netvision_cli.client import Record
from netvision_cli.escaping import escape
from netvision_cli.options import Format


def default_format() -> Format:
    """Choose a table for a terminal, and lines for a pipe."""
    return Format.TABLE if sys.stdout.isatty() else Format.TEXT


def say(message: str) -> None:
    """Tell the user something that is no data."""
    print(message, file=sys.stderr, flush=True)


def discard_stdout() -> None:
    """Write nowhere from now on: the reader of the pipe is gone, and nobody is to be told."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def write(records: AsyncIterator[Record], format_: Format) -> int:
    """Write records as they come, and return how many there were; nothing before the first one came."""
    count = 0
    async for record in records:
        print(("" if count else HEADS[format_]) + ROWS[format_](record, count), end="")
        count += 1
    print(TAILS[format_] if count else EMPTY[format_], end="", flush=True)
    return count


def table_row(record: Record, _count: int) -> str:
    """Write a record for a reader."""
    return f"{record.uuid}  {escape(record.text)}\n"


def text_row(record: Record, _count: int) -> str:
    """Write a record for a pipe."""
    return f"{record.uuid}\t{escape(record.text)}\n"


def json_row(record: Record, count: int) -> str:
    """Write a record of an array."""
    return (",\n" if count else "") + msgspec.json.encode(record).decode()


def ndjson_row(record: Record, _count: int) -> str:
    """Write a record as a line of JSON."""
    return msgspec.json.encode(record).decode() + "\n"


def csv_row(record: Record, _count: int) -> str:
    """Write a record as CSV."""
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


@contextmanager
def progress(doing: str) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many records are done; yields the function to count them with."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(f"{doing} {{task.completed}} records"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda count: bar.advance(task, count)
