"""The live panel: the state of a run at this moment, on standard error, below the lines; it fits any terminal."""

import asyncio
import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import NamedTuple, Self

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from netvision_cli.swarm.history import BUSY_SHARE, MINUTE, History
from netvision_cli.swarm.latency import CALL_KINDS, TIMES, TIMES_BY_IMPORTANCE
from netvision_cli.swarm.plots import format_number
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.tally import FIELDS_BY_ROLE, Role
from netvision_cli.swarm.workload import Workload

REFRESH_SECONDS = 0.5
ROOM_FOR_ECHO = 2
"""Columns kept free for the echo of ^C: if it wrapped the last line of the panel, everything would move."""

ROOM_FOR_LINES = 2
"""Rows kept free for the line above the panel and the cursor below it."""

TITLE = "netvision swarm"
FRAME_COLUMNS, FRAME_ROWS = 4, 2
NAME_WIDTH, COLUMN_WIDTH = 8, 9
MANY = 1_000_000
COLUMNS_BY_IMPORTANCE = (
    "now/s",
    *TIMES_BY_IMPORTANCE[:2],
    "errors",
    *TIMES_BY_IMPORTANCE[2:4],
    "avg/s",
    *TIMES_BY_IMPORTANCE[4:],
    "retries",
    "count",
)
COLUMNS = ("now/s", "avg/s", *TIMES, "errors", "retries", "count")

NOW_SECONDS = 3
"""How many of the last seconds count as *now*."""

LATE_SECONDS = 0.5
BARS = "▁▂▃▄▅▆▇█"
HARMS = FIELDS_BY_ROLE[Role.HARM]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is known of a run before it begins."""

    target: str
    seed: int
    duration: float | None = None
    records: int | None = None
    rate: float | None = None
    backlog: int = 0

    @classmethod
    def of(cls, target: str, workload: Workload) -> Self:
        """Return the plan of a workload."""
        options = workload.options
        return cls(
            target=target,
            seed=workload.seed,
            duration=options.duration,
            records=options.records,
            rate=options.rate,
            backlog=options.backlog,
        )


class Row(NamedTuple):
    """A part of the panel."""

    content: RenderableType
    importance: int
    """The least important rows are left out if there is no room."""

    height: int = 1


class Screen:
    """The panel on a terminal; anything else that is printed has to hide it first."""

    def __init__(self, workload: Workload, history: History, target: str) -> None:
        self.workload = workload
        self.history = history
        self.plan = Plan.of(target, workload)
        self.console = Console(stderr=True)
        self.live: Live | None = None
        self.is_usable = sys.stderr.isatty() and not self.console.is_dumb_terminal
        """Whether standard error is a terminal that can move its cursor."""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the panel for a while, if the terminal is usable."""
        if not self.is_usable:
            yield
            return
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """Draw the panel below what has been printed; standard output is not redirected."""
        self.live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)
        self.live.start()
        self.draw()

    def end(self) -> None:
        """Remove the panel; it is emptied first, or a terminal of few lines would keep a part of it."""
        if self.live:
            self.live.update(Text(), refresh=True)
            self.live.stop()
            self.live = None

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the panel while something is printed."""
        was_shown = self.live is not None
        self.end()
        try:
            yield
        finally:
            if was_shown:
                self.begin()

    async def refresh(self) -> None:
        """Redraw the panel until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            self.draw()

    def draw(self) -> None:
        """Draw the panel as of now."""
        if self.live:
            width, height = self.console.size
            room = max(1, width - ROOM_FOR_ECHO), max(1, height - ROOM_FOR_LINES)
            now = Snapshot.of(self.workload)
            self.live.update(panel(now, self.history.minute, self.plan, *room), refresh=True)


def panel(now: Snapshot, minute: Sequence[Snapshot], plan: Plan, width: int = 78, height: int = 22) -> RenderableType:
    """Lay out the numbers of a run and of its last minute, second by second, in a number of columns and rows."""
    recent = reduce(Snapshot.merged, list(minute)[-NOW_SECONDS:]) if minute else now
    room = max(1, width - FRAME_COLUMNS)
    rows = fitting(list(rows_of(now, recent, minute, plan, (room, height - FRAME_ROWS))), height - FRAME_ROWS)
    title = TITLE if room > len(TITLE) else None
    content = Group(*(row.content for row in rows))
    return Panel(content, title=title, title_align="left", width=width, box=ROUNDED)


def rows_of(
    now: Snapshot, recent: Snapshot, minute: Sequence[Snapshot], plan: Plan, size: tuple[int, int]
) -> Iterator[Row]:
    """Yield the rows of the panel from the top, each with its importance."""
    width, height = size
    yield Row(one_line(f"{plan.target}   seed {plan.seed}", style="dim"), 4)
    yield Row(progress(now, plan, width), 8)
    yield Row(Text(), 1)
    yield Row(counts(now), 9)
    yield Row(stored(now, plan), 8)
    yield Row(harms(now), 7)
    yield Row(speed(now, recent), 6)
    yield Row(one_line(chart(minute, width), style="cyan"), 3)
    yield Row(Text(), 0)
    yield Row(calls(now, recent, width), 5, height=1 + len(now.timed))
    yield Row(Text(), 0)
    yield Row(busy(recent), 6 if recent.cpu > BUSY_SHARE else 2)
    lines = state(now).wrap(Console(width=width), width)[: max(1, height)]
    yield Row(Group(*lines), 10, height=len(lines))


