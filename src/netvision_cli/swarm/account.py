"""The ledger of every record of a run: offered, acknowledged, deletion asked, deleted. Pure, without I/O or clock.

It judges as Jepsen's set checkers do. An answer that did not come, or says that the server failed, proves nothing: its
outcome is *unknown*. A read proves something only about what was acknowledged before the read began and was not asked
to be deleted before it ended. Time is the order of the calls to the account.

Memory is bounded by what is stored and in flight, not by what was: a record is forgotten with its deletion, and known
again by its key, which carries the run and the batch.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, fields
from uuid import UUID

from netvision_cli.client import Record
from netvision_cli.keys import Run

MAX_OPEN_BATCHES = 100_000
"""How many batches are remembered for attempts that may still land; all older ones then count as such."""

FORGOTTEN_ATTEMPTS = 1
"""How many attempts such an older batch is taken to have open."""


@dataclass(slots=True)
class Entry:
    """What is known of one record that may be stored."""

    record: Record
    acknowledged: int | None = None
    """When its insert was acknowledged."""

    asked: int | None = None
    """When its deletion was first asked."""

    in_flight: int = 0
    """How many attempts to delete it have not ended."""

    confirmed: int = 0
    """How many attempts to delete it were acknowledged."""

    is_absent: bool = False
    """Whether an attempt to delete it was answered that it is not there."""

    in_doubt: bool = False
    """Whether an attempt to delete it ended without a clear answer."""

    came_back: bool = False
    """Whether it was deleted before: it is deleted again, and counted only as what it was judged to be."""

    is_corrupt: bool = False
    """Whether another text than its own was seen."""


@dataclass(slots=True)
class Tally:
    """What is counted; all numbers are records, but `partial`, which is batches."""

    created: int = 0
    """Acknowledged inserts."""

    recovered: int = 0
    """Found stored, though their insert was never acknowledged."""

    deleted: int = 0
    """Acknowledged deletions."""

    gone: int = 0
    """Absent after a deletion that was asked and never confirmed."""

    left: int = 0
    """Still stored at the end."""

    lost: int = 0
    """Acknowledged, and absent though nobody here asked to delete them."""

    resurrected: int = 0
    """Back after an acknowledged deletion."""

    corrupt: int = 0
    """Another text than was sent, or a key of this run that it never made."""

    doubled: int = 0
    """Deletions acknowledged twice, or records that one answer held twice."""

    late: int = 0
    """Back after their deletion by an attempt to insert them whose answer never came."""

    partial: int = 0
    """Batches of which a part was seen while their insert was unknown."""

    foreign: int = 0
    """Deleted, though others inserted them."""

    @property
    def harmed(self) -> int:
        """Return how many records were not kept as they should have been."""
        return self.lost + self.resurrected + self.corrupt + self.doubled

    @property
    def is_even(self) -> bool:
        """Tell whether created + recovered = deleted + gone + left."""
        return self.created + self.recovered == self.deleted + self.gone + self.left

    @property
    def balances(self) -> bool:
        """Tell whether every record was kept until it was deleted, once."""
        return self.is_even and not self.harmed

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(slots=True)
class Batch:
    """Records that are inserted together, and what became of the attempts."""

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
        self.deleted_lately: dict[UUID, int] = {}
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

    def acknowledge(self, batch: Batch, answer: Sequence[Record]) -> None:
        """Note that a batch is stored, as the server says, with the records of its answer."""
        now = self.tick()
        del self.pending[batch.number]
        self.tally.created += len(batch.records)
        self.count_twins(answer)
        answered = {record.uuid: record for record in answer}
        for record in batch.records:
            if entry := self.live.get(record.uuid):
                entry.acknowledged = now
                self.compare(entry, answered.get(record.uuid, record))

    def leave_open(self, batch: Batch) -> None:
        """Note that an attempt to insert a batch ended without an answer, and may yet land."""
        self.open_batches[batch.number] = self.open_attempts(batch.number) + 1
        if len(self.open_batches) > MAX_OPEN_BATCHES:
            oldest = next(iter(self.open_batches))
            del self.open_batches[oldest]
            self.open_until = max(self.open_until, oldest)
            self.comebacks = {key: n for key, n in self.comebacks.items() if self.batch_of(key) > self.open_until}

    def open_attempts(self, batch: int) -> int:
        """Return how many attempts to insert a batch ended without an answer; each may land after its deletion."""
        return self.open_batches.get(batch, FORGOTTEN_ATTEMPTS if batch <= self.open_until else 0)

    def batch_of(self, key: UUID) -> int:
        """Return the number of the batch that a key of this run names."""
        place = self.run.place(key)
        return place.batch if place else 0

    def comes_back_late(self, key: UUID) -> bool:
        """Tell whether an open attempt explains that a deleted record is back; each explains it once."""
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
        """Note that a read begins; its answer goes to `end_read` with what this returns."""
        began = self.tick()
        self.reads.append(began)
        return began

    def end_read(self, began: int, after: UUID, count: int, answer: Sequence[Record]) -> list[UUID]:
        """Judge by the first `count` records behind `after`; return those of the run that can be deleted."""
        self.tick()
        mine = [record for record in answer if self.run.place(record.uuid)]
        self.count_twins(mine)
        seen = {record.uuid: record for record in mine}
        for record in seen.values():
            self.judge_presence(record, began)
        last = max((record.uuid for record in answer), default=self.run.ceiling)
        self.judge_absence(after, last if len(answer) >= count else self.run.ceiling, began, seen)
        self.abandon_read(began)
        return [key for key in seen if self.is_deletable(key)]

    def abandon_read(self, began: int) -> None:
        """Note that a read ended, with an answer or without."""
        self.reads.remove(began)
        oldest = min(self.reads, default=self.now)
        self.deleted_lately = {key: at for key, at in self.deleted_lately.items() if at > oldest}

    def is_deletable(self, key: UUID) -> bool:
        """Tell whether a record is acknowledged and nobody deletes it yet."""
        entry = self.live.get(key)
        return entry is not None and entry.acknowledged is not None and not entry.in_flight

    def judge_presence(self, record: Record, began: int) -> None:
        """Compare a record that a read has seen with what was sent, or find why it is back."""
        if entry := self.live.get(record.uuid):
            self.compare(entry, record)
            return
        if self.deleted_lately.get(record.uuid, 0) > began:
            return
        if not 1 <= self.batch_of(record.uuid) <= self.last_batch:
            self.tally.corrupt += 1
        elif self.comes_back_late(record.uuid):
            self.tally.late += 1
        else:
            self.tally.resurrected += 1
        self.add(Entry(record, acknowledged=self.now, came_back=True))

    def judge_absence(self, after: UUID, last: UUID, began: int, seen: Container[UUID]) -> None:
        """Find the records that a read from behind `after` up to `last` should have seen."""
        absent = [key for key in self.between(after, last) if key not in seen]
        for key in absent:
            entry = self.live[key]
            if entry.acknowledged is None:
                self.judge_part(key, seen)
            elif entry.acknowledged < began and entry.asked is None:
                self.tally.lost += not entry.came_back
                self.forget(key)

    def judge_part(self, key: UUID, seen: Container[UUID]) -> None:
        """Find that a batch in doubt is stored in part: a transaction would have stored all of it or none."""
        batch = self.pending.get(self.batch_of(key))
        if batch and not batch.is_partial and any(record.uuid in seen for record in batch.records):
            batch.is_partial = True
            self.tally.partial += 1

    # --- deletions

    def ask(self, key: UUID) -> None:
        """Note that an attempt to delete a record begins."""
        entry = self.live[key]
        entry.in_flight += 1
        if entry.asked is None:
            entry.asked = self.tick()

    def confirm(self, key: UUID, answer: Record) -> None:
        """Note that the server says it deleted a record, and which."""
        entry = self.live[key]
        entry.confirmed += 1
        self.compare(entry, answer)
        self.end_attempt(key, entry, absent=False)

    def deny(self, key: UUID) -> None:
        """Note that the server says there is no such record to delete."""
        self.end_attempt(key, self.live[key], absent=True)

    def doubt(self, key: UUID, *, was_sent: bool = True) -> None:
        """Note that an attempt to delete a record ended without a clear answer, or was never sent."""
        entry = self.live[key]
        entry.in_doubt = entry.in_doubt or was_sent
        self.end_attempt(key, entry, absent=False)

    def end_attempt(self, key: UUID, entry: Entry, *, absent: bool) -> None:
        """Close the entry when its last attempt has ended and the record is known not to be there."""
        entry.in_flight -= 1
        entry.is_absent = entry.is_absent or absent
        if entry.in_flight:
            return
        if not (entry.confirmed or entry.is_absent or entry.in_doubt):
            entry.asked = None
        if entry.confirmed:
            self.tally.deleted += not entry.came_back
            for _ in range(entry.confirmed - 1):
                is_late = self.comes_back_late(key)
                self.tally.late += is_late
                self.tally.doubled += not is_late
        elif not entry.is_absent:
            return
        elif not entry.came_back:
            self.tally.gone += entry.in_doubt
            self.tally.lost += not entry.in_doubt
        self.deleted_lately[key] = self.tick()
        self.forget(key)

    # --- the end

    def settle(self, stored: Iterable[UUID]) -> None:
        """Decide by a whole read, begun when nothing was in flight, what is still unknown."""
        stored = set(stored)
        for key, entry in list(self.live.items()):
            is_stored = key in stored
            if entry.acknowledged is None and is_stored:
                entry.acknowledged = self.now
                self.tally.recovered += 1
            elif entry.acknowledged is None:
                self.forget(key)
            elif entry.asked is not None and not is_stored:
                self.tally.gone += not entry.came_back
                self.forget(key)
        self.pending.clear()

    def close(self) -> None:
        """Count what is left at the end."""
        self.tally.left = sum(not entry.came_back for entry in self.live.values())

    # --- the books

    def add(self, entry: Entry) -> None:
        """Enter a record."""
        key = entry.record.uuid
        self.live[key] = entry
        if self.order and key < self.order[-1]:
            insort(self.order, key)
        else:
            self.order.append(key)

    def forget(self, key: UUID) -> None:
        """Take a record out of the books."""
        del self.live[key]
        del self.order[bisect_left(self.order, key)]

    def between(self, after: UUID, last: UUID) -> list[UUID]:
        """Return the records behind one key up to another."""
        return self.order[bisect_right(self.order, after) : bisect_right(self.order, last)]

    def compare(self, entry: Entry, seen: Record) -> None:
        """Count a record that is not the one that was sent, once."""
        if seen != entry.record and not entry.is_corrupt:
            entry.is_corrupt = True
            self.tally.corrupt += 1

    def count_twins(self, answer: Sequence[Record]) -> None:
        """Count the records that an answer holds more than once."""
        self.tally.doubled += len(answer) - len({record.uuid for record in answer})
