"""The uuids that a client generates, with a common prefix per run, ascending by batch and position.

    48 bits of time | version | 12 bits of the run | variant | 12 bits of the run | 36 of the batch | 14 of the position

The time is that of the run's start, in milliseconds, and the run has 24 random bits. So a client that knows the run can
tell its records from all others, read only its own with `after`, and find the batch of a record in its key.

Texts that a user adds have uuids of version 7. Those of a swarm are of version 8, whose bits mean what its maker wants,
and the first 8 bits of the run are a mark instead of random: so `5a` in `01900000-0000-85a0-…` says that a record can
be deleted when its swarm is dead. The lower half of a swarm's batches are its heartbeats, one record each: a consumer
that reads on from the middle never meets them.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID

RUN_BITS = 24
BATCH_BITS = 36
POSITION_BITS = 14
TAIL_BITS = BATCH_BITS + POSITION_BITS
FILE_BITS = 14
TIME_BITS = 48
MAX_BATCH = 2**POSITION_BITS
"""The most records of one batch."""

FIRST_BATCH = 2 ** (BATCH_BITS - 1)
"""The number before those of a swarm's batches; the numbers below are heartbeats."""

SWARM_RUN_BITS = 16
SWARM_MARK = 0x5A
MARK_SHIFT = 68
VERSION_SHIFT = 76
TIME_SHIFT = 80
VERSION, SWARM_VERSION = 7, 8
FIRST_SWARM = UUID(int=1_767_225_600_000 << TIME_SHIFT)
"""No swarm has a key before this one, of the beginning of 2026."""


class Place(NamedTuple):
    """The place of a record in its run; batches count from 1, positions from 0."""

    batch: int
    position: int


@dataclass(frozen=True, slots=True)
class Run:
    """The keys of one run."""

    prefix: int

    @classmethod
    def start(cls) -> Self:
        """Start a run now."""
        return cls.of(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(RUN_BITS // 8)))

    @classmethod
    def of(cls, milliseconds: int, tag: int) -> Self:
        """Return the run of a point in time and 24 bits."""
        high, low = divmod(tag, 2**12)
        return cls(milliseconds << TIME_SHIFT | VERSION << VERSION_SHIFT | high << 64 | 2 << 62 | low << TAIL_BITS)

    @classmethod
    def start_swarm(cls) -> Self:
        """Start the run of a swarm now."""
        return cls.of_swarm(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(SWARM_RUN_BITS // 8)))

    @classmethod
    def of_swarm(cls, milliseconds: int, tag: int) -> Self:
        """Return the run of a swarm from a point in time and 16 bits."""
        run = cls.of(milliseconds, SWARM_MARK << SWARM_RUN_BITS | tag)
        return cls(run.prefix ^ (VERSION ^ SWARM_VERSION) << VERSION_SHIFT)

    @classmethod
    def of_swarm_key(cls, key: UUID) -> Self | None:
        """Return the run of a swarm's key; None for a key from elsewhere."""
        run = cls(key.int >> TAIL_BITS << TAIL_BITS)
        is_marked = key.int >> MARK_SHIFT & 0xFF == SWARM_MARK and key.version == SWARM_VERSION
        place = run.place(key)
        return run if is_marked and place and place.batch and key > FIRST_SWARM else None

    @property
    def milliseconds(self) -> int:
        """Return when the run began, in milliseconds since 1970."""
        return self.prefix >> TIME_SHIFT

    @property
    def floor(self) -> UUID:
        """Return the uuid right before the run's first record."""
        return UUID(int=self.prefix)

    @property
    def middle(self) -> UUID:
        """Return the uuid after the run's heartbeats and before its first batch."""
        return self.key(FIRST_BATCH, 0)

    @property
    def ceiling(self) -> UUID:
        """Return the uuid after which the run has no record."""
        return UUID(int=self.prefix | 2**TAIL_BITS - 1)

    def key(self, batch: int, position: int) -> UUID:
        """Return the uuid of one record."""
        return UUID(int=self.prefix | batch << POSITION_BITS | position)

    def place(self, key: UUID) -> Place | None:
        """Return the place of a record in this run; None for a record from elsewhere."""
        tail = key.int ^ self.prefix
        return Place(*divmod(tail, MAX_BATCH)) if tail < 2**TAIL_BITS else None

    def keys(self, number: int = MAX_BATCH) -> Iterator[UUID]:
        """Yield one uuid after another, the first with this number."""
        while True:
            yield UUID(int=self.prefix | number)
            number += 1


def file_keys(path: Path) -> Iterator[UUID]:
    """Yield the uuids of the texts of a file, the same each time, until the file is written or moved.

    The time is that of its last change. 38 bits of a hash of its content and path tell it from other files.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        milliseconds = os.fstat(file.fileno()).st_mtime_ns // 1_000_000
    digest.update(os.fsencode(path.resolve()))
    tag, number = divmod(int.from_bytes(digest.digest()[:5]) >> 2, 2**FILE_BITS)
    return Run.of(milliseconds % 2**TIME_BITS, tag).keys(number << TAIL_BITS - FILE_BITS)
