"""One run of `netvision swarm`: the workload, its lines, its panel, its signals and its summary."""

import asyncio
import json
import random
import signal
from contextlib import suppress
from functools import partial
from typing import Any

from netvision_cli.client import Client, Readiness
from netvision_cli.errors import Interrupted, NetvisionError, Unbalanced
from netvision_cli.options import Connection, SwarmOptions
from netvision_cli.output import discard_stdout, say
from netvision_cli.swarm.lanes import Lanes
from netvision_cli.swarm.panel import shown
from netvision_cli.swarm.summary import render, summarize
from netvision_cli.swarm.workload import Workload


def run_swarm(connection: Connection, options: SwarmOptions) -> None:
    """Run the swarm until it is told to stop; raises the error that its exit code stands for."""
    asyncio.run(swarm(connection, options))


async def swarm(connection: Connection, options: SwarmOptions) -> None:
    """Connect, work, and sum up."""
    seed = random.randrange(2**32) if options.seed is None else options.seed  # noqa: S311 - no secret

    def connect() -> Client:
        return Client(connection.url, token=connection.bearer, timeout=connection.timeout)

    async with connect() as client, Lanes(connect) as lanes:
        asking = asyncio.create_task(ask_server(client))
        workload = Workload(lanes, options, seed)
        lines = Lines(workload, as_json=options.json)
        with shown(workload):
            failure = await conduct(workload, lines)
        conclude(workload, lines, failure, await asking or await ask_server(client))


async def conduct(workload: Workload, lines: "Lines") -> NetvisionError | None:
    """Run a workload with its lines and signals, and return what ended it early; a second signal leaves at once."""
    reporting = asyncio.create_task(lines.report())
    reporting.add_done_callback(partial(stop_without_reader, workload))
    working = asyncio.create_task(workload.run())
    listen(workload, working)
    try:
        await working
    except NetvisionError as error:
        return error
    except asyncio.CancelledError:
        msg = "interrupted before the account was settled; what is left stays stored"
        raise Interrupted(msg) from None
    finally:
        reporting.cancel()
    return None


def stop_without_reader(workload: Workload, reporting: "asyncio.Task[None]") -> None:
    """Stop a workload whose lines nobody reads any more."""
    if not reporting.cancelled() and reporting.exception():
        workload.stop()


def conclude(workload: Workload, lines: "Lines", failure: NetvisionError | None, server: Readiness | None) -> None:
    """Print the last line and the summary, and raise what the exit code has to say."""
    summary = summarize(workload, server)
    try:
        lines.finish(summary)
    except BrokenPipeError:
        discard_stdout()
    if workload.has_answered:
        say(render(summary))
    if workload.is_checked and not workload.account.tally.balances:
        raise Unbalanced(summary["verdict"])
    if failure:
        raise failure


def listen(workload: Workload, working: "asyncio.Task[None]") -> None:
    """Stop at the first SIGINT or SIGTERM, and leave at the second."""
    signals = 0

    def told_to_stop() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            working.cancel()
            return
        workload.stop()
        say("stopping: deleting what is left, then checking the account; once more leaves at once")

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, told_to_stop)


async def ask_server(client: Client) -> Readiness | None:
    """Ask the server for its version and database, if it will say."""
    try:
        return await client.readiness()
    except NetvisionError:
        return None


class Lines:
    """What standard output gets: one line per interval, and with `as_json` the summary as the last."""

    def __init__(self, workload: Workload, *, as_json: bool) -> None:
        """Begin with nothing deleted."""
        self.workload = workload
        self.as_json = as_json
        self.total = 0
        self.until = workload.started

    async def report(self) -> None:
        """Print a line at the end of every interval."""
        interval = self.workload.options.interval
        while True:
            await asyncio.sleep(max(0.0, self.until + interval - self.workload.clock()))
            self.until += interval
            self.print(interval)

    def finish(self, summary: dict[str, Any]) -> None:
        """Print the line of the last, partial interval, and the summary where it is data."""
        self.print(round(self.workload.clock() - self.until, 1))
        if self.as_json:
            print(json.dumps({"summary": summary}), flush=True)

    def print(self, seconds: float) -> None:
        """Print how many records were deleted since the line before."""
        tally = self.workload.account.tally
        total = tally.deleted + tally.foreign
        deleted, self.total = total - self.total, total
        if self.as_json:
            sample = {"deleted": deleted, "seconds": seconds, "total": total, "created": tally.created}
            print(json.dumps({**sample, "waiting": self.workload.waiting, "harmed": tally.harmed}), flush=True)
        else:
            print(f"deleted {deleted} in {seconds:g} s, total {total}", flush=True)
