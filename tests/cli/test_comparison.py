"""Two runs side by side."""

import json
from pathlib import Path

import pytest

from netvision_cli.errors import UsageError
from netvision_cli.swarm.comparison import compare, read_summary
from tests.cli.commands import invoke, netvision
from tests.cli.test_thresholds import SUMMARY
from tests.databases import on_sqlite


def rows_of(text: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for words in map(str.split, text.splitlines()) if words}


def test_changes_are_shown_in_per_cent() -> None:
    slower = SUMMARY["calls"]["insert"] | {"p50": 15.0, "p95": 4000.0, "errors": 0}
    rows = rows_of(compare(SUMMARY, SUMMARY | {"calls": SUMMARY["calls"] | {"insert": slower}}))
    assert rows["insert.p50"] == ["ms", "10", "15", "+50.0", "%"]
    assert rows["insert.p95"] == ["ms", "40", "4,000", "x", "100"]
    assert rows["insert.errors"] == ["1", "0", "-100.0", "%"]
    assert rows["deleted.rate"] == ["/s", "249.5", "249.5", "+0.0", "%"]


def test_what_was_not_measured_in_one_of_two_runs_is_shown_for_the_other() -> None:
    with_rate = SUMMARY | {"response": SUMMARY["calls"]["insert"]}
    assert rows_of(compare(SUMMARY, with_rate))["response.p50"] == ["ms", "-", "10"]
    assert rows_of(compare(with_rate, SUMMARY))["response.p50"] == ["ms", "10", "-"]


def test_what_makes_two_runs_hard_to_compare_is_named() -> None:
    shown = compare(SUMMARY | {"machine": "one"}, SUMMARY | {"machine": "another"})
    assert "not the same machine: one, now another" in shown


@on_sqlite
def test_a_run_is_shown_beside_what_an_earlier_one_wrote(service: str, tmp_path: Path) -> None:
    old = tmp_path / "old.jsonl"
    old.write_text(netvision(service, "swarm", "--records", "30", "--json").out)
    done = netvision(service, "swarm", "--records", "60", "--compare", str(old))
    assert done.code == 0, done.err
    before = rows_of(done.err)["delete.p50"][1]
    assert float(before) == read_summary(old)["calls"]["delete"]["p50"]
    assert "not the same" not in done.err


@pytest.mark.parametrize("content", ["", "{}", "[]", "1", "nonsense", '{"summary": {}}', '{"deleted": 5}', "\xff"])
def test_a_file_without_a_summary_is_refused_at_once(tmp_path: Path, content: str) -> None:
    path = tmp_path / "old.jsonl"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match="--json"):
        read_summary(path)


@pytest.mark.parametrize(
    "number", ["1e999", "NaN", f"1{'0' * 400}", "null", "true.5", '"5"', '""', "[]", "[" * 100_000, "{}"]
)
def test_odd_numbers_are_refused_before_the_run(tmp_path: Path, number: str) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text(json.dumps({"summary": SUMMARY | {"errors": "ODD"}}).replace('"ODD"', number))
    done = invoke("http://127.0.0.1:1", "swarm", "--wait", "1h", "--compare", str(path))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


def test_a_file_that_is_not_there_is_refused_before_the_run(tmp_path: Path) -> None:
    done = invoke("http://127.0.0.1:1", "swarm", "--wait", "1h", "--compare", str(tmp_path / "absent"))
    assert (done.code, done.out) == (2, "")
