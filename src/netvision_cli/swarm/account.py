"""The ledger of every record of a run: offered, acknowledged, deletion requested, deleted. No I/O, no clock.

It judges as Jepsen's set checkers do. A request without a response, or whose response is that the server failed, proves
nothing: its outcome is *unknown*. A read proves something only about what was acknowledged before the read began and
whose deletion was not requested before it ended. Time is the order of the calls to the account.

Memory is bounded by what is stored and in flight, not by what was: a record is forgotten once it is deleted, and
recognized by its key, which carries the run and the batch, if it comes back.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from netvision_cli.client import Record
from netvision_cli.keys import Run
from netvision_cli.swarm.tally import Tally

MAX_OPEN_BATCHES = 100_000
"""How many batches with attempts that may still land are remembered; older ones all count as having such attempts."""

FORGOTTEN_ATTEMPTS = 1
"""How many open attempts each of those older batches is assumed to have."""


@dataclass(slots=True)
class Entry:
    """What is known of one record that may be stored."""

    record: Record
    acknowledged: int | None = None
    """When its insert was acknowledged."""

    requested: int | None = None
    """When its deletion was first requested."""

    in_flight: int = 0
    """How many attempts to delete it have not ended."""

    confirmed: int = 0
    """How many attempts to delete it were acknowledged."""

    is_absent: bool = False
    """Whether the response to an attempt to delete it was that it is not there."""

    in_doubt: bool = False
    """Whether an attempt to delete it ended without a clear response."""

    came_back: bool = False
    """Whether it was deleted before: it is deleted again, and counted only as what it was judged to be."""

    is_corrupt: bool = False
    """Whether it was seen with another text than its own."""


@dataclass(slots=True)
class Batch:
    """Records that are inserted together."""

    number: int
    records: Sequence[Record]
    is_partial: bool = False


@dataclass
class Account:
    """The ledger of one run."""

    run: Run
    tally: Tally = field(default_factory=Tally)
    live: dict[UUID, Entry] = field(default_factory=dict)
    """What may be stored: offered, and not known to be deleted or lost."""

    def __post_init__(self) -> None:
        """Begin with nothing offered."""
        self.now = 0
        self.last_batch = 0
        self.order: list[UUID] = []
        self.pending: dict[int, Batch] = {}
        self.reads: list[int] = []
        self.recently_deleted: dict[UUID, int] = {}
        self.open_batches: dict[int, int] = {}
        self.open_until = 0
        self.comebacks: dict[UUID, int] = {}

    def tick(self) -> int:
        """Let time pass."""
        self.now += 1
        return self.now

    # --- inserts

    def offer(self, batch: Batch) -> None:
        """Note a batch before it is sent for the first time."""
        self.tick()
        self.last_batch = max(self.last_batch, batch.number)
        self.pending[batch.number] = batch
        for record in batch.records:
            self.add(Entry(record))

    def acknowledge(self, batch: Batch, records: Sequence[Record]) -> None:
        """Note that the server acknowledged a batch, and the records in its response."""
        now = self.tick()
        del self.pending[batch.number]
        self.tally.created += len(batch.records)
        self.count_duplicates(records)
        responded = {record.uuid: record for record in records}
        for record in batch.records:
            if entry := self.live.get(record.uuid):
                entry.acknowledged = now
                self.compare(entry, responded.get(record.uuid, record))

    def leave_open(self, batch: Batch) -> None:
        """Note that an attempt to insert a batch ended without a response, and may still land."""
        self.open_batches[batch.number] = self.open_attempts(batch.number) + 1
        if len(self.open_batches) > MAX_OPEN_BATCHES:
            oldest = next(iter(self.open_batches))
            del self.open_batches[oldest]
            self.open_until = max(self.open_until, oldest)
            self.comebacks = {key: n for key, n in self.comebacks.items() if self.batch_of(key) > self.open_until}

    def open_attempts(self, batch: int) -> int:
        """Return how many attempts to insert a batch ended without a response; each may land after its deletion."""
        return self.open_batches.get(batch, FORGOTTEN_ATTEMPTS if batch <= self.open_until else 0)

    def batch_of(self, key: UUID) -> int:
        """Return the number of the batch that a key of this run belongs to."""
        place = self.run.place(key)
        return place.batch if place else 0

    def comes_back_late(self, key: UUID) -> bool:
        """Return whether an open attempt explains that a deleted record is back; each explains it once."""
        batch = self.batch_of(key)
        attempts = self.open_attempts(batch)
        came_back = self.comebacks.get(key, 0)
        if came_back >= attempts:
            return False
        if batch > self.open_until:
            self.comebacks[key] = came_back + 1
        return True

    # --- reads

    def begin_read(self) -> int:
        """Note that a read begins; return the moment to pass to `end_read` or `abandon_read`."""
        began = self.tick()
        self.reads.append(began)
        return began

    def end_read(self, began: int, after: UUID, count: int, records: Sequence[Record]) -> list[UUID]:
        """Judge the first `count` records after a uuid; return those of the run that can be deleted."""
        self.tick()
        mine = [record for record in records if self.run.place(record.uuid)]
        self.count_duplicates(mine)
        seen = {record.uuid: record for record in mine}
        for record in seen.values():
            self.judge_presence(record, began)
        last = max((record.uuid for record in records), default=self.run.ceiling)
        self.judge_absence(after, last if len(records) >= count else self.run.ceiling, began, seen)
        self.abandon_read(began)
        return [key for key in seen if self.is_deletable(key)]

    def abandon_read(self, began: int) -> None:
        """Note that a read ended, with a response or without."""
        self.reads.remove(began)
        oldest = min(self.reads, default=self.now)
        self.recently_deleted = {key: at for key, at in self.recently_deleted.items() if at > oldest}

    def is_deletable(self, key: UUID) -> bool:
        """Return whether a record is acknowledged and no attempt to delete it is in flight."""
        entry = self.live.get(key)
        return entry is not None and entry.acknowledged is not None and not entry.in_flight

    def judge_presence(self, record: Record, began: int) -> None:
        """Compare a record that a read returned with what was sent, or determine why it is back."""
        if entry := self.live.get(record.uuid):
            self.compare(entry, record)
            return
        if self.recently_deleted.get(record.uuid, 0) > began:
            return
        if not 1 <= self.batch_of(record.uuid) <= self.last_batch:
            self.tally.corrupt += 1
        elif self.comes_back_late(record.uuid):
            self.tally.late += 1
        else:
            self.tally.resurrected += 1
        self.add(Entry(record, acknowledged=self.now, came_back=True))

    def judge_absence(self, after: UUID, last: UUID, began: int, seen: Container[UUID]) -> None:
        """Find the records that a read of the keys after one up to another should have returned."""
        absent = [key for key in self.between(after, last) if key not in seen]
        for key in absent:
            entry = self.live[key]
            if entry.acknowledged is None:
                self.judge_part(key, seen)
            elif entry.acknowledged < began and entry.requested is None:
                self.tally.lost += not entry.came_back
                self.forget(key)

    def judge_part(self, key: UUID, seen: Container[UUID]) -> None:
        """Count a batch in doubt that is stored in part: a transaction would have stored all of it or none."""
        batch = self.pending.get(self.batch_of(key))
        if batch and not batch.is_partial and any(record.uuid in seen for record in batch.records):
            batch.is_partial = True
            self.tally.partial += 1

    # --- deletions

    def ask(self, key: UUID) -> None:
        """Note that an attempt to delete a record begins."""
        entry = self.live[key]
        entry.in_flight += 1
        if entry.requested is None:
            entry.requested = self.tick()

    def confirm(self, key: UUID, record: Record) -> None:
        """Note that the server reports it deleted a record, and which."""
        entry = self.live[key]
        entry.confirmed += 1
        self.compare(entry, record)
        self.end_attempt(key, entry, absent=False)

    def deny(self, key: UUID) -> None:
        """Note that the server reports there is no such record to delete."""
        self.end_attempt(key, self.live[key], absent=True)

    def doubt(self, key: UUID, *, was_sent: bool = True) -> None:
        """Note that an attempt to delete a record ended without a clear response, or was never sent."""
        entry = self.live[key]
        entry.in_doubt = entry.in_doubt or was_sent
        self.end_attempt(key, entry, absent=False)

    def end_attempt(self, key: UUID, entry: Entry, *, absent: bool) -> None:
        """Close the entry if its last attempt has ended and the record is known to be absent."""
        entry.in_flight -= 1
        entry.is_absent = entry.is_absent or absent
        if entry.in_flight:
            return
        if not (entry.confirmed or entry.is_absent or entry.in_doubt):
            entry.requested = None
        if entry.confirmed:
            self.tally.deleted += not entry.came_back
            for _ in range(entry.confirmed - 1):
                is_late = self.comes_back_late(key)
                self.tally.late += is_late
                self.tally.duplicated += not is_late
        elif not entry.is_absent:
            return
        elif not entry.came_back:
            self.tally.unconfirmed += entry.in_doubt
            self.tally.lost += not entry.in_doubt
        self.recently_deleted[key] = self.tick()
        self.forget(key)

    # --- the end

    def settle(self, stored: Iterable[UUID]) -> None:
        """Decide what is still unknown by the keys of a complete read, begun when nothing was in flight."""
        stored = set(stored)
        for key, entry in list(self.live.items()):
            is_stored = key in stored
            if entry.acknowledged is None and is_stored:
                entry.acknowledged = self.now
                self.tally.recovered += 1
            elif entry.acknowledged is None:
                self.forget(key)
            elif entry.requested is not None and not is_stored:
                self.tally.unconfirmed += not entry.came_back
                self.forget(key)
        self.pending.clear()

    def close(self) -> None:
        """Count what remains at the end."""
        self.tally.remaining = sum(not entry.came_back for entry in self.live.values())

    # --- entries

    def add(self, entry: Entry) -> None:
        """Add a record that may be stored."""
        key = entry.record.uuid
        self.live[key] = entry
        if self.order and key < self.order[-1]:
            insort(self.order, key)
        else:
            self.order.append(key)

    def forget(self, key: UUID) -> None:
        """Remove a record."""
        del self.live[key]
        del self.order[bisect_left(self.order, key)]

    def between(self, after: UUID, last: UUID) -> list[UUID]:
        """Return the keys after one up to and including another."""
        return self.order[bisect_right(self.order, after) : bisect_right(self.order, last)]

    def compare(self, entry: Entry, seen: Record) -> None:
        """Count a record that differs from the one that was sent, once."""
        if seen != entry.record and not entry.is_corrupt:
            entry.is_corrupt = True
            self.tally.corrupt += 1

    def count_duplicates(self, records: Sequence[Record]) -> None:
        """Count the records that a response holds more than once."""
        self.tally.duplicated += len(records) - len({record.uuid for record in records})
