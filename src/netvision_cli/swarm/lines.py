"""Standard output: one line per interval, and with `--json` the summary as the last line."""

import asyncio
import json
from typing import Any

from netvision_cli.streams import discard_stdout, print_data
from netvision_cli.swarm.panel import Screen
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.workload import Workload


class Lines:
    """The lines of one run; the panel is hidden while one is printed."""

    def __init__(self, workload: Workload, screen: Screen) -> None:
        self.workload = workload
        self.screen = screen
        self.as_json = workload.options.json
        self.total = 0
        self.until = 0.0

    async def report(self) -> None:
        """Print a line at the end of every interval."""
        interval = self.workload.options.interval
        while True:
            await asyncio.sleep(max(0.0, self.until + interval - self.workload.lifetime.elapsed))
            self.until += interval
            self.print(Snapshot.of(self.workload), interval)

    def finish(self, end: Snapshot, summary: dict[str, Any]) -> None:
        """Print the line of the last, partial interval, and the summary if it is wanted as JSON."""
        try:
            self.print(end, max(0.0, round(end.until - self.until, 1)))
            if self.as_json:
                print_data(f"{json.dumps({'summary': summary})}\n", flush=True)
        except BrokenPipeError:
            discard_stdout()

    def print(self, now: Snapshot, seconds: float) -> None:
        """Print how many records were deleted since the line before."""
        deleted, self.total = now.deleted - self.total, now.deleted
        with self.screen.hidden():
            print_data(f"{(json_line if self.as_json else text_line)(now, deleted, seconds)}\n", flush=True)


def json_line(now: Snapshot, deleted: int, seconds: float) -> str:
    """Write a line for a program."""
    sample = {"deleted": deleted, "seconds": seconds, "total": now.deleted, "created": now.tally.created}
    return json.dumps({**sample, "waiting": now.outstanding, "harmed": now.tally.harmed})


def text_line(now: Snapshot, deleted: int, seconds: float) -> str:
    """Write a line for a reader."""
    return f"deleted {deleted} in {seconds:g} s, total {now.deleted}"
