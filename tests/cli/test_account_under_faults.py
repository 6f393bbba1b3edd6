"""The account over a simulated server: what was harmed is found, and what was merely flaky is forgiven."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from netvision_cli.client import Record
from netvision_cli.errors import NotFound, ServerError
from netvision_cli.swarm.account import Tally
from tests.cli.simulation import OPTIONS, SimulatedServer, simulate

HONEST_RUNS = 1000
SEEDS = range(10)


def test_no_honest_server_is_accused_however_flaky() -> None:
    for seed in range(HONEST_RUNS):
        server = SimulatedServer(seed, flakiness=0.05 * (seed % 8))
        tally = simulate(server, seed).account.tally
        assert tally.balances, (seed, tally)
        assert tally.partial == 0, (seed, tally)


def test_every_record_of_a_quiet_run_is_created_and_deleted() -> None:
    server = SimulatedServer(seed=1)
    assert simulate(server, seed=1).account.tally == Tally(created=60, deleted=60)
    assert not server.texts


def test_leaving_records_is_no_fault() -> None:
    server = SimulatedServer(seed=1)
    tally = simulate(server, 1, replace(OPTIONS, leave=True)).account.tally
    assert tally.balances
    assert tally.left == len(server.texts) > 0


class Flawed(SimulatedServer):
    """Does harm at its first opportunity, and now and then later."""

    is_due = True

    def strikes(self) -> bool:
        strikes = self.is_due or self.chance.random() < 0.1
        self.is_due = False
        return strikes


class Dropping(Flawed):
    """Stores all of a batch but one record."""

    def do_store(self, records: Sequence[Record]) -> list[Record]:
        super().do_store(records[1:] if self.strikes() else records)
        return list(records)


class Garbling(Flawed):
    """Stores another text."""

    def put(self, record: Record) -> None:
        text = record.text[::-1] + "!" if self.strikes() else record.text
        super().put(Record(record.uuid, text))


class Reviving(Flawed):
    """Brings deleted records back."""

    def do_remove(self, key: UUID) -> Record:
        record = super().do_remove(key)
        if self.strikes():
            self.put(record)
        return record


class DoublyDeleting(SimulatedServer):
    """Acknowledges the deletion of a record as often as it is asked."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.deleted: dict[UUID, Record] = {}

    def do_remove(self, key: UUID) -> Record:
        if key not in self.deleted:
            self.deleted[key] = super().do_remove(key)
        return self.deleted[key]


class Repeating(Flawed):
    """Lists a record twice."""

    def do_page(self, count: int, after: UUID) -> list[Record]:
        page = super().do_page(count, after)
        return [*page[:1], *page][:count] if page and self.strikes() else page


class Forgetting(Flawed):
    """Loses a stored record."""

    def do_page(self, count: int, after: UUID) -> list[Record]:
        page = super().do_page(count, after)
        if page and self.strikes():
            self.keys.remove(page[-1].uuid)
            del self.texts[page[-1].uuid]
        return page


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("flawed", "harm"),
    [
        (Dropping, "lost"),
        (Forgetting, "lost"),
        (Garbling, "corrupt"),
        (Reviving, "resurrected"),
        (DoublyDeleting, "doubled"),
        (Repeating, "doubled"),
    ],
)
def test_a_server_that_harms_records_is_found_out(flawed: type[SimulatedServer], harm: str, seed: int) -> None:
    tally = simulate(flawed(seed), seed).account.tally
    assert not tally.balances
    assert getattr(tally, harm) > 0, tally


class Halving(SimulatedServer):
    """Stores half of a batch and says it failed, at the first attempt."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.halved: set[UUID] = set()

    def do_store(self, records: Sequence[Record]) -> list[Record]:
        if records[0].uuid in self.halved:
            return super().do_store(records)
        self.halved.add(records[0].uuid)
        super().do_store(records[::2])
        raise ServerError("503")


@pytest.mark.parametrize("seed", SEEDS)
def test_half_of_an_unknown_batch_is_shown_and_forgiven(seed: int) -> None:
    tally = simulate(Halving(seed), seed).account.tally
    assert tally.balances
    assert tally.partial > 0


class Landing(SimulatedServer):
    """Answers no insert in time at the first attempt, and serves it much later."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.late_keys: set[UUID] = set()

    async def store(self, records: Sequence[Record]) -> list[Record]:
        if records[0].uuid in self.late_keys:
            return await super().store(records)
        self.late_keys.add(records[0].uuid)
        await self.late(lambda: self.do_store(records))
        raise NotFound("unreachable")


@pytest.mark.parametrize("seed", SEEDS)
def test_what_lands_late_is_deleted_again_and_counted_apart(seed: int) -> None:
    tally = simulate(Landing(seed), seed, replace(OPTIONS, records=300)).account.tally
    assert tally.balances
    assert tally.resurrected == 0
    assert tally.late > 0
