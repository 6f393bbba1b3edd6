"""The live screen: whole on a small terminal, and never in the way of a line of standard output."""

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console

from netvision_cli.swarm.latency import Calls, Histogram
from netvision_cli.swarm.panel import panel, sparkline
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.tally import Tally
from tests.cli.terminals import COLUMNS, ROWS, Terminal, run_on, terminal
from tests.databases import on_sqlite

BRIEF = ("swarm", "--interval", "300ms", "--duration", "2s", "--backlog", "100", "--batch", "5:20")
LINE = re.compile(r"deleted (\d+) in (\d+(?:\.\d+)?) s, total (\d+)")
ESCAPE = b"\x1b"
NOTHING = Tally()


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
        is_stopping=False,
    )


def drawn(now: Snapshot, minute: list[Snapshot]) -> list[str]:
    console = Console(width=COLUMNS, height=ROWS, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(panel(now, minute))
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
    assert (ESCAPE in said, "waiting" in said.decode()) == (err_is_terminal, err_is_terminal)
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


def test_the_panel_is_whole_at_80_by_24_however_large_its_numbers() -> None:
    tally = Tally(*range(12_345_670, 12_345_682))
    reason = "no server at http://127.0.0.1:8000 (connection refused). Start one: netvision-api serve"
    minute = [snapshot(tally, seconds=1.0, cpu=0.99)] * 60
    shown = drawn(snapshot(tally, seconds=360_000, outage=reason, cpu=0.99), minute)
    text = " ".join(" ".join(line.strip("│ ") for line in shown).split())
    assert len(shown) < ROWS
    assert max(map(len, shown)) <= COLUMNS - 2
    assert "…" not in text
    assert reason in text
    for word in ("deleted", "created", "waiting", "retried", "lost", "resurrected", "corrupt", "duplicated", "late"):
        assert word in text
    for word in ("insert", "fetch", "delete", "response", "now/s", "avg/s", "p50", "p95", "p99", "max", "errors"):
        assert word in text
    assert "█" * 60 in text
    assert "these numbers describe netvision" in text


def test_the_panel_can_be_drawn_before_anything_has_happened() -> None:
    nothing = replace(snapshot(seconds=0.0), calls={"insert": Calls()}, response_times=None)
    assert any("insert" in line for line in drawn(nothing, []))


@pytest.mark.parametrize("width", [1, 2, 3, 10, 40, 200])
def test_the_panel_fits_a_terminal_of_any_width(width: int) -> None:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(panel(snapshot(), [snapshot()] * 60, width))
    assert max(map(len, captured.get().splitlines())) <= width


def test_a_server_cannot_drive_the_panel_with_markup() -> None:
    assert any("[red]x[/]" in line for line in drawn(snapshot(outage="[red]x[/]"), []))


def test_a_sparkline_is_as_high_as_its_highest_number() -> None:
    assert sparkline([0, 5, 10]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""
