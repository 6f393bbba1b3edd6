"""The live screen: what a run holds at this moment. On standard error, below the lines; whole at 80 by 24."""

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
from netvision_cli.swarm.plots import figure
from netvision_cli.swarm.snapshot import Snapshot, take
from netvision_cli.swarm.workload import Workload

REFRESH_SECONDS = 0.5
WIDTH = 78
ROOM_FOR_ECHO = 2
"""Columns left free: a ^C that a full last line of the panel pushed to the next one would move everything."""

NOW_SECONDS = 3
"""How many of the last seconds are *now*."""

BARS = "▁▂▃▄▅▆▇█"
TIMES = ("p50", "p95", "p99", "max")
HARMS = ("lost", "resurrected", "corrupt", "doubled")
COUNTED_ERRORS = ("insert", "fetch", "delete")


class Screen:
    """The panel on a terminal; whatever else is printed has to put it aside."""

    def __init__(self, workload: Workload, history: History) -> None:
        """Look at a run."""
        self.workload = workload
        self.history = history
        self.console = Console(stderr=True)
        self.live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the panel for a while, if standard error is a terminal that can move its cursor."""
        if not sys.stderr.isatty() or self.console.is_dumb_terminal:
            yield
            return
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """Draw the panel below what is printed already; standard output is not touched, wherever it goes."""
        self.live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)
        self.live.start()
        self.draw()

    def end(self) -> None:
        """Take the panel off the screen; it is emptied first, or a low terminal would keep a part of it."""
        if self.live:
            self.live.update(Text(), refresh=True)
            self.live.stop()
            self.live = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the panel off the screen while something is printed."""
        was_shown = self.live is not None
        self.end()
        try:
            yield
        finally:
            if was_shown:
                self.begin()

    async def refresh(self) -> None:
        """Draw the panel anew again and again."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            self.draw()

    def draw(self) -> None:
        """Draw the panel as things are now."""
        if self.live:
            width = min(WIDTH, max(1, self.console.width - ROOM_FOR_ECHO))
            self.live.update(panel(take(self.workload), self.history.minute, width), refresh=True)


def panel(now: Snapshot, minute: Sequence[Snapshot], width: int = WIDTH) -> RenderableType:
    """Lay out the figures of a run and of its last minute, second by second."""
    lately = reduce(Snapshot.joined, list(minute)[-NOW_SECONDS:]) if minute else now
    bars = Text(sparkline([second.rate(second.deleted) for second in minute]), style="cyan", no_wrap=True)
    rows = (counts(now), harms(now), Text(), speed(now, lately), bars, Text(), calls(now, lately), Text())
    title = f"netvision swarm, {timedelta(seconds=int(now.until))}"
    return Panel(Group(*rows, *state(now, lately)), title=title, title_align="left", width=width, box=ROUNDED)


def counts(now: Snapshot) -> Text:
    """Say how much was done."""
    named = {"deleted": now.deleted, "created": now.tally.created, "waiting": now.waiting, "retried": now.retries}
    return words(named, strong={"deleted"})


def speed(now: Snapshot, lately: Snapshot) -> Text:
    """Say how many records are deleted per second."""
    text = Text.assemble(("rate ", "dim"), (f"{lately.rate(lately.deleted):,.1f}/s now", "bold"), no_wrap=True)
    return text.append(f"   {now.rate(now.deleted):,.1f}/s since the start", style="dim")


def sparkline(values: Sequence[float]) -> str:
    """Draw numbers as bars, the highest as high as can be."""
    top = max(values, default=0.0) or 1.0
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in values)


def harms(now: Snapshot) -> Text:
    """Say what the account holds against the server."""
    named = {name: getattr(now.tally, name) for name in (*HARMS, "late")}
    return words(named, alarming={name for name in HARMS if named[name]})


def words(named: dict[str, int], strong: Container[str] = (), alarming: Container[str] = ()) -> Text:
    """Write numbers with their names."""
    text = Text()
    for name, number in named.items():
        style = "bold red" if name in alarming else "bold green" if name in strong else ""
        text.append(f"{name} ", style=style or "dim").append(f"{number:,}", style=style).append("   ")
    return text


def calls(now: Snapshot, lately: Snapshot) -> Table:
    """Tabulate the calls: how many now, and since the start how many and how fast, in milliseconds."""
    table = Table(box=None, expand=True, padding=(0, 0), header_style="dim", show_edge=False)
    table.add_column("ms", no_wrap=True)
    for heading in ("now/s", "avg/s", *TIMES):
        table.add_column(heading, justify="right", no_wrap=True, ratio=1)
    table.add_column("errors", justify="right", no_wrap=True, min_width=10)
    for name, figures in now.figures().items():
        errors = f"{figures['errors']:,}" if name in COUNTED_ERRORS else ""
        now_rate = f"{lately.rate(lately.timed[name].durations.count):,.1f}"
        times = (figure(figures[time]) for time in TIMES)
        table.add_row(name, now_rate, f"{figures['rate']:,.1f}", *times, errors)
    return table


def state(now: Snapshot, lately: Snapshot) -> Iterator[Text]:
    """Say what the swarm is doing, what it waits for, and how busy it is itself."""
    busy = Text(f"own cpu {lately.cpu:.0%} of a core", style="dim")
    if lately.cpu > BUSY_SHARE:
        busy = Text(f"{busy}: these numbers describe netvision, not the server", style="bold yellow")
    yield busy
    if now.away:
        yield Text(f"waiting for the server: {now.away}", style="bold yellow")
    else:
        yield Text("deleting what is left" if now.is_stopping else "running", style="dim")
