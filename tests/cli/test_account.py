"""The account as a state machine, against a model of a server that is sometimes harmed on purpose.

The model knows what is stored and which harm was done; the account sees only what a client sees, and some of its reads
are stale. At the end both must agree on every number.
"""

import random
from collections.abc import Iterator
from itertools import count
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from netvision_cli.client import Record
from netvision_cli.keys import FIRST_BATCH, Run
from netvision_cli.swarm import account as account_module
from netvision_cli.swarm.account import MAX_OPEN_BATCHES, Account, Batch

PAGE = 5


class AccountMachine(RuleBasedStateMachine):
    """Batches are offered, acknowledged or not; records are read and deleted; now and then one is harmed."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.run = Run.of(1, seed)
        self.account = Account(self.run)
        self.batches: Iterator[int] = count(FIRST_BATCH + 1)
        self.heartbeats: Iterator[int] = count(1)
        self.stored: dict[UUID, Record] = {}
        self.offered: dict[int, Batch] = {}
        self.acknowledged: dict[int, Batch] = {}
        self.deletable: set[UUID] = set()
        self.deleted: dict[UUID, int] = {}
        self.history: list[dict[UUID, Record]] = [{}]
        self.lost = self.corrupt = self.resurrected = self.duplicated = 0

    # --- what happens

    @rule(size=st.integers(1, 6), is_heartbeat=st.booleans())
    def offer(self, size: int, is_heartbeat: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        number = next(self.heartbeats if is_heartbeat else self.batches)
        keys = [self.run.key(number, position) for position in range(size)]
        batch = Batch(number, [Record(key, "text") for key in keys])
        self.account.offer(batch)
        self.offered[number] = batch

    @precondition(lambda self: self.offered)
    @rule(arrives=st.booleans(), may_land=st.booleans())
    def get_no_response(self, arrives: bool, may_land: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        batch = self.rng.choice(list(self.offered.values()))
        if arrives:
            self.stored.update((record.uuid, record) for record in batch.records)
        if may_land:
            self.account.leave_open(batch)

    @precondition(lambda self: self.offered)
    @rule()
    def get_a_response(self) -> None:
        batch = self.offered.pop(self.rng.choice(list(self.offered)))
        self.stored.update((record.uuid, record) for record in batch.records)
        self.account.acknowledge(batch, batch.records)
        self.acknowledged[batch.number] = batch
        self.deletable.update(record.uuid for record in batch.records)

    @rule()
    def read_a_page(self) -> None:
        after = self.rng.choice([self.run.floor, *self.stored])
        self.read(after, PAGE)

    @rule(age=st.integers(0, 20))
    def read_a_stale_page(self, age: int) -> None:
        self.read(self.run.floor, PAGE, self.history[-1 - age % len(self.history)])

    @precondition(lambda self: self.deletable)
    @rule(outcome=st.sampled_from(["response", "lost before", "lost after", "contested"]))
    def delete(self, outcome: str) -> None:
        key = self.rng.choice(sorted(self.deletable))
        if not self.account.is_deletable(key):
            self.deletable.discard(key)
            return
        self.account.ask(key)
        if outcome == "contested":
            self.account.ask(key)
        record = None if outcome == "lost before" else self.stored.pop(key, None)
        if outcome.startswith("lost"):
            self.account.doubt(key)
        elif record:
            self.account.confirm(key, record)
        else:
            self.account.deny(key)
        if outcome == "contested":
            self.account.deny(key)
        if not outcome.startswith("lost"):
            self.deletable.discard(key)
            if record:
                place = self.run.place(key)
                self.deleted[key] = place.batch if place else 0

    # --- harm

    @precondition(lambda self: self.unrequested())
    @rule()
    def lose(self) -> None:
        key = self.rng.choice(self.unrequested())
        del self.stored[key]
        self.deletable.discard(key)
        self.lost += 1
        self.read_all()

    @precondition(lambda self: self.unrequested())
    @rule()
    def garble(self) -> None:
        key = self.rng.choice(self.unrequested())
        self.corrupt += not self.account.live[key].is_corrupt
        self.stored[key] = Record(key, "other")
        self.read_all()

    @precondition(lambda self: self.closed())
    @rule()
    def bring_back(self) -> None:
        key = self.rng.choice(self.closed())
        del self.deleted[key]
        self.stored[key] = Record(key, "text")
        self.resurrected += 1
        self.read_all()
        self.remove_again(key)

    @precondition(lambda self: self.certain())
    @rule()
    def delete_twice(self) -> None:
        key = self.rng.choice(self.certain())
        self.account.ask(key)
        self.account.ask(key)
        record = self.stored.pop(key)
        self.account.confirm(key, record)
        self.account.confirm(key, record)
        self.deletable.discard(key)
        self.duplicated += 1

    # --- the judgement

    @invariant()
    def nothing_is_accused_of_more_than_was_done(self) -> None:
        if not hasattr(self, "account"):
            return
        tally = self.account.tally
        assert tally.lost <= self.lost
        assert tally.resurrected <= self.resurrected
        assert tally.duplicated == self.duplicated
        assert tally.corrupt == self.corrupt
        self.history.append(dict(self.stored))

    def teardown(self) -> None:
        if not hasattr(self, "account"):
            return
        self.account.settle(self.read_all())
        self.account.close()
        tally = self.account.work.merged(self.account.heartbeats)
        assert tally.lost == self.lost
        assert tally.resurrected == self.resurrected
        assert len(self.account.findings.found) == self.lost + self.resurrected
        assert self.account.missing == {}
        assert tally.created + tally.recovered == tally.deleted + tally.unconfirmed + tally.remaining + tally.lost
        assert tally.remaining == len(self.stored)

    # --- the model

    def read(self, after: UUID, size: int, stored: dict[UUID, Record] | None = None) -> list[UUID]:
        stored = self.stored if stored is None else stored
        began = self.account.begin_read()
        page = [stored[key] for key in sorted(stored) if key > after][:size]
        self.account.end_read(began, after, size, page)
        return [record.uuid for record in page]

    def read_all(self) -> list[UUID]:
        return self.read(self.run.floor, len(self.stored) + 1)

    def unrequested(self) -> list[UUID]:
        if not hasattr(self, "account"):
            return []
        live = self.account.live
        return sorted(key for key in self.deletable & self.stored.keys() if live[key].requested is None)

    def certain(self) -> list[UUID]:
        return [key for key in self.unrequested() if not self.account.open_attempts(self.account.batch_of(key))]

    def closed(self) -> list[UUID]:
        if not hasattr(self, "account"):
            return []
        return sorted(key for key, batch in self.deleted.items() if not self.account.open_attempts(batch))

    def remove_again(self, key: UUID) -> None:
        self.account.ask(key)
        self.account.confirm(key, self.stored.pop(key))


AccountMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAccount = AccountMachine.TestCase


def stored(account: Account, number: int, size: int = 3) -> Batch:
    number += FIRST_BATCH
    batch = Batch(number, [Record(account.run.key(number, position), "text") for position in range(size)])
    account.offer(batch)
    account.acknowledge(batch, batch.records)
    return batch


def test_a_read_that_began_before_proves_nothing() -> None:
    account = Account(Run.start())
    began = account.begin_read()
    batch = stored(account, 1)
    account.end_read(began, account.run.floor, 10, [])
    assert len(account.live) == len(batch.records)
    assert account.tally.lost == 0


def test_a_record_seen_by_a_read_that_began_before_its_deletion_is_not_back() -> None:
    account = Account(Run.start())
    batch = stored(account, 1, size=1)
    began = account.begin_read()
    account.ask(batch.records[0].uuid)
    account.confirm(batch.records[0].uuid, batch.records[0])
    account.end_read(began, account.run.floor, 10, batch.records)
    assert account.tally.resurrected == 0


def test_a_late_insert_is_distinguished_from_a_resurrection() -> None:
    account = Account(Run.start())
    for number, is_open in ((1, True), (2, False)):
        batch = stored(account, number, size=1)
        if is_open:
            account.leave_open(batch)
        account.ask(batch.records[0].uuid)
        account.confirm(batch.records[0].uuid, batch.records[0])
        account.end_read(account.begin_read(), account.run.floor, 10, batch.records)
        account.settle([batch.records[0].uuid])
    assert (account.tally.late, account.tally.resurrected) == (1, 1)


def test_a_key_that_the_run_never_made_is_corrupt() -> None:
    account = Account(Run.start())
    stored(account, 1)
    key = account.run.key(FIRST_BATCH + 9, 9)
    account.end_read(account.begin_read(), account.run.middle, 10, [Record(key, "text")])
    assert account.tally.corrupt == 1


def test_forgotten_open_batches_still_count_as_open() -> None:
    account = Account(Run.start())
    for number in range(1, MAX_OPEN_BATCHES + 10):
        account.leave_open(Batch(number, []))
    assert len(account.open_batches) == MAX_OPEN_BATCHES
    assert all(map(account.open_attempts, range(1, MAX_OPEN_BATCHES + 10)))
    assert not account.open_attempts(MAX_OPEN_BATCHES + 10)


def test_one_open_attempt_explains_one_comeback() -> None:
    account = Account(Run.start())
    batch = stored(account, 1, size=1)
    account.leave_open(batch)
    key = batch.records[0].uuid
    for _ in range(3):
        account.ask(key)
        account.confirm(key, batch.records[0])
        account.end_read(account.begin_read(), account.run.floor, 10, batch.records)
    account.settle([key])
    assert (account.tally.late, account.tally.resurrected) == (1, 2)


def test_a_contested_deletion_around_a_late_landing_is_not_duplicated() -> None:
    account = Account(Run.start())
    batch = stored(account, 1, size=1)
    account.leave_open(batch)
    key = batch.records[0].uuid
    account.ask(key)
    account.ask(key)
    account.confirm(key, batch.records[0])
    account.confirm(key, batch.records[0])
    assert (account.tally.late, account.tally.duplicated) == (1, 0)


def test_a_deletion_that_was_never_sent_excuses_nothing() -> None:
    account = Account(Run.start())
    key = stored(account, 1, size=1).records[0].uuid
    account.ask(key)
    account.doubt(key, was_sent=False)
    account.end_read(account.begin_read(), account.run.floor, 10, [])
    account.settle([])
    assert account.tally.lost == 1


def test_a_record_absent_from_one_read_and_found_by_the_next_is_stale() -> None:
    now = [0.0]
    account = Account(Run.start(), lambda: now[0])
    batch = stored(account, 1)
    began_before = account.begin_read()
    account.end_read(account.begin_read(), account.run.floor, 10, batch.records[1:])
    assert (account.outstanding, account.tally.harmed) == (2, 0)
    account.end_read(began_before, account.run.floor, 10, batch.records)
    assert account.tally.stale == 0
    now[0] = 2.5
    account.end_read(account.begin_read(), account.run.floor, 10, batch.records)
    assert (account.outstanding, account.tally.stale, account.longest_stale) == (3, 1, 2.5)


def test_a_deleted_record_that_a_stale_read_returns_is_not_resurrected() -> None:
    account = Account(Run.start())
    batch = stored(account, 1, size=2)
    for record in batch.records:
        account.ask(record.uuid)
        account.confirm(record.uuid, record)
    account.end_read(account.begin_read(), account.run.floor, 10, batch.records)
    account.ask(batch.records[0].uuid)
    account.deny(batch.records[0].uuid)
    account.end_read(account.begin_read(), account.run.floor, 10, [])
    assert (account.tally.stale, account.tally.resurrected, account.live) == (2, 0, {})


def test_a_missing_record_is_lost_if_its_deletion_or_the_final_read_does_not_find_it() -> None:
    now = [1.0]
    account = Account(Run.start(), lambda: now[0])
    batch = stored(account, 1, size=2)
    now[0] = 3.0
    account.end_read(account.begin_read(), account.run.floor, 10, [])
    assert account.tally.lost == 0
    account.ask(batch.records[0].uuid)
    account.deny(batch.records[0].uuid)
    assert account.tally.lost == 1
    account.settle([])
    assert account.tally.lost == 2
    assert [(f.acknowledged, f.seen, f.missing) for f in account.findings.found] == [(1.0, None, 3.0)] * 2


def test_of_very_many_missing_records_the_oldest_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_module, "MAX_MISSING", 2)
    account = Account(Run.start())
    batch = stored(account, 1, size=4)
    account.end_read(account.begin_read(), account.run.floor, 10, [])
    assert (account.tally.lost, list(account.missing)) == (2, [record.uuid for record in batch.records[2:]])
