"""The live screen: what the workload and the account hold at this moment. On standard error, below the lines."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from netvision_cli.swarm.workload import Workload

REFRESHES_PER_SECOND = 4


class Panel:
    """A view of a workload that rich renders anew several times a second."""

    def __init__(self, workload: Workload) -> None:
        """Look at a workload."""
        self.workload = workload

    def __rich__(self) -> Table:
        """Draw the current numbers."""
        workload, tally = self.workload, self.workload.account.tally
        rate = tally.deleted / workload.elapsed if workload.elapsed else 0.0
        grid = Table.grid(padding=(0, 2))
        grid.add_row(
            Text(f"deleted {tally.deleted}", style="bold green"),
            f"created {tally.created}",
            f"waiting {workload.waiting}",
            f"{rate:.0f}/s",
            Text(f"harmed {tally.harmed}", style="bold red" if tally.harmed else ""),
            Text(self.state(), style="yellow" if workload.away else "dim"),
        )
        return grid

    def state(self) -> str:
        """Say what the swarm is doing."""
        if self.workload.away:
            return f"waiting for the server: {self.workload.away}"
        return "draining" if self.workload.stopping.is_set() else "running"


@contextmanager
def shown(workload: Workload) -> Iterator[None]:
    """Show the panel while a workload runs, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    live = Live(
        Panel(workload),
        console=Console(stderr=True),
        refresh_per_second=REFRESHES_PER_SECOND,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    )
    with live:
        yield
