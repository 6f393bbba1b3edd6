"""Texts and uuids from arguments, lines, JSON, NDJSON and CSV."""

import csv
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from netvision_cli.errors import UsageError
from netvision_cli.escaping import escape
from netvision_cli.keys import file_keys
from netvision_cli.options import InputFormat, TextSource
from netvision_cli.output import print_status

UUID_PATTERN = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"

is_uuid = re.compile(UUID_PATTERN).fullmatch

STDIN, STDIN_NAME = "-", "standard input"
BOM = b"\xef\xbb\xbf"

TABLE_HEADING = "UUID"

ENDINGS = {
    "": InputFormat.TEXT,
    ".txt": InputFormat.TEXT,
    ".json": InputFormat.JSON,
    ".ndjson": InputFormat.NDJSON,
    ".jsonl": InputFormat.NDJSON,
    ".csv": InputFormat.CSV,
    ".tsv": InputFormat.TSV,
}

RECORD_START = rb'\{"uuid":"[0-9a-f-]{36}","text":"'
PRINTED_STARTS = {
    InputFormat.NDJSON: re.compile(RECORD_START).match,
    InputFormat.JSON: re.compile(rb"\[\s*" + RECORD_START).match,
    InputFormat.CSV: re.compile(rb"uuid,text\r?\n").match,
}


class NewRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A text to store, with its uuid if it has one."""

    text: str
    uuid: UUID | None = None


def parse_uuid(text: str) -> UUID:
    """Parse a uuid as the service does: hyphenated, or 32 hex digits."""
    if not is_uuid(text):
        msg = f"{text!r} is not a uuid; netvision list shows which there are"
        raise UsageError(msg)
    return UUID(text)


def read_source(texts: Sequence[str], source: TextSource) -> Iterator[NewRecord]:
    """Return the records to store, to be read later; raises UsageError if they are not given in one way."""
    is_standard_input = list(texts) == [STDIN]
    if bool(texts) == bool(source.file):
        msg = "give either texts, or - for standard input, or --file"
        raise UsageError(msg)
    if source.uuid and (len(texts) != 1 or is_standard_input):
        msg = "--uuid requires exactly one text"
        raise UsageError(msg)
    if source.format and texts and not is_standard_input:
        msg = "--format is that of standard input or of a file: give - or --file"
        raise UsageError(msg)
    if source.file:
        return read_files(source.file, source.format)
    if is_standard_input:
        return read_standard_input(source.format)
    key = parse_uuid(source.uuid) if source.uuid else None
    return iter([NewRecord(from_argument(text), key) for text in texts])


def from_argument(text: str) -> str:
    """Return an argument; raises UsageError if it is not UTF-8, when it contains surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = f"{text!a} is not UTF-8"
        raise UsageError(msg) from error
    return text


def read_files(paths: Sequence[Path], format_: InputFormat | None) -> Iterator[NewRecord]:
    """Read files that are checked to their ends before; the texts of a file have the same uuids each time."""
    if len({path.resolve() for path in paths}) < len(paths):
        msg = "--file names the same file twice"
        raise UsageError(msg)
    for path in filter(Path.is_file, paths):
        deque(read_file(path, format_), maxlen=0)
    for path in paths:
        records = read_file(path, format_)
        yield from with_keys(records, file_keys(path)) if path.is_file() else records


def with_keys(records: Iterable[NewRecord], keys: Iterator[UUID]) -> Iterator[NewRecord]:
    """Give each record the key of its position, unless it has one."""
    for record, key in zip(records, keys, strict=False):
        yield record if record.uuid else NewRecord(record.text, key)


def read_file(path: Path, format_: InputFormat | None = None) -> Iterator[NewRecord]:
    """Read a file in a format, by default that of its ending."""
    read = READERS[format_ or format_by_ending(path)]
    with reading(str(path)), path.open("rb") as file:
        yield from read(without_bom(file), str(path))


def read_standard_input(format_: InputFormat | None) -> Iterator[NewRecord]:
    """Read standard input in a format, by default lines of text, or records if they are as `list` prints them."""
    with reading(STDIN_NAME):
        file = without_bom(standard_input("texts"))
        found = format_ or find_format(file.peek())
        if found not in {format_, InputFormat.TEXT}:
            print_status(f"standard input is read as {found}; --format text stores its lines as they are")
        yield from READERS[found](file, STDIN_NAME)


def format_by_ending(path: Path) -> InputFormat:
    """Return the format that a file has by its ending."""
    if (ending := path.suffix.lower()) not in ENDINGS:
        msg = f"the ending of {path} is none of {', '.join(filter(None, ENDINGS))}; name its format with --format"
        raise UsageError(msg)
    return ENDINGS[ending]


