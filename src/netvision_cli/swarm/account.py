"""The ledger of every record of a run: offered, acknowledged, deletion requested, deleted. No I/O.

It judges as Jepsen's set checkers do. A request without a response, or whose response is that the server failed, proves
nothing: its outcome is *unknown*. A read proves something only about what was acknowledged before the read began and
whose deletion was not requested before it ended. Time is the order of the calls to the account; its clock only notes
when.

A read may be stale. A record that one does not return is *missing*, and one that it returns after its deletion is
*suspect*: what a later read, a deletion or the final read finds decides whether the record was harmed or the read was
stale.

Memory is bounded by what is stored and in flight, not by what was: a record is forgotten once it is deleted, and
recognized by its key, which carries the run and the batch, if it comes back.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from netvision_cli.client import Record
from netvision_cli.keys import FIRST_BATCH, Run
from netvision_cli.swarm.findings import DELETE, INSERT, Findings
from netvision_cli.swarm.tally import Tally

MAX_OPEN_BATCHES = 100_000
"""How many batches with attempts that may still land are remembered; older ones all count as having such attempts."""

FORGOTTEN_ATTEMPTS = 1
"""How many open attempts each of those older batches is assumed to have."""


MAX_MISSING = 100_000
"""How many records may be missing; of more, the oldest are taken for lost."""


def no_clock() -> float:
    """Return the same time always."""
    return 0.0


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
    """Whether it was deleted before: it is deleted again, and counted only as what it is judged to be."""

    is_judged: bool = False
    """Whether it was found out why it is back."""

    missing: int | None = None
    """When a read ended that should have returned it and did not."""

    acknowledged_at: float | None = None
    seen_at: float | None = None
    missing_at: float | None = None
    """The same, and when a response held it last, by the clock."""

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
    clock: Callable[[], float] = no_clock
    """Returns the seconds since the start of the run."""

    work: Tally = field(default_factory=Tally)
    """The numbers of the batches."""

    heartbeats: Tally = field(default_factory=Tally)
    live: dict[UUID, Entry] = field(default_factory=dict)
    """What may be stored: offered, and not known to be deleted or lost."""

    def __post_init__(self) -> None:
        """Begin with nothing offered."""
        self.now = 0
        self.middle = self.run.middle
        self.last_batch = FIRST_BATCH
        self.last_heartbeat = 0
        self.order: list[UUID] = []
        self.pending: dict[int, Batch] = {}
        self.reads: list[int] = []
        self.recently_deleted: dict[UUID, int] = {}
        self.open_batches: dict[int, int] = {}
        self.open_until = {True: 0, False: 0}
        """Up to which number heartbeats, and batches, count as open."""

        self.comebacks: dict[UUID, int] = {}
        self.missing: dict[UUID, None] = {}
        self.live_heartbeats = 0
        self.missing_heartbeats = 0
        self.longest_stale = 0.0
        self.findings = Findings(self.run)

    @property
    def tally(self) -> Tally:
        """Return the numbers of the batches, with the harm to heartbeats."""
        return self.work.merged(self.heartbeats.findings)

    @property
    def outstanding(self) -> int:
        """Return how many records of batches may be stored; those that are missing are not waited for."""
        return len(self.live) - self.live_heartbeats - (len(self.missing) - self.missing_heartbeats)

    @property
    def has_work(self) -> bool:
        """Return whether a record is stored that consumers have to delete."""
        return any(
            entry.acknowledged and entry.missing is None and not entry.came_back and not self.is_heartbeat(key)
            for key, entry in self.live.items()
        )

    def tick(self) -> int:
        """Let time pass."""
        self.now += 1
        return self.now

    # --- inserts

    def offer(self, batch: Batch) -> None:
        """Note a batch before it is sent for the first time."""
        self.tick()
        if batch.number <= FIRST_BATCH:
            self.last_heartbeat = max(self.last_heartbeat, batch.number)
        else:
            self.last_batch = max(self.last_batch, batch.number)
        self.pending[batch.number] = batch
        for record in batch.records:
            self.add(Entry(record))

    def acknowledge(self, batch: Batch, records: Sequence[Record]) -> None:
        """Note that the server acknowledged a batch, and the records in its response."""
        now = self.tick()
        del self.pending[batch.number]
        self.tally_of(batch.number).created += len(batch.records)
        self.count_duplicates(records)
        responded = {record.uuid: record for record in records}
        at = self.clock()
        for record in batch.records:
            if entry := self.live.get(record.uuid):
                entry.acknowledged, entry.acknowledged_at = now, at
                self.compare(entry, responded.get(record.uuid, record))

    def leave_open(self, batch: Batch) -> None:
        """Note that an attempt to insert a batch ended without a response, and may still land."""
        self.open_batches[batch.number] = self.open_attempts(batch.number) + 1
        if len(self.open_batches) > MAX_OPEN_BATCHES:
            oldest = next(iter(self.open_batches))
            del self.open_batches[oldest]
            kind = oldest <= FIRST_BATCH
            self.open_until[kind] = max(self.open_until[kind], oldest)
            self.comebacks = {key: n for key, n in self.comebacks.items() if not self.is_forgotten(self.batch_of(key))}

    def is_forgotten(self, batch: int) -> bool:
        """Return whether a batch is so old that it is assumed to have open attempts."""
        return batch <= self.open_until[batch <= FIRST_BATCH]

    def open_attempts(self, batch: int) -> int:
        """Return how many attempts to insert a batch ended without a response; each may land after its deletion."""
        return self.open_batches.get(batch, FORGOTTEN_ATTEMPTS if self.is_forgotten(batch) else 0)

    def batch_of(self, key: UUID) -> int:
        """Return the number of the batch that a key of this run belongs to."""
        place = self.run.place(key)
        return place.batch if place else 0

    def comes_back_late(self, key: UUID) -> bool:
        """Return whether an open attempt explains that a deleted record is back; each explains it once."""
        if not self.may_come_back(key):
            return False
        if not self.is_forgotten(self.batch_of(key)):
            self.comebacks[key] = self.comebacks.get(key, 0) + 1
        return True

    def may_come_back(self, key: UUID) -> bool:
        """Return whether an attempt to insert a deleted record may still land."""
        return self.comebacks.get(key, 0) < self.open_attempts(self.batch_of(key))

    # --- reads

    def begin_read(self) -> int:
        """Note that a read begins; return the moment to pass to `end_read` or `abandon_read`."""
        began = self.tick()
        self.reads.append(began)
        return began

    def end_read(self, began: int, after: UUID, count: int, records: Sequence[Record]) -> list[UUID]:
        """Judge the first `count` records after a uuid; return those of its batches that can be deleted."""
        self.tick()
        mine = [record for record in records if self.run.place(record.uuid)]
        self.count_duplicates(mine)
        seen = {record.uuid: record for record in mine}
        for record in seen.values():
            self.judge_presence(record, began)
        last = max((record.uuid for record in records), default=self.run.ceiling)
        self.judge_absence(after, last if len(records) >= count else self.run.ceiling, began, seen)
        self.abandon_read(began)
        return [key for key in seen if self.is_deletable(key) and not self.is_heartbeat(key)]

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
        """Compare a record that a read returned with what was sent, or suspect that it is back."""
        if entry := self.live.get(record.uuid):
            self.compare(entry, record)
            entry.seen_at = self.clock()
            if entry.missing is not None and entry.missing < began:
                self.find_again(record.uuid, entry)
            return
        if self.recently_deleted.get(record.uuid, 0) > began:
            return
        back = Entry(record, acknowledged=self.now, came_back=True, seen_at=self.clock())
        if not self.is_offered(self.batch_of(record.uuid)):
            self.tally_of_key(record.uuid).corrupt += 1
            back.is_judged = True
        self.add(back)

    def is_offered(self, batch: int) -> bool:
        """Return whether the run has made a batch or a heartbeat of this number."""
        return 1 <= batch <= self.last_heartbeat or FIRST_BATCH < batch <= self.last_batch

    def judge_comeback(self, key: UUID, entry: Entry) -> None:
        """Determine why a record is back that was deleted, and is stored for sure."""
        if entry.is_judged:
            return
        entry.is_judged = True
        tally = self.tally_of_key(key)
        if self.comes_back_late(key):
            tally.late += 1
        else:
            tally.resurrected += 1
            self.findings.add(DELETE, entry.record, self.findings.deletions.of(key), entry.seen_at, None)

    def acquit(self, key: UUID, entry: Entry) -> None:
        """Forgive a record that seemed to be back and is not stored: the read was stale, unless it landed late."""
        if entry.is_judged:
            return
        if self.may_come_back(key):
            self.tally_of_key(key).late += 1
        else:
            self.tally_of_key(key).stale += 1
            deleted = self.findings.deletions.of(key)
            if deleted is not None and entry.seen_at is not None:
                self.longest_stale = max(self.longest_stale, entry.seen_at - deleted)

    def judge_absence(self, after: UUID, last: UUID, began: int, seen: Container[UUID]) -> None:
        """Find the records that a read of the keys after one up to another should have returned."""
        absent = [key for key in self.between(after, last) if key not in seen]
        for key in absent:
            entry = self.live[key]
            if entry.acknowledged is None:
                self.judge_part(key, seen)
            elif entry.acknowledged >= began or entry.requested is not None:
                continue
            elif entry.came_back:
                self.acquit(key, entry)
                self.forget(key)
            elif entry.missing is None:
                self.miss(key, entry)

    def miss(self, key: UUID, entry: Entry) -> None:
        """Note that a read did not return a record; of very many, the oldest is lost."""
        entry.missing, entry.missing_at = self.now, self.clock()
        self.missing[key] = None
        self.missing_heartbeats += self.is_heartbeat(key)
        oldest = next(iter(self.missing))
        if len(self.missing) > MAX_MISSING and not self.live[oldest].in_flight:
            self.lose(oldest, self.live[oldest])
            self.forget(oldest)

    def find_again(self, key: UUID, entry: Entry) -> None:
        """Note that a missing record is stored: the read that did not return it was stale."""
        self.tally_of_key(key).stale += 1
        self.longest_stale = max(self.longest_stale, self.clock() - (entry.missing_at or 0.0))
        entry.missing = entry.missing_at = None
        self.end_missing(key)

    def end_missing(self, key: UUID) -> None:
        """Remove a record from those that are missing."""
        if key in self.missing:
            del self.missing[key]
            self.missing_heartbeats -= self.is_heartbeat(key)

    def lose(self, key: UUID, entry: Entry) -> None:
        """Note that an acknowledged record is gone for sure."""
        self.tally_of_key(key).lost += 1
        missing = self.clock() if entry.missing_at is None else entry.missing_at
        self.findings.add(INSERT, entry.record, entry.acknowledged_at, entry.seen_at, missing)

    def judge_part(self, key: UUID, seen: Container[UUID]) -> None:
        """Count a batch in doubt that is stored in part: a transaction would have stored all of it or none."""
        batch = self.pending.get(self.batch_of(key))
        if batch and not batch.is_partial and any(record.uuid in seen for record in batch.records):
            batch.is_partial = True
            self.work.partial += 1

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
        if not entry.confirmed and not entry.is_absent:
            return
        if entry.confirmed:
            self.end_confirmed(key, entry)
        elif entry.came_back:
            self.acquit(key, entry)
        elif entry.in_doubt:
            self.tally_of_key(key).unconfirmed += 1
        else:
            self.lose(key, entry)
        self.recently_deleted[key] = self.tick()
        self.forget(key)

    def end_confirmed(self, key: UUID, entry: Entry) -> None:
        """Count a record that the server has deleted, and how often it says so."""
        tally = self.tally_of_key(key)
        if entry.missing is not None:
            self.find_again(key, entry)
        if entry.came_back:
            self.judge_comeback(key, entry)
        else:
            tally.deleted += 1
        for _ in range(entry.confirmed - 1):
            is_late = self.comes_back_late(key)
            tally.late += is_late
            tally.duplicated += not is_late
        self.findings.deletions.add(key, self.clock())

    # --- the end

    def settle(self, stored: Iterable[UUID]) -> None:
        """Decide what is still unknown by the keys of a complete read, begun when nothing was in flight."""
        stored = set(stored)
        for key, entry in list(self.live.items()):
            if key in stored:
                self.settle_stored(key, entry)
            else:
                self.settle_absent(key, entry)
                self.forget(key)
        self.pending.clear()

    def settle_stored(self, key: UUID, entry: Entry) -> None:
        """Decide about a record that is stored at the end."""
        if entry.acknowledged is None:
            entry.acknowledged = self.now
            self.tally_of_key(key).recovered += 1
        elif entry.came_back:
            self.judge_comeback(key, entry)
        elif entry.missing is not None:
            self.find_again(key, entry)

    def settle_absent(self, key: UUID, entry: Entry) -> None:
        """Decide about a record that is not stored at the end."""
        if entry.acknowledged is None:
            return
        if entry.came_back:
            self.acquit(key, entry)
        elif entry.requested is not None:
            self.tally_of_key(key).unconfirmed += 1
        else:
            self.lose(key, entry)

    def close(self) -> None:
        """Count what remains at the end."""
        for key, entry in self.live.items():
            self.tally_of_key(key).remaining += not entry.came_back

    # --- entries

    def is_heartbeat(self, key: UUID) -> bool:
        """Return whether a key of this run belongs to a heartbeat."""
        return key <= self.middle

    def tally_of_key(self, key: UUID) -> Tally:
        """Return the numbers that a record belongs to."""
        return self.heartbeats if self.is_heartbeat(key) else self.work

    def tally_of(self, batch: int) -> Tally:
        """Return the numbers that a batch belongs to."""
        return self.heartbeats if batch <= FIRST_BATCH else self.work

    def add(self, entry: Entry) -> None:
        """Add a record that may be stored."""
        key = entry.record.uuid
        self.live[key] = entry
        self.live_heartbeats += self.is_heartbeat(key)
        if self.order and key < self.order[-1]:
            insort(self.order, key)
        else:
            self.order.append(key)

    def forget(self, key: UUID) -> None:
        """Remove a record."""
        del self.live[key]
        self.live_heartbeats -= self.is_heartbeat(key)
        self.end_missing(key)
        del self.order[bisect_left(self.order, key)]

    def between(self, after: UUID, last: UUID) -> list[UUID]:
        """Return the keys after one up to and including another."""
        return self.order[bisect_right(self.order, after) : bisect_right(self.order, last)]

    def compare(self, entry: Entry, seen: Record) -> None:
        """Count a record that differs from the one that was sent, once."""
        if seen != entry.record and not entry.is_corrupt:
            entry.is_corrupt = True
            self.tally_of_key(entry.record.uuid).corrupt += 1

    def count_duplicates(self, records: Sequence[Record]) -> None:
        """Count the records that a response holds more than once."""
        self.work.duplicated += len(records) - len({record.uuid for record in records})
