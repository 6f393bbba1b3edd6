"""Texts and uuids from arguments, lines, JSON, NDJSON and CSV."""

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from netvision_cli.errors import UsageError

UUID_PATTERN = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"

is_uuid = re.compile(UUID_PATTERN).fullmatch

STDIN = "-"
BOM = b"\xef\xbb\xbf"


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


def read_texts(texts: list[str], file: Path | None) -> Iterator[NewRecord]:
    """Read the texts to store: from a file, from standard input, or from the arguments themselves."""
    if file is not None:
        yield from read_file(file)
    elif texts == [STDIN]:
        yield from read_lines(sys.stdin.buffer, "standard input")
    else:
        yield from map(from_argument, texts)


def from_argument(text: str) -> NewRecord:
    """Return an argument as a text; one that is not UTF-8 contains surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = f"{text!a} is not UTF-8"
        raise UsageError(msg) from error
    return NewRecord(text)


def read_file(path: Path) -> Iterator[NewRecord]:
    """Read a file by its suffix: .json, .ndjson, .jsonl, .csv, else one text per line."""
    readers: dict[str, Callable[[BufferedReader, str], Iterator[NewRecord]]]
    readers = {".json": read_json, ".ndjson": read_ndjson, ".jsonl": read_ndjson, ".csv": read_csv}
    try:
        with path.open("rb") as file:
            yield from readers.get(path.suffix.lower(), read_lines)(file, str(path))
    except OSError as error:
        msg = f"cannot read {path} ({error.strerror})"
        raise UsageError(msg) from error


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
    """Read an array of texts or records."""
    items: list[NewRecord | str] = parse(file.read(), list[NewRecord | str], name)
    yield from map(as_new_record, items)


def read_ndjson(file: BufferedReader, name: str) -> Iterator[NewRecord]:
    """Read one text or record per line."""
    for number, line in enumerate(file, 1):
        if line.strip():
            yield as_new_record(parse(line, NewRecord | str, f"line {number} of {name}"))


def read_csv(file: BufferedReader, name: str) -> Iterator[NewRecord]:
    """Read the columns `text` and, if there is one, `uuid`."""
    csv.field_size_limit(sys.maxsize)
    if file.peek(len(BOM)).startswith(BOM):
        file.read(len(BOM))
    lines = (decode(line, name, number) for number, line in enumerate(file, 1))
    rows = csv.DictReader(lines, strict=True)
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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"{name} holds neither texts nor records ({error})"
        raise UsageError(msg) from error


def as_new_record(item: NewRecord | str) -> NewRecord:
    """Return a bare text as a record without a uuid."""
    return NewRecord(item) if isinstance(item, str) else item


def read_uuids(arguments: Iterable[str]) -> Iterator[UUID]:
    """Read uuids from arguments, or from the first column of standard input if the only one is `-`."""
    if list(arguments) != [STDIN]:
        yield from map(parse_uuid, arguments)
        return
    for number, line in enumerate(sys.stdin.buffer, 1):
        key = decode(line, "standard input", number).partition("\t")[0].strip()
        if key:
            yield parse_uuid(key)
