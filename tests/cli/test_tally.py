"""The words of the account and the percentiles: defined once, shown everywhere."""

import ast
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from netvision_cli import swarm
from netvision_cli.swarm.latency import PERCENTILES
from netvision_cli.swarm.tally import ACCOUNT_FIELDS, FIELDS_BY_ROLE, MEANINGS, Role, Tally

FOLDER = Path(swarm.__path__[0])
KEYS_OF_JSON_LINES = {"created", "deleted"}
"""They are also the names of rates and of samples."""


def literals(path: Path) -> Iterator[str]:
    """Yield every string literal of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_no_other_module_lists_the_words_of_the_account_or_the_percentiles(path: Path) -> None:
    words = set(literals(path))
    assert len(words & (set(ACCOUNT_FIELDS) - KEYS_OF_JSON_LINES)) <= 1
    assert path.stem == "latency" or not words & set(PERCENTILES)


def test_every_number_has_a_meaning_and_one_role() -> None:
    assert all(MEANINGS[name] for name in ACCOUNT_FIELDS)
    assert sorted(name for names in FIELDS_BY_ROLE.values() for name in names) == sorted(ACCOUNT_FIELDS)


@pytest.mark.parametrize("name", FIELDS_BY_ROLE[Role.HARM])
def test_any_harm_spoils_the_balance(name: str) -> None:
    assert Tally(created=1, deleted=1).balances
    assert not Tally(**{"created": 1, "deleted": 1, name: 1}).balances


@pytest.mark.parametrize("name", FIELDS_BY_ROLE[Role.NOTE])
def test_no_note_spoils_the_balance(name: str) -> None:
    assert Tally(**{"created": 1, "deleted": 1, name: 1}).balances


@pytest.mark.parametrize("name", FIELDS_BY_ROLE[Role.FATE])
def test_each_fate_accounts_for_one_record(name: str) -> None:
    assert Tally(**{"recovered": 1, name: 1}).balances
    assert not Tally(**{name: 1}).balances


def test_merging_undoes_the_difference() -> None:
    earlier, now = Tally(*range(len(ACCOUNT_FIELDS))), Tally(*range(5, 5 + len(ACCOUNT_FIELDS)))
    assert astuple(now.since(earlier)) == (5,) * len(ACCOUNT_FIELDS)
    assert now.since(earlier).merged(earlier) == now
