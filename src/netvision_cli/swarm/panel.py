"""The live panel: the state of a run at this moment, on standard error, below the lines; it fits 80 by 24."""

import asyncio
import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import reduce

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from netvision_cli.swarm.history import BUSY_SHARE, History
from netvision_cli.swarm.latency import CALL_KINDS, MAIN_TIMES
from netvision_cli.swarm.plots import format_number
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.tally import FIELDS_BY_ROLE, Role
from netvision_cli.swarm.workload import Workload

REFRESH_SECONDS = 0.5
WIDTH = 78
ROOM_FOR_ECHO = 2
"""Columns kept free for the echo of ^C: if it wrapped the last line of the panel, everything would move."""

NOW_SECONDS = 3
"""How many of the last seconds count as *now*."""

BARS = "▁▂▃▄▅▆▇█"
HARMS = FIELDS_BY_ROLE[Role.HARM]


class Screen:
    """The panel on a terminal; anything else that is printed has to hide it first."""

    def __init__(self, workload: Workload, history: History) -> None:
        self.workload = workload
        self.history = history
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
            width = min(WIDTH, max(1, self.console.width - ROOM_FOR_ECHO))
            self.live.update(panel(Snapshot.of(self.workload), self.history.minute, width), refresh=True)


def panel(now: Snapshot, minute: Sequence[Snapshot], width: int = WIDTH) -> RenderableType:
    """Lay out the numbers of a run and of its last minute, second by second."""
    recent = reduce(Snapshot.merged, list(minute)[-NOW_SECONDS:]) if minute else now
    bars = Text(sparkline([second.rate(second.deleted) for second in minute]), style="cyan", no_wrap=True)
    rows = (counts(now), harms(now), Text(), speed(now, recent), bars, Text(), calls(now, recent), Text())
    title = f"netvision swarm, {timedelta(seconds=int(now.until))}"
    return Panel(Group(*rows, *state(now, recent)), title=title, title_align="left", width=width, box=ROUNDED)


def counts(now: Snapshot) -> Text:
    """Show how much was done."""
    named = {"deleted": now.deleted, "created": now.tally.created, "waiting": now.outstanding, "retried": now.retries}
    return words(named, strong={"deleted"})


def speed(now: Snapshot, recent: Snapshot) -> Text:
    """Show how many records are deleted per second."""
    text = Text.assemble(("rate ", "dim"), (f"{recent.rate(recent.deleted):,.1f}/s now", "bold"), no_wrap=True)
    return text.append(f"   {now.rate(now.deleted):,.1f}/s since the start", style="dim")


def sparkline(values: Sequence[float]) -> str:
    """Draw numbers as bars, scaled to the highest."""
    top = max(values, default=0.0) or 1.0
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in values)


def harms(now: Snapshot) -> Text:
    """Show the harm that the account has found, and the late inserts."""
    named = {name: getattr(now.tally, name) for name in (*HARMS, "late")}
    return words(named, alarming={name for name in HARMS if named[name]})


def words(named: dict[str, int], strong: Container[str] = (), alarming: Container[str] = ()) -> Text:
    """Write numbers with their names."""
    text = Text()
    for name, number in named.items():
        style = "bold red" if name in alarming else "bold green" if name in strong else ""
        text.append(f"{name} ", style=style or "dim").append(f"{number:,}", style=style).append("   ")
    return text


def calls(now: Snapshot, recent: Snapshot) -> Table:
    """Tabulate the calls: their present rate, and since the start their rate and durations, in milliseconds."""
    table = Table(box=None, expand=True, padding=(0, 0), header_style="dim", show_edge=False)
    table.add_column("ms", no_wrap=True)
    for heading in ("now/s", "avg/s", *MAIN_TIMES):
        table.add_column(heading, justify="right", no_wrap=True, ratio=1)
    table.add_column("errors", justify="right", no_wrap=True, min_width=10)
    for name, figures in now.figures().items():
        errors = f"{figures['errors']:,}" if name in CALL_KINDS else ""
        now_rate = f"{recent.rate(recent.timed[name].durations.count):,.1f}"
        times = (format_number(figures[time]) for time in MAIN_TIMES)
        table.add_row(name, now_rate, f"{figures['rate']:,.1f}", *times, errors)
    return table


def state(now: Snapshot, recent: Snapshot) -> Iterator[Text]:
    """Show what the swarm is doing or waiting for, and how busy its own process is."""
    busy = Text(f"own cpu {recent.cpu:.0%} of a core", style="dim")
    if recent.cpu > BUSY_SHARE:
        busy = Text(f"{busy}: these numbers describe netvision, not the server", style="bold yellow")
    yield busy
    if now.outage:
        yield Text(f"waiting for the server: {now.outage}", style="bold yellow")
    else:
        yield Text("deleting what remains" if now.is_stopping else "running", style="dim")