def fitting(rows: list[Row], height: int) -> list[Row]:
    """Leave out the least important rows until the others fit; the most important one stays in any case."""
    while len(rows) > 1 and sum(row.height for row in rows) > height:
        rows.remove(min(rows, key=lambda row: row.importance))
    return rows


def one_line(text: str, style: str = "") -> Text:
    """Write a text that is cut at the end of the line."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def progress(now: Snapshot, plan: Plan, width: int) -> Text:
    """Show the elapsed time and, if the end is known, how far it is."""
    elapsed = timedelta(seconds=int(now.until))
    done, end = now.until, plan.duration
    text, share = f"{elapsed}", 0.0
    if end is not None:
        text, share = f"{elapsed} of {timedelta(seconds=int(end))}", done / end
    elif plan.records is not None:
        text, share = f"{elapsed}, {now.tally.created:,} of {plan.records:,} records", now.tally.created / plan.records
    line = one_line(f"{text}  ")
    room = width - len(line)
    if room > 0 and (end is not None or plan.records is not None):
        filled = round(min(1.0, share) * room)
        line.append("━" * filled, style="green").append("─" * (room - filled), style="dim")
    return line


def counts(now: Snapshot) -> Text:
    """Show how much was done."""
    retried = {"retried": now.retries} if now.retries else {}
    return words({"deleted": now.deleted, "created": now.tally.created, **retried}, strong={"deleted"})


def stored(now: Snapshot, plan: Plan) -> Text:
    """Show how many records are stored, beside the bound at which producers wait, and how late producers are."""
    text = one_line("")
    text.append("stored now ", style="dim").append(f"{now.outstanding:,}")
    if plan.backlog:
        text.append(f" (backlog {plan.backlog:,})", style="dim")
    if now.lag is not None and not now.is_stopping:
        text.append(f"   {now.lag:.1f} s behind --rate", style="bold yellow" if now.lag >= LATE_SECONDS else "dim")
    return text


def speed(now: Snapshot, recent: Snapshot) -> Text:
    """Show how many records are deleted per second; requests are more, since some deletions are requested twice."""
    text = one_line("").append(f"{recent.rate(recent.deleted):,.1f} records/s", style="bold")
    return text.append(f" deleted now   {now.rate(now.deleted):,.1f} since the start", style="dim")


def chart(minute: Sequence[Snapshot], width: int) -> str:
    """Draw the deletions per second of the last minute, as wide as there is room."""
    bars = sparkline([second.rate(second.deleted) for second in minute])
    if width < MINUTE:
        return bars[-width:]
    return "".join(bars[column * MINUTE // width] for column in range(len(bars) * width // MINUTE))


def sparkline(values: Sequence[float]) -> str:
    """Draw numbers as bars, scaled to the highest."""
    top = max(values, default=0.0) or 1.0
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in values)


def harms(now: Snapshot) -> Text:
    """Show the harm that the account has found, and the late inserts; what is zero is not listed."""
    found = {name: getattr(now.tally, name) for name in HARMS if getattr(now.tally, name)}
    text = words(found, alarming=found) if found else one_line("no record harmed   ", style="dim")
    return text.append_text(words({"late": now.tally.late} if now.tally.late else {}))


def words(named: dict[str, int], strong: Container[str] = (), alarming: Container[str] = ()) -> Text:
    """Write numbers with their names."""
    text = one_line("")
    for name, number in named.items():
        style = "bold red" if name in alarming else "bold green" if name in strong else ""
        text.append(f"{name} ", style=style or "dim").append(f"{number:,}", style=style).append("   ")
    return text


def calls(now: Snapshot, recent: Snapshot, width: int) -> Table:
    """Tabulate the requests: their present rate, and since the start their rate and durations, in milliseconds."""
    room = max(1, (width - NAME_WIDTH) // COLUMN_WIDTH)
    shown = [column for column in COLUMNS if column in COLUMNS_BY_IMPORTANCE[:room]]
    table = Table(box=None, expand=True, padding=(0, 0), header_style="dim", show_edge=False)
    table.add_column("requests", no_wrap=True, min_width=NAME_WIDTH)
    for heading in shown:
        label = f"{heading} ms" if heading in TIMES else heading
        table.add_column(label, justify="right", no_wrap=True, ratio=1)
    for name, figures in now.figures().items():
        cells = {column: format_number(figures[column]) for column in TIMES}
        cells["now/s"] = f"{recent.rate(recent.timed[name].durations.count):,.1f}"
        cells["avg/s"] = f"{figures['rate']:,.1f}"
        cells |= {column: whole(figures[column]) if name in CALL_KINDS else "" for column in ("errors", "retries")}
        cells["count"] = whole(figures["count"])
        table.add_row(name, *(cells[column] for column in shown))
    return table


def whole(number: float) -> str:
    """Write a number of calls in few characters."""
    return f"{number:,}" if number < MANY else f"{number / MANY:,.1f}M"


def busy(recent: Snapshot) -> Text:
    """Show how busy this process is."""
    text = f"own cpu {recent.cpu:.0%} of a core"
    if recent.cpu > BUSY_SHARE:
        return one_line(f"{text}: these numbers describe netvision, not the server", style="bold yellow")
    return one_line(text, style="dim")


def state(now: Snapshot) -> Text:
    """Show what the swarm is doing, or waiting for, and how to stop it."""
    if now.outage:
        return Text(f"waiting for the server: {now.outage}", style="bold yellow")
    if now.is_stopping:
        return one_line("deleting what remains, then checking the account", style="dim")
    return one_line("running; Ctrl-C to stop", style="dim")
