"""The report: one page that loads nothing, escapes everything, and agrees with the other outputs of the same run."""

import json
import re
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from netvision_cli.swarm.history import History
from netvision_cli.swarm.lines import json_line, text_line
from netvision_cli.swarm.panel import Plan, panel
from netvision_cli.swarm.plots import format_number
from netvision_cli.swarm.report import events, report
from netvision_cli.swarm.result_file import ResultFile
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.summary import COLUMNS, RunInfo, cell_text, render, summarize
from netvision_cli.swarm.tally import MEANINGS, Tally
from netvision_cli.swarm.thresholds import Threshold, Verdict
from netvision_cli.swarm.workload import Workload
from tests.cli.commands import invoke, netvision
from tests.cli.simulation import OPTIONS, SimulatedServer, simulate
from tests.cli.summaries import summary_of
from tests.databases import on_sqlite

LOADING = ("src", "href", "srcset", "action", "data", "poster", "xlink:href", "background")
FAIL_IF = (Threshold.parse("delete.p99>1ms"), Threshold.parse("lost>0"))
NO_OUTAGES = {"count": 0, "total": 0.0, "longest": 0.0, "periods": []}
PACED = replace(OPTIONS, records=500, rate=100.0, fail_if=FAIL_IF)


class Page(HTMLParser):
    """A page that is well formed: its texts, its attributes, and the rows of its tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data


def run_info(**changes: Any) -> RunInfo:  # noqa: ANN401 - any field
    known = RunInfo(
        seed=7,
        command="netvision swarm",
        server=None,
        is_checked=True,
        outages=NO_OUTAGES,
        error_kinds={},
        spread={},
        busy_seconds=0.0,
    )
    return replace(known, **changes)


def run() -> tuple[Snapshot, dict[str, Any], list[Snapshot]]:
    """Simulate a run; return its last snapshot, its summary and its history."""
    workload: Workload = simulate(SimulatedServer(1, flakiness=0.05), 1, PACED)
    end = Snapshot.of(workload)
    history = History(replace(end.since(end), until=0.0))
    history.add(end)
    return end, summarize(end, run_info(), PACED.fail_if), history.intervals


def outages(error: str) -> dict[str, Any]:
    """Return what the summary holds of one outage, from the third to the fifth second."""
    period = {"at": "2026-01-02T03:04:05+00:00", "began": 2.0, "seconds": 3.0, "has_ended": True, "error": error}
    return {"count": 1, "total": 3.0, "longest": 3.0, "periods": [period]}


# --- agreement


def test_line_panel_summary_json_and_report_of_one_run_agree() -> None:
    end, summary, intervals = run()
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(panel(end, [], Plan(target="", seed=7)))
    screen = {words[0]: words[1:] for words in map(str.split, captured.get().replace("│", "").splitlines()) if words}
    text, page = render(summary), Page(report(summary, intervals))
    rows = {row[0]: row[1:] for row in page.rows}

    assert text_line(end, end.deleted, 1) == f"deleted {end.deleted} in 1 s, total {end.deleted}"
    assert json.loads(json_line(end, 0, 1))["total"] == summary["account"]["deleted"] == end.deleted
    assert screen["deleted"][0] == rows["deleted"][0] == f"{end.deleted:,}"
    for word, count in summary["account"].items():
        assert (f"{word} {count}" in text) or not count
        assert rows[word] == [f"{count:,}", MEANINGS[word]]
    for name, figures in (summary["calls"] | {"response": summary["response"]}).items():
        assert screen[name][1] == f"{figures['rate']:,.1f}"
        assert screen[name][2:6] == [format_number(figures[time]) for time in ("p50", "p95", "p99", "max")]
        cells = [cell_text(figures.get(column, "")) for column in COLUMNS]
        assert [cell.replace(",", "") for cell in rows[name]] == cells
        assert [name, *(cell or "-" for cell in cells)] in [line.split() for line in text.splitlines()]
    for judged in summary["thresholds"]:
        assert str(Verdict(**judged)) in text
        assert rows[judged["fail_if"]][1] == ("failed" if judged["missed"] else "passed")
    assert summary["verdict"] in text
    assert summary["verdict"] in page.texts


@on_sqlite
def test_a_report_of_a_real_run_agrees_with_its_json(service: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    done = netvision(service, "swarm", "--duration", "2s", "--rate", "100", "--json", "--report", str(path))
    summary, page = summary_of(done), Page(path.read_text())
    assert done.code == 0, done.err
    for name in ("verdict", "client", "server", "machine", "command"):
        assert summary[name] in page.texts
    assert f"report: {path.as_uri()}\n" in done.err
    assert "sqlite" in summary["server"]
    assert f"--seed {summary['seed']}" in summary["command"]
    assert {row[0] for row in page.rows} >= {"insert", "fetch", "delete", "response"}
    assert json.loads(done.lines[-2])["total"] == summary["account"]["deleted"]


def test_what_is_wrong_with_a_run_is_red_and_what_is_right_is_green() -> None:
    end, _, _ = run()
    harmed = replace(end, tally=Tally(created=3, deleted=2, lost=1, late=4))
    info = run_info(error_kinds={"timed out": 1, "not connected": 1234})
    shown = render(summarize(harmed, info, PACED.fail_if), lambda text, style: f"<{style}>{text}</>").splitlines()
    assert "<bold red>lost 1</>" in shown
    assert "late 4" in shown
    assert any(line.startswith("<bold red>The account does not balance") for line in shown)
    assert any(line.startswith("<bold red>✗ lost 1 > 0") for line in shown)
    assert "errors: 1,234 not connected, 1 timed out" in shown
    assert not any("resurrected" in line for line in shown)
    whole = render(summarize(end, run_info(), PACED.fail_if), lambda text, style: f"<{style}>{text}</>")
    assert "<bold green>Every record acknowledged" in whole
    assert "<bold green>✓ lost 0 ≤ 0</>" in whole


# --- the page


def test_a_report_loads_nothing_and_runs_nothing() -> None:
    _, summary, intervals = run()
    html = report(summary, intervals)
    page = Page(html)
    assert "script" not in page.tags
    assert not {"img", "link", "iframe", "image", "use"} & page.tags
    assert not [name for name, _ in page.attributes if name in LOADING or name.startswith("on")]
    assert not re.search(r"url\(|@import|https?://", html)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", '" onload="x', "</style><b>", "&amp;<!--", "]]>"])
def test_a_report_escapes_all_of_its_contents(nasty: str) -> None:
    end, _, intervals = run()
    info = run_info(command=nasty)
    summary = summarize(end, info) | {"server": nasty, "client": nasty, "machine": nasty, "verdict": nasty}
    plain_summary = summary | dict.fromkeys(("command", "server", "client", "machine", "verdict"), "x")
    plain = Page(report(plain_summary | {"outages": outages("x")}, intervals))
    page = Page(report(summary | {"outages": outages(nasty)}, intervals))
    assert page.tags == plain.tags
    assert {name for name, _ in page.attributes} == {name for name, _ in plain.attributes}
    assert nasty in page.texts


def test_a_server_that_was_away_is_an_event_in_the_report_and_a_line_of_the_summary() -> None:
    end, _, intervals = run()
    quiet = [replace(span, is_stopping=False) for span in intervals]
    summary = summarize(end, run_info(outages=outages("no server")))
    (event,) = events(summary, quiet)
    assert (event.start, event.end, event.name) == (2.0, 5.0, "no response: no server")
    assert ["2 s", "5 s", "no response: no server"] in Page(report(summary, quiet)).rows
    assert "1 outage, 3.0 s in total, the longest 3.0 s:\n  03:04:05 UTC, 3.0 s: no server\n" in render(summary)


@pytest.mark.parametrize(
    ("changes", "is_failed"),
    [
        ({}, False),
        ({"thresholds": [{"fail_if": "lost>0", "value": 1, "unit": "", "missed": True}]}, True),
        ({"balances": False}, True),
    ],
    ids=["passed", "threshold", "account"],
)
def test_the_header_shows_whether_the_run_failed(changes: dict[str, Any], is_failed: bool) -> None:  # noqa: FBT001
    _, summary, intervals = run()
    html = report(summary | {"thresholds": []} | changes, intervals)
    assert f'<header class="{"failed" if is_failed else "passed"}">' in html
    assert ("1 of 1 thresholds missed." in html) == ("thresholds" in changes)


def test_every_plot_has_a_label_its_heading_and_a_table_of_its_values() -> None:
    end, summary, _ = run()
    spans = [replace(end, until=float(n), seconds=1.0) for n in range(1, 241)]
    html = report(summary, spans)
    labels = re.findall(r'<svg [^>]*aria-label="([^"]+)"', html)
    sections = re.findall(r"<section><h[23]>([^<]+)</h[23]>", html)
    assert labels == sections
    assert len(labels) == html.count("<details>") + 1 >= 8
    longest = max(table.count("<tr>") for table in html.split("<details>")[1:])
    assert longest <= 61 + 20
    assert len(html) < 250_000


def test_the_comparison_with_an_earlier_run_is_in_the_report() -> None:
    _, summary, intervals = run()
    slower = summary["calls"]["insert"] | {"p50": 10 * summary["calls"]["insert"]["p50"]}
    earlier = summary | {"calls": summary["calls"] | {"insert": slower}, "command": "<earlier>"}
    page = Page(report(summary, intervals, earlier))
    rows = {row[0]: row[1:] for row in page.rows}
    assert rows["insert.p50 ms"][:2] == ["better", "-90.0 %"]
    assert rows["fetch.p50 ms"][:2] == ["", "+0.0 %"]
    assert "<earlier>" in page.texts


def test_a_run_in_which_nothing_happened_has_a_report() -> None:
    end, _, intervals = run()
    nothing = intervals[0].since(intervals[0])
    empty = replace(nothing, tally=Tally(), until=0.0)
    assert Page(report(summarize(empty, run_info(is_checked=False)), [empty])).rows
    assert Page(report(summarize(end, run_info()), [])).rows


def test_a_generator_that_was_the_bottleneck_is_reported_everywhere() -> None:
    end, _, intervals = run()
    summary = summarize(end, run_info(busy_seconds=end.seconds))
    assert "these numbers describe netvision" in render(summary)
    assert any("these numbers describe netvision" in text for text in Page(report(summary, intervals)).texts)
    assert summary["warning"]


@pytest.mark.parametrize("place", ["absent/report.html", "", "file/report.html"])
def test_a_report_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / place
    done = invoke("http://127.0.0.1:1", "swarm", "--wait", "1h", "--report", str(path))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"Error: cannot write to {path} (")


@pytest.mark.parametrize("held", [None, "", "the report of another run"])
def test_a_run_that_never_began_leaves_the_place_of_its_report_as_it_was(tmp_path: Path, held: str | None) -> None:
    path = tmp_path / "report.html"
    if held is not None:
        path.write_text(held)
    with pytest.raises(RuntimeError), closing(ResultFile(path)):
        raise RuntimeError
    assert (path.read_text() if path.exists() else None) == held


@pytest.mark.parametrize("held", ["", "a report that is longer than the next"])
def test_a_report_replaces_what_was_there(tmp_path: Path, held: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(held)
    with closing(ResultFile(path)) as file:
        assert path.read_text() == held
        file.write("short")
    assert path.read_text() == "short"


def test_a_new_report_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with closing(ResultFile(path)) as file:
        file.write("short")
    assert path.stat().st_mode & 0o777 == 0o600


@on_sqlite
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize(("fail_if", "code"), [("lost>0", 1), ("deleted>0", 99)])
def test_a_report_that_cannot_be_written_after_all_is_reported_after_a_threshold(
    service: str, fail_if: str, code: int
) -> None:
    done = netvision(service, "swarm", "--records", "20", "--report", "/dev/full", "--fail-if", fail_if)
    assert done.code == code
    assert "Every record acknowledged" in done.err
    assert done.err.count("Error: cannot write to /dev/full") == 1
