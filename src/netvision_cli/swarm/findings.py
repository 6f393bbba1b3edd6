"""What was lost, record by record: when it was acknowledged, when it was seen last, since when it is missing.

Times are in seconds since the start of the run, as its clock counts them. Memory is bounded: of very many findings the
first are kept, and the times of deletions only of the latest.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from netvision_cli.client import Record
from netvision_cli.keys import FIRST_BATCH, Place, Run
from netvision_cli.swarm.outages import iso

MAX_FINDINGS = 100_000
MAX_DELETIONS = 2**16
KEY_BYTES = 16

INSERT, DELETE = "insert", "delete"


@dataclass(frozen=True, slots=True)
class Finding:
    """One record whose insert or deletion was acknowledged and is gone."""

    call: str
    """Which of its acknowledged calls is gone: its insert, or its deletion."""

    record: Record
    place: Place
    acknowledged: float | None
    """When that call was acknowledged; None if that is not known any more."""

    seen: float | None
    """When a response held it last."""

    missing: float | None
    """When a read or a deletion first missed it; None if it is back."""

    def as_dict(self, clock_time: Callable[[float], datetime]) -> dict[str, Any]:
        """Return it as a line of the evidence."""
        is_heartbeat = self.place.batch <= FIRST_BATCH
        times = {"acknowledged": self.acknowledged, "last_seen": self.seen, "missing_since": self.missing}
        return {
            "lost": self.call,
            "uuid": str(self.record.uuid),
            "text": self.record.text,
            "batch": self.place.batch - (0 if is_heartbeat else FIRST_BATCH),
            "heartbeat": is_heartbeat,
            **{name: None if at is None else iso(clock_time(at)) for name, at in times.items()},
        }


class DeletionTimes:
    """When the latest deletions were acknowledged, in 24 bytes each."""

    def __init__(self, size: int = MAX_DELETIONS) -> None:
        self.size = size
        self.keys = bytearray(KEY_BYTES * size)
        self.times = array("d", bytes(8 * size))
        self.count = 0

    def add(self, key: UUID, at: float) -> None:
        """Note a deletion in the place of the oldest one."""
        place = self.count % self.size
        self.keys[KEY_BYTES * place : KEY_BYTES * (place + 1)] = key.bytes
        self.times[place] = at
        self.count += 1

    def of(self, key: UUID) -> float | None:
        """Return when a record was deleted last; None if that is not known any more."""
        found = self.positions(key.bytes)
        return max((self.times[position] for position in found), default=None)

    def positions(self, key: bytes) -> Iterator[int]:
        """Yield where a key is kept."""
        at = self.keys.find(key)
        while at >= 0:
            if not at % KEY_BYTES:
                yield at // KEY_BYTES
            at = self.keys.find(key, at + 1)


class Findings:
    """The records of one run that were lost or resurrected."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.found: list[Finding] = []
        self.deletions = DeletionTimes()
        self.first: float | None = None
        """The earliest acknowledgement that is gone."""

        self.last: float | None = None
        """The latest one."""

    def add(
        self, call: str, record: Record, acknowledged: float | None, seen: float | None, missing: float | None
    ) -> None:
        """Note a record that was lost or resurrected."""
        place = self.run.place(record.uuid) or Place(0, 0)
        if len(self.found) < MAX_FINDINGS:
            self.found.append(Finding(call, record, place, acknowledged, seen, missing))
        if acknowledged is not None:
            self.first = acknowledged if self.first is None else min(self.first, acknowledged)
            self.last = acknowledged if self.last is None else max(self.last, acknowledged)
