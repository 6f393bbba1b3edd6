"""The live screen: whole on a small terminal, and never in the way of a line of standard output."""

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console

from netvision_cli.swarm.latency import Calls, Histogram
from netvision_cli.swarm.panel import Plan, panel, sparkline
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.tally import Tally
from tests.cli.terminals import COLUMNS, ROWS, Terminal, run_on, terminal
from tests.databases import on_sqlite

BRIEF = ("swarm", "--interval", "300ms", "--duration", "2s", "--backlog", "100", "--batch", "5:20")
LINE = re.compile(r"deleted (\d+) in (\d+(?:\.\d+)?) s, total (\d+)")
ESCAPE = b"\x1b"
NOTHING = Tally()
PLAN = Plan(target="http://127.0.0.1:8000", seed=4242, duration=3600.0, rate=300.0, backlog=1000)
REASON = "no server at http://127.0.0.1:8000 (connection refused). Start one: netvision-api serve"


def histogram(*durations: float) -> Histogram:
    made = Histogram()
    for seconds in durations:
        made.add(seconds)
    return made


def snapshot(tally: Tally = NOTHING, seconds: float = 100.0, outage: str = "", cpu: float = 0.5) -> Snapshot:
    durations = histogram(0.000_123, 0.0123, 1.23, 123.0)
    calls = {name: Calls(durations, errors=12_345_678) for name in ("insert", "fetch", "delete")}
    return Snapshot(
        until=seconds,
        seconds=seconds,
        cpu_seconds=cpu * seconds,
        tally=tally,
        calls=calls,
        response_times=Calls(durations),
        outstanding=100_000,
        outage=outage,
        lag=1.5,
        is_stopping=False,
    )


def drawn(
    now: Snapshot, minute: list[Snapshot], width: int = COLUMNS - 2, height: int = ROWS - 2, plan: Plan = PLAN
) -> list[str]:
    console = Console(width=width + 2, height=height + 2, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(panel(now, minute, plan, width, height))
    return captured.get().splitlines()


def lines_in(shown: list[str]) -> list[str]:
    return [line for line in shown if LINE.fullmatch(line)]


def are_whole(lines: list[str]) -> bool:
    """Return whether no line is missing: each total is the sum so far."""
    total = 0
    for match in map(LINE.fullmatch, lines):
        assert match, lines
        total += int(match[1])
        assert int(match[3]) == total, lines
    return total > 0


# --- lines and panel on terminals and files


@on_sqlite
@pytest.mark.parametrize("err_is_terminal", [True, False], ids=["err-terminal", "err-file"])
@pytest.mark.parametrize("out_is_terminal", [True, False], ids=["out-terminal", "out-file"])
def test_no_line_is_lost_or_spoiled_whichever_stream_is_a_terminal(
    service: str,
    tmp_path: Path,
    out_is_terminal: bool,  # noqa: FBT001
    err_is_terminal: bool,  # noqa: FBT001
) -> None:
    def opened(name: str, *, is_terminal: bool) -> Terminal | IO[bytes]:
        if is_terminal:
            return stack.enter_context(terminal())
        return stack.enter_context((tmp_path / name).open("wb"))

    with ExitStack() as stack:
        out = opened("out", is_terminal=out_is_terminal)
        err = opened("err", is_terminal=err_is_terminal)
        assert run_on(file_of(out), file_of(err), service, *BRIEF) == 0
    data = out.written.replace(b"\r\n", b"\n") if isinstance(out, Terminal) else (tmp_path / "out").read_bytes()
    said = err.written if isinstance(err, Terminal) else (tmp_path / "err").read_bytes()
    assert are_whole(data.decode().splitlines())
    assert (ESCAPE in said, "stored now" in said.decode()) == (err_is_terminal, err_is_terminal)
    assert b"Every record acknowledged" in said


def file_of(stream: Terminal | IO[bytes]) -> IO[bytes]:
    return stream.file if isinstance(stream, Terminal) else stream


@on_sqlite
def test_on_one_terminal_the_lines_scroll_above_the_panel_which_leaves_no_trace(service: str) -> None:
    with terminal() as both:
        assert run_on(both.file, both.file, service, *BRIEF) == 0
    seen = both.seen()
    assert are_whole(lines_in(seen))
    assert len(lines_in(seen)) >= 6
    assert "own cpu" in both.written.decode()
    assert not [line for line in seen if "─" in line or "own cpu" in line]


@on_sqlite
def test_a_long_line_in_json_is_not_wrapped_by_us(service: str) -> None:
    with terminal() as out, terminal() as err:
        assert run_on(out.file, err.file, service, *BRIEF, "--json") == 0
    lines = out.written.replace(b"\r\n", b"\n").splitlines()
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in lines)


