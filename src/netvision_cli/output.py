"""What reaches the terminal: records on standard output, words on standard error."""

import csv
import sys
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import msgspec

from netvision_cli.client import Record
from netvision_cli.options import Format

HEAD = f"{'UUID':<36}  TEXT"
UNPRINTABLE = frozenset({"Cc", "Zl", "Zp"})
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ESCAPES = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}


def default_format() -> Format:
    """Choose a table for a terminal, and lines for a pipe."""
    return Format.TABLE if sys.stdout.isatty() else Format.TEXT


def say(message: str) -> None:
    """Tell the user something that is no data."""
    print(message, file=sys.stderr, flush=True)


def escape(text: str) -> str:
    """Show what would break a line, drive a terminal or turn its writing around."""
    return text if text.isalnum() else "".join(map(escape_character, text))


def escape_character(character: str) -> str:
    """Show one character."""
    if character in ESCAPES:
        return ESCAPES[character]
    if unicodedata.category(character) not in UNPRINTABLE and character not in BIDI_CONTROLS:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - two hex digits


async def write(records: AsyncIterator[Record], format_: Format) -> int:
    """Write records as they come, and return how many there were."""
    count = 0
    for line in HEADS.get(format_, ()):
        print(line)
    async for record in records:
        print(ROWS[format_](record, count), end="")
        count += 1
    if format_ is Format.JSON:
        print("\n]" if count else "[]")
    sys.stdout.flush()
    return count


def table_row(record: Record, _count: int) -> str:
    """Write a record for a reader."""
    return f"{record.uuid}  {escape(record.text)}\n"


def text_row(record: Record, _count: int) -> str:
    """Write a record for a pipe."""
    return f"{record.uuid}\t{escape(record.text)}\n"


def json_row(record: Record, count: int) -> str:
    """Write a record of an array."""
    return (",\n" if count else "[\n") + msgspec.json.encode(record).decode()


def ndjson_row(record: Record, _count: int) -> str:
    """Write a record as a line of JSON."""
    return msgspec.json.encode(record).decode() + "\n"


def csv_row(record: Record, _count: int) -> str:
    """Write a record as CSV."""
    row = StringIO(newline="")
    csv.writer(row).writerow((record.uuid, record.text))
    return row.getvalue()


HEADS = {Format.TABLE: (HEAD,), Format.CSV: ("uuid,text\r",)}
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
