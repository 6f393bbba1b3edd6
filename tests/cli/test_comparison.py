"""Two runs side by side."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netvision_cli.errors import UsageError
from netvision_cli.swarm.comparison import BETTER, NEUTRAL, NOISE, WORSE, changes, compare, outcome, read_summary
from netvision_cli.swarm.latency import Calls
from netvision_cli.swarm.noise import spread
from netvision_cli.swarm.snapshot import Snapshot
from tests.cli.commands import http_answer, invoke, netvision, raw_server
from tests.cli.test_panel import histogram, snapshot
from tests.cli.test_thresholds import SUMMARY
from tests.databases import on_sqlite


def rows_of(text: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for words in map(str.split, text.splitlines()) if words}


def test_changes_are_shown_in_per_cent() -> None:
    slower = SUMMARY["calls"]["insert"] | {"p50": 15.0, "p95": 4000.0, "errors": 0}
    rows = rows_of(compare(SUMMARY, SUMMARY | {"calls": SUMMARY["calls"] | {"insert": slower}}))
    assert rows["insert.p50"] == ["ms", "10", "15", "+50.0", "%", "worse"]
    assert rows["insert.p95"] == ["ms", "40", "4,000", "x", "100", "worse"]
    assert rows["insert.errors"] == ["1", "0", "-100.0", "%", "within", "the", "noise"]
    assert rows["deleted.rate"] == ["/s", "249.5", "249.5", "+0.0", "%"]


@pytest.mark.parametrize(
    ("name", "now", "noise", "expected"),
    [
        ("insert.p50", 12.0, 1.0, WORSE),
        ("insert.p50", 8.0, 1.0, BETTER),
        ("insert.p50", 12.0, 3.0, NOISE),
        ("insert.p50", 12.0, None, WORSE),
        ("insert.p50", 10.0, None, NEUTRAL),
        ("deleted.rate", 8.0, 1.0, WORSE),
        ("deleted.rate", 12.0, 1.0, BETTER),
        ("lost", 11.0, 0.0, WORSE),
        ("foreign", 11.0, 0.0, NEUTRAL),
        ("cpu", 9.0, None, BETTER),
    ],
)
def test_a_change_is_better_or_worse_or_within_the_noise(
    name: str, now: float, noise: float | None, expected: str
) -> None:
    assert outcome(name, 10.0, now, noise) == expected


def test_a_number_that_varies_within_each_run_has_changed_only_if_it_changed_by_more() -> None:
    summary = SUMMARY | {"spread": {"insert.p50": 3.0, "insert.p95": 3.0}}
    calls = SUMMARY["calls"]["insert"] | {"p50": 14.0, "p95": 45.0}
    found = {change.name: change.outcome for change in changes(summary, with_insert(summary, calls))}
    assert (found["insert.p50"], found["insert.p95"]) == (NOISE, WORSE)


def test_words_have_colors_and_an_unknown_noise_is_named() -> None:
    faster = SUMMARY["calls"]["insert"] | {"p50": 1.0}
    shown = compare(SUMMARY, with_insert(SUMMARY, faster), lambda text, style: f"<{style}>{text}</>")
    assert "-90.0 %  <bold green>better</>" in shown
    assert "too short to tell what is within the noise" in shown


def with_insert(summary: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
    return summary | {"calls": summary["calls"] | {"insert": figures}}


def seconds_of(durations: list[float]) -> list[Snapshot]:
    """Return the seconds of a run in which the insert of each second took so long."""
    moments = [snapshot(seconds=1.0)] * len(durations)
    return [
        replace(moment, until=float(n), calls={"insert": Calls(histogram(seconds))})
        for n, (moment, seconds) in enumerate(zip(moments, durations, strict=True))
    ]


def test_the_spread_of_a_steady_run_is_small_that_of_a_restless_one_is_not_and_a_short_one_has_none() -> None:
    steady, restless = spread(seconds_of([0.01] * 40)), spread(seconds_of([0.01, 0.03] * 5))
    assert steady["insert.p50"] == 0
    assert restless["insert.p50"] == pytest.approx(10, rel=0.02)
    assert spread(seconds_of([0.01, 0.03])) == {}


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


def test_what_an_earlier_run_wrote_is_escaped(tmp_path: Path) -> None:
    file = tmp_path / "earlier.jsonl"
    hostile = dict.fromkeys(("command", "client", "server", "machine", "verdict"), "\x1b[31mred\u202e")
    file.write_text(json.dumps({"summary": SUMMARY | hostile}))
    shown = compare(read_summary(file), SUMMARY)
    assert r"\x1b[31mred\u202e" in shown
    assert not {"\x1b", "\u202e"} & set(shown)


def test_what_a_server_calls_itself_is_escaped_in_the_summary() -> None:
    hostile = json.dumps({"status": "ready", "version": "\x1b[31m1", "database": "\u202ered"})

    def answer(request: bytes) -> bytes:
        ready = http_answer("200 OK", hostile)
        return ready if b"/health/ready" in request else http_answer("200 OK", "[]")

    with raw_server(answer) as server:
        done = invoke(server.url, "swarm", "--duration", "100ms", "--wait", "0s")
    assert r"netvision \x1b[31m1, \u202ered" in done.err
    assert not {"\x1b", "\u202e"} & set(done.err)