@on_sqlite
@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_no_panel(service: str, kind: str) -> None:
    with terminal() as both:
        assert run_on(both.file, both.file, service, *BRIEF, TERM=kind) == 0
    assert ESCAPE not in both.written
    assert are_whole(lines_in(both.seen()))


def test_the_panel_shows_what_it_waits_for() -> None:
    with terminal() as both:
        assert run_on(both.file, both.file, "http://127.0.0.1:1", "swarm", "--wait", "1s") == 3
    assert "waiting for the server: no server at http://127.0.0.1:1" in both.written.decode()


# --- the panel


def content_of(shown: list[str]) -> str:
    return " ".join(" ".join(line.strip("│ ") for line in shown).split())


def test_the_panel_is_whole_at_80_by_24_however_large_its_numbers() -> None:
    tally = Tally(*range(12_345_670, 12_345_682))
    minute = [snapshot(tally, seconds=1.0, cpu=0.99)] * 60
    shown = drawn(snapshot(tally, seconds=360_000, outage=REASON, cpu=0.99), minute)
    text = content_of(shown)
    assert len(shown) < ROWS
    assert max(map(len, shown)) <= COLUMNS - 2
    assert REASON in text
    for word in ("deleted", "created", "stored now 100,000 (backlog 1,000)", "lost", "resurrected", "corrupt"):
        assert word in text
    for word in ("insert", "fetch", "delete", "response", "now/s", "avg/s", "p50", "p95", "p99", "max", "errors"):
        assert word in text
    for word in ("http://127.0.0.1:8000", "seed 4242", "of 1:00:00", "1.5 s behind --rate"):
        assert word in text
    assert "█" * 74 in text
    assert "these numbers describe netvision" in text


def test_the_panel_says_how_to_stop_and_does_not_list_what_did_not_happen() -> None:
    text = content_of(drawn(snapshot(), []))
    assert "Ctrl-C to stop" in text
    assert "no record harmed" in text
    assert "resurrected" not in text
    assert "late" not in text


def test_the_panel_can_be_drawn_before_anything_has_happened() -> None:
    nothing = replace(snapshot(seconds=0.0), calls={"insert": Calls()}, response_times=None)
    assert any("insert" in line for line in drawn(nothing, []))


@pytest.mark.parametrize("outage", ["", REASON], ids=["running", "waiting"])
@pytest.mark.parametrize("height", [3, 8, 10, 24])
@pytest.mark.parametrize("width", [10, 40, 58, 78, 118, 198])
def test_the_panel_fits_a_terminal_of_any_size_with_whole_rows(width: int, height: int, outage: str) -> None:
    shown = drawn(snapshot(outage=outage), [snapshot()] * 60, width, height)
    assert {len(line) for line in shown} == {width}
    assert all(line[0] + line[-1] in {"╭╮", "││", "╰╯"} for line in shown)
    assert len(shown) <= height


def test_on_a_small_terminal_what_the_swarm_waits_for_stays() -> None:
    shown = drawn(snapshot(outage=REASON), [snapshot()] * 60, width=58, height=8)
    assert REASON in content_of(shown)
    assert "deleted 0" in content_of(shown)
    assert len(shown) == 8


def test_a_wide_terminal_is_used() -> None:
    shown = drawn(snapshot(), [snapshot(seconds=1.0)] * 60, width=198)
    for column in ("p99.9", "retries", "count", "p95"):
        assert any(column in line for line in shown)
    assert any("▁" * 194 in line for line in shown)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (replace(PLAN, duration=200.0), "0:01:40 of 0:03:20"),
        (replace(PLAN, duration=None, records=20), "0:01:40, 10 of 20 records"),
    ],
    ids=["duration", "records"],
)
def test_a_bar_shows_how_far_a_run_is(plan: Plan, expected: str) -> None:
    (row,) = [line for line in drawn(snapshot(Tally(created=10)), [], plan=plan) if expected in line]
    assert abs(row.count("━") - row.count("─")) <= 1


def test_a_server_cannot_drive_the_panel_with_markup() -> None:
    assert any("[red]x[/]" in line for line in drawn(snapshot(outage="[red]x[/]"), []))


def test_a_sparkline_is_as_high_as_its_highest_number() -> None:
    assert sparkline([0, 5, 10]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""