def find_format(start: bytes) -> InputFormat:
    """Return the format that begins so, if it is one in which `list` prints records; anything else is text."""
    return next((format_ for format_, is_start in PRINTED_STARTS.items() if is_start(start)), InputFormat.TEXT)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn an error of the operating system into wrong usage."""
    try:
        yield
    except OSError as error:
        msg = f"cannot read {name} ({error.strerror})"
        raise UsageError(msg) from error


def standard_input(wanted: str) -> BufferedReader:
    """Return standard input with a buffer of its own: a thread may hold its lock when the process ends."""
    if sys.stdin.isatty():
        print_status(f"type {wanted}, one per line; end with Ctrl-D")
    buffer: Any = sys.stdin.buffer
    return BufferedReader(getattr(buffer, "raw", buffer))


def without_bom(file: BufferedReader) -> BufferedReader:
    """Skip the mark with which programs on Windows begin a file in UTF-8."""
    if file.peek(len(BOM)).startswith(BOM):
        file.read(len(BOM))
    return file


def read_lines(file: Iterable[bytes], name: str) -> Iterator[NewRecord]:
    """Read one text per line; an empty line is an empty text, and a line may end as on Windows."""
    for number, line in enumerate(file, 1):
        yield NewRecord(decode(line.removesuffix(b"\n").removesuffix(b"\r"), name, number))


def decode(line: bytes, name: str, number: int) -> str:
    """Decode a line as UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        msg = f"line {number} of {name} is not UTF-8 ({error.reason})"
        raise UsageError(msg) from error


def read_json(file: BufferedReader, name: str) -> Iterator[NewRecord]:
    """Read an array of texts or records, or a single one."""
    content = parse(file.read(), list[NewRecord | str] | NewRecord | str, name)
    yield from map(as_new_record, content if isinstance(content, list) else [content])


def read_ndjson(file: BufferedReader, name: str) -> Iterator[NewRecord]:
    """Read one text or record per line."""
    for number, line in enumerate(file, 1):
        if line.strip():
            yield as_new_record(parse(line, NewRecord | str, f"line {number} of {name}"))


def read_csv(file: BufferedReader, name: str, dialect: type[csv.Dialect] = csv.excel) -> Iterator[NewRecord]:
    """Read the columns `text` and, if there is one, `uuid`."""
    csv.field_size_limit(sys.maxsize)
    lines = (decode(line, name, number) for number, line in enumerate(file, 1))
    rows = csv.DictReader(lines, strict=True, dialect=dialect)
    try:
        if "text" not in (rows.fieldnames or ()):
            msg = f"{name} has no column named text"
            raise UsageError(msg)
        yield from map(from_row, rows)
    except (csv.Error, ValueError) as error:
        msg = f"line {rows.line_num} of {name} is not a record ({error})"
        raise UsageError(msg) from error


def from_row(row: dict[str, str | None]) -> NewRecord:
    """Parse a row of CSV; raises ValueError if it is not a record."""
    text, key = row["text"], row.get("uuid")
    if text is None:
        msg = "no text"
        raise ValueError(msg)
    if key and not is_uuid(key):
        msg = f"{key!r} is not a uuid"
        raise ValueError(msg)
    return NewRecord(text, UUID(key) if key else None)


def parse(content: bytes, type_: Any, name: str) -> Any:  # noqa: ANN401 - a value of that type
    """Decode JSON of a known type."""
    try:
        return msgspec.json.decode(content, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{name} holds neither texts nor records ({escape(str(error))})"
        raise UsageError(msg) from error


def as_new_record(item: NewRecord | str) -> NewRecord:
    """Return a bare text as a record without a uuid."""
    return NewRecord(item) if isinstance(item, str) else item


def read_uuids(arguments: Iterable[str]) -> Iterator[UUID]:
    """Read uuids from arguments, or from standard input if the only one is `-`: one a line, or what `list` prints."""
    if list(arguments) != [STDIN]:
        yield from map(parse_uuid, arguments)
        return
    with reading(STDIN_NAME):
        file = without_bom(standard_input("uuids"))
        if (format_ := find_format(file.peek())) is not InputFormat.TEXT:
            yield from (record.uuid for record in READERS[format_](file, STDIN_NAME) if record.uuid)
            return
        for number, line in enumerate(file, 1):
            words = decode(line, STDIN_NAME, number).split(maxsplit=1)
            if words and (number, words[0]) != (1, TABLE_HEADING):
                yield parse_uuid(words[0])


READERS: dict[InputFormat, Callable[[BufferedReader, str], Iterator[NewRecord]]] = {
    InputFormat.TEXT: read_lines,
    InputFormat.JSON: read_json,
    InputFormat.NDJSON: read_ndjson,
    InputFormat.CSV: read_csv,
    InputFormat.TSV: partial(read_csv, dialect=csv.excel_tab),
}
