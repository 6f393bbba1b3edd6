"""One run of `netvision swarm`: the workload, its lines, its panel, its signals and its summary."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from netvision_cli.client import Client, Readiness
from netvision_cli.errors import Interrupted, NetvisionError, ThresholdMissed, Unbalanced, UsageError
from netvision_cli.options import Connection, SwarmOptions, command_line
from netvision_cli.output import say
from netvision_cli.swarm.comparison import compare, read_summary
from netvision_cli.swarm.history import History
from netvision_cli.swarm.lines import Lines
from netvision_cli.swarm.panel import Screen
from netvision_cli.swarm.report import report
from netvision_cli.swarm.snapshot import Snapshot, take
from netvision_cli.swarm.summary import Circumstances, render, summarize
from netvision_cli.swarm.thresholds import Verdict
from netvision_cli.swarm.workload import Workload


@dataclass(frozen=True)
class Purpose:
    """What a run is for, besides itself."""

    command: str
    """What repeats it."""

    old: dict[str, Any] | None = None
    """The summary of a run to compare it with."""


def run_swarm(connection: Connection, options: SwarmOptions, program: str = "swarm") -> None:
    """Run the swarm until it is told to stop; raises the error that its exit code stands for."""
    options = seeded(options)
    check(options)
    old = read_summary(options.compare) if options.compare else None
    command = command_line(program, *([connection] if program == "swarm" else []), options)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(swarm(connection, options, Purpose(command, old)))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take uvloop where there is one: it does the same in half the time."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


def seeded(options: SwarmOptions) -> SwarmOptions:
    """Draw a seed where none is given."""
    return options if options.seed is not None else replace(options, seed=random.randrange(2**32))  # noqa: S311


def check(options: SwarmOptions) -> None:
    """Refuse at once what could not be done at the end."""
    if options.report and not os.access(options.report if options.report.exists() else options.report.parent, os.W_OK):
        msg = f"cannot write the report to {options.report}"
        raise UsageError(msg)
    for threshold in options.fail_if:
        if threshold.name.startswith("response.") and options.rate is None:
            msg = f"{threshold.text!r}: without --rate no start is intended, so there are no response times"
            raise UsageError(msg)


async def swarm(connection: Connection, options: SwarmOptions, purpose: Purpose) -> None:
    """Connect, work, and sum up."""
    async with Client(connection.url, token=connection.bearer, timeout=connection.timeout) as client:
        asking = asyncio.create_task(ask_server(client))
        run = Run(Workload(client, options, options.seed or 0), purpose)
        failure = await run.conduct()
        run.conclude(failure, await asking or await ask_server(client))


class Run:
    """One run: its workload, and who watches it."""

    def __init__(self, workload: Workload, purpose: Purpose) -> None:
        """Prepare to run."""
        self.workload = workload
        self.purpose = purpose
        self.history = History(take(workload))
        self.screen = Screen(workload, self.history)
        self.lines = Lines(workload, self.screen)

    async def conduct(self) -> NetvisionError | None:
        """Let the workload run, and return what ended it early; a second signal leaves at once."""
        working = asyncio.create_task(self.workload.run())
        self.listen(working)
        watchers = self.lines.report(), self.history.record(self.workload), self.screen.refresh()
        with self.screen.shown():
            async with watched(self.workload, *watchers):
                return await ended(working)

    def listen(self, working: "asyncio.Task[None]") -> None:
        """Stop at the first SIGINT or SIGTERM, and leave at the second."""
        signals = 0

        def told_to_stop() -> None:
            nonlocal signals
            signals += 1
            if signals > 1:
                working.cancel()
                return
            self.workload.stop()
            with self.screen.aside():
                say("stopping: deleting what is left, then the account; once more leaves at once")

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, told_to_stop)

    def conclude(self, failure: NetvisionError | None, server: Readiness | None) -> None:
        """Print the last line and the summary, and raise what the exit code has to say."""
        end = take(self.workload)
        self.history.add(end)
        summary = self.summarize(end, server)
        self.lines.finish(end, summary)
        if self.workload.has_answered:
            say(render(summary))
            if self.purpose.old:
                say(f"\n{compare(self.purpose.old, summary)}")
        error, trouble = worst(summary, failure), self.write_report(summary)
        if error and trouble:
            say(f"Error: {trouble}")
        if worse := error or trouble:
            raise worse

    def write_report(self, summary: dict[str, Any]) -> NetvisionError | None:
        """Write the report where one is wanted; return why it could not be written."""
        path = self.workload.options.report
        try:
            if path:
                path.write_text(report(summary, self.history.intervals), encoding="utf-8")
        except OSError as error:
            return NetvisionError(f"cannot write the report to {path} ({error.strerror})")
        return None

    def summarize(self, end: Snapshot, server: Readiness | None) -> dict[str, Any]:
        """Sum up the whole run."""
        circumstances = Circumstances(
            seed=self.workload.seed,
            command=self.purpose.command,
            server=server,
            is_checked=self.workload.is_checked,
            busy_seconds=self.history.busy_seconds,
        )
        return summarize(end, circumstances, self.workload.options.fail_if)


async def ended(working: "asyncio.Task[None]") -> NetvisionError | None:
    """Wait for the end of the work, and return what ended it early."""
    try:
        await working
    except NetvisionError as error:
        return error
    except asyncio.CancelledError:
        msg = "interrupted before the account was settled; what is left stays stored"
        raise Interrupted(msg) from None
    return None


@asynccontextmanager
async def watched(workload: Workload, *watching: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have watchers at work meanwhile; the workload stops when one fails, as when nobody reads its lines any more."""
    tasks = [asyncio.create_task(watcher) for watcher in watching]
    for task in tasks:
        task.add_done_callback(lambda task: None if task.cancelled() else workload.stop())
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, BrokenPipeError):
                raise result


def worst(summary: dict[str, Any], failure: NetvisionError | None) -> NetvisionError | None:
    """Choose what the exit code tells: harm, then an end before its time, then a threshold."""
    if summary["checked"] and not summary["balances"]:
        return Unbalanced(summary["verdict"])
    if failure:
        return failure
    judged = [Verdict(**threshold) for threshold in summary["thresholds"]]
    missed = [f"{verdict.fail_if} (it was {verdict.shown})" for verdict in judged if verdict.missed]
    return ThresholdMissed(f"the run was to fail if {' or if '.join(missed)}") if missed else None


async def ask_server(client: Client) -> Readiness | None:
    """Ask the server for its version and database, if it will say."""
    try:
        return await client.readiness()
    except NetvisionError:
        return None
