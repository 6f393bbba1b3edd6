"""The long runs, in short: the swarm's account balances after a few of each of the main faults."""

from pathlib import Path

import pytest

from tests.faults.cycles import FAULTS, run
from tests.faults.postgresql import PostgresqlServer

BY_NAME = {fault.name: fault for fault in FAULTS}
SEED, CYCLES = 1, 1
SMALL = ("--backlog", "200")


@pytest.mark.parametrize(
    ("fault", "database"), [("kill -9 of the service", "SQLite"), ("crash of PostgreSQL", "PostgreSQL")]
)
def test_every_record_acknowledged_is_kept_until_it_is_deleted_once_while_things_break(
    crashable: PostgresqlServer, tmp_path: Path, fault: str, database: str
) -> None:
    server = crashable if database == "PostgreSQL" else None
    result = run(BY_NAME[fault], CYCLES, server, tmp_path, SEED, *SMALL)
    print(result.row())
    assert result.is_good
    assert result.account["created"] > 0
