"""What crosses the wire: records in and out, the grammar of keys, and the limits of a body."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from netvision_api.problems import (
    BATCH_TOO_LARGE,
    COUNT_OUT_OF_RANGE,
    DUPLICATE_UUID,
    INVALID_PARAMETER,
    INVALID_RECORD,
    MALFORMED_JSON,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    NUL_CHARACTER,
    TEXT_TOO_LONG,
    UUID_CONFLICT,
    Error,
    Kind,
    Problem,
)
from netvision_api.settings import Settings

COUNT_PATTERN = r"0|[1-9][0-9]{0,17}"
UUID_PATTERN = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"

MAX_QUOTED = 200
"""How many characters of a body are quoted in an answer."""

FIXED_NAMES = frozenset({"all", "new", "health", "metrics", "schema"})

is_count = re.compile(COUNT_PATTERN).fullmatch
is_uuid = re.compile(UUID_PATTERN).fullmatch
is_number = re.compile(r"[1-9][0-9]*").fullmatch


class NewRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A record to store; without a uuid the server makes one."""

    text: str
    uuid: UUID | None = None


class StoredRecord(msgspec.Struct, frozen=True):
    """A record as it is stored."""

    uuid: UUID
    text: str


Records = Sequence[StoredRecord]


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one POST in input order; a single object is a batch of one, answered in kind."""

    records: Records
    is_single: bool

    @classmethod
    def decode(cls, body: bytes, settings: Settings) -> Self:
        """Read a request body; raises the Problem that says what is wrong with it, and where."""
        decoded = decode(body)
        is_single = isinstance(decoded, NewRecord)
        records = as_list(decoded)
        if len(records) > settings.max_records:
            detail = f"{len(records)} records are more than the {settings.max_records} that one request may carry."
            raise Problem(BATCH_TOO_LARGE, detail)
        batch = cls([StoredRecord(record.uuid or uuid7(), record.text) for record in records], is_single)
        batch.check(settings)
        return batch

    def check(self, settings: Settings) -> None:
        """Raise the Problem of the first rule that a record breaks."""
        records = self.records
        if long := [i for i, record in enumerate(records) if len(record.text) > settings.max_text]:
            detail = f"the text has {{}} characters; {settings.max_text} are allowed"
            raise self.problem(TEXT_TOO_LONG, "text", {i: detail.format(len(records[i].text)) for i in long})
        if nul := [i for i, record in enumerate(records) if "\0" in record.text]:
            raise self.problem(NUL_CHARACTER, "text", dict.fromkeys(nul, "the text holds U+0000, which no text may"))
        if twice := repeated([record.uuid.int for record in records]):
            raise self.problem(DUPLICATE_UUID, "uuid", {i: f"{records[i].uuid} came before" for i in twice})

    def conflict(self, uuids: set[UUID]) -> Problem:
        """Build the Problem of uuids that are stored with other texts."""
        positions = [i for i, record in enumerate(self.records) if record.uuid in uuids]
        details = {i: f"{self.records[i].uuid} is stored with another text" for i in positions}
        return self.problem(UUID_CONFLICT, "uuid", details)

    def problem(self, kind: Kind, member: str, details: dict[int, str]) -> Problem:
        """Build a Problem that points at a member of the records at these positions."""
        at = "#" if self.is_single else "#/{}"
        errors = [Error(f"{at.format(i)}/{member}", detail) for i, detail in details.items()]
        return Problem(kind, f"{errors[0].pointer}: {errors[0].detail}. Nothing was stored.", errors=errors)


decoder: msgspec.json.Decoder[NewRecord | list[NewRecord]] = msgspec.json.Decoder(NewRecord | list[NewRecord])


def decode(body: bytes) -> NewRecord | list[NewRecord]:
    """Parse a body, and tell what is no JSON from what is no record."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        require_json(body)
        detail, pointer = locate(str(error))
        message = f"{pointer}: {detail}. Nothing was stored."
        raise Problem(INVALID_RECORD, message, errors=[Error(pointer, detail)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        require_json(body)
        raise


def require_json(body: bytes) -> None:
    """Raise a Problem for a body that is not JSON; a number that is too large to read is JSON all the same."""
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError:
        return
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(MALFORMED_JSON, f"{error}. Nothing was stored.") from None
    except RecursionError:
        raise Problem(MALFORMED_JSON, "The body is nested too deep. Nothing was stored.") from None


def locate(message: str) -> tuple[str, str]:
    """Split msgspec's message into what is wrong and a JSON pointer to it."""
    detail, _, path = message.rpartition(" - at `$")
    if not detail:
        detail, path = message, ""
    pointer = "#" + re.sub(r"\[(\d+)\]|\.(\w+)", r"/\1\2", path.rstrip("`"))
    if field := re.search(r"field `(.*)`$", detail, re.DOTALL):
        pointer += "/" + field[1].replace("~", "~0").replace("/", "~1")
    return shorten(detail), shorten(pointer)


def shorten(text: str) -> str:
    """Keep the beginning of what a client sent, enough to know it by."""
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"


def as_list(records: NewRecord | list[NewRecord]) -> list[NewRecord]:
    """Take a single record for a list of one."""
    return [records] if isinstance(records, NewRecord) else records


def repeated(values: Sequence[int]) -> list[int]:
    """Return the positions of the values that came before."""
    if len(set(values)) == len(values):
        return []
    seen: set[int] = set()
    return [i for i, value in enumerate(values) if value in seen or seen.add(value)]  # type: ignore[func-returns-value]


def parse_key(key: str) -> UUID | int:
    """Read the last part of `/{key}`: a uuid or a count, as the path grammar says."""
    if is_uuid(key):
        return UUID(key)
    if is_count(key):
        return int(key)
    if is_number(key):
        raise Problem(COUNT_OUT_OF_RANGE, f"{key[:40]!r} has {len(key)} digits; a count has at most 18.")
    raise Problem(NOT_FOUND, f"{key[:80]!r} is neither a count nor a uuid.")


def parse_uuid(key: str) -> UUID:
    """Read the last part of `/{key}` where a count names nothing."""
    if key in FIXED_NAMES:
        raise Problem(METHOD_NOT_ALLOWED, f"'/{key}' cannot be deleted.", headers={"Allow": "GET, HEAD"})
    wanted = parse_key(key)
    if isinstance(wanted, UUID):
        return wanted
    raise Problem(NOT_FOUND, f"{key!r} is a count; only a uuid names a single record.")


def parse_after(value: str | None) -> UUID | None:
    """Read the parameter that says where a page starts."""
    if value is None or is_uuid(value):
        return UUID(value) if value else None
    raise Problem(INVALID_PARAMETER, f"The parameter 'after' must be a uuid, not {value[:80]!r}.")
