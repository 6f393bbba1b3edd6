"""The body of `POST /new`: its records, its limits, and what is wrong with it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from netvision_api.http.problems import (
    BATCH_TOO_LARGE,
    DUPLICATE_UUID,
    INVALID_RECORD,
    MALFORMED_JSON,
    NUL_CHARACTER,
    TEXT_TOO_LONG,
    UUID_CONFLICT,
    InvalidValue,
    Problem,
    ProblemType,
)
from netvision_api.settings import Settings
from netvision_api.storage.models import Records, StoredRecord

MAX_QUOTED = 200
"""How many characters of a body are quoted in a response."""


class NewRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A record to store; without a uuid the server generates one."""

    text: str
    uuid: UUID | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one POST in input order; a single object is a batch of one, and gets a single object back."""

    records: Records
    is_single: bool

    @classmethod
    def decode(cls, body: bytes, settings: Settings) -> Self:
        """Decode a request body; raises a Problem with what is wrong and a pointer to it."""
        decoded = decode(body)
        is_single = isinstance(decoded, NewRecord)
        records = as_list(decoded)
        if len(records) > settings.max_records:
            detail = f"{len(records)} records are more than the {settings.max_records} that one request may carry."
            raise Problem(BATCH_TOO_LARGE, detail)
        batch = cls([StoredRecord(record.uuid or uuid7(), record.text) for record in records], is_single)
        batch.validate(settings)
        return batch

    def validate(self, settings: Settings) -> None:
        """Raise the Problem of the first rule that a record violates."""
        records = self.records
        if long := [i for i, record in enumerate(records) if len(record.text) > settings.max_text]:
            detail = f"the text has {{}} characters; {settings.max_text} are allowed"
            raise self.problem(TEXT_TOO_LONG, "text", {i: detail.format(len(records[i].text)) for i in long})
        if nul := [i for i, record in enumerate(records) if "\0" in record.text]:
            raise self.problem(NUL_CHARACTER, "text", dict.fromkeys(nul, "the text holds U+0000, which no text may"))
        if twice := duplicate_positions([record.uuid.int for record in records]):
            raise self.problem(DUPLICATE_UUID, "uuid", {i: f"{records[i].uuid} came before" for i in twice})

    def conflict(self, uuids: set[UUID]) -> Problem:
        """Build the Problem of uuids that are stored with other texts."""
        positions = [i for i, record in enumerate(self.records) if record.uuid in uuids]
        details = {i: f"{self.records[i].uuid} is stored with another text" for i in positions}
        return self.problem(UUID_CONFLICT, "uuid", details)

    def problem(self, type_: ProblemType, member: str, details: dict[int, str]) -> Problem:
        """Build a Problem that points at a member of the records at these positions."""
        at = "#" if self.is_single else "#/{}"
        errors = [InvalidValue(f"{at.format(i)}/{member}", detail) for i, detail in details.items()]
        return Problem(type_, f"{errors[0].pointer}: {errors[0].detail}. Nothing was stored.", errors=errors)


decoder: msgspec.json.Decoder[NewRecord | list[NewRecord]] = msgspec.json.Decoder(NewRecord | list[NewRecord])


def decode(body: bytes) -> NewRecord | list[NewRecord]:
    """Decode a body; raises a Problem for what is not JSON and another for what is not a record."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        require_json(body)
        detail, pointer = parse_validation_message(str(error))
        message = f"{pointer}: {detail}. Nothing was stored."
        raise Problem(INVALID_RECORD, message, errors=[InvalidValue(pointer, detail)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        require_json(body)
        raise


def require_json(body: bytes) -> None:
    """Raise a Problem for a body that is not JSON; its values are not built, since a number may take seconds."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
        body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(MALFORMED_JSON, f"{error}. Nothing was stored.") from None
    except RecursionError:
        raise Problem(MALFORMED_JSON, "The body is nested too deep. Nothing was stored.") from None


def parse_validation_message(message: str) -> tuple[str, str]:
    """Split msgspec's message into what is wrong and a JSON pointer to it."""
    detail, _, path = message.rpartition(" - at `$")
    if not detail:
        detail, path = message, ""
    pointer = "#" + re.sub(r"\[(\d+)\]|\.(\w+)", r"/\1\2", path.rstrip("`"))
    if field := re.search(r"field `(.*)`$", detail, re.DOTALL):
        pointer += "/" + field[1].replace("~", "~0").replace("/", "~1")
    return shorten(detail), shorten(pointer)


def shorten(text: str) -> str:
    """Keep enough of what a client sent to recognise it."""
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"


def as_list(records: NewRecord | list[NewRecord]) -> list[NewRecord]:
    """Return a single record as a list of one."""
    return [records] if isinstance(records, NewRecord) else records


def duplicate_positions(values: Sequence[int]) -> list[int]:
    """Return the positions of the values that occur before."""
    if len(set(values)) == len(values):
        return []
    seen: set[int] = set()
    # `add` returns None: it only notes the value, and counts as no duplicate.
    return [i for i, value in enumerate(values) if value in seen or seen.add(value)]  # type: ignore[func-returns-value]
