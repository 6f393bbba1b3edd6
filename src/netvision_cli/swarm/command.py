"""One session of `netvision swarm`: the workload, its lines, its panel, its signals and its summary."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netvision_cli.client import Client, Readiness
from netvision_cli.errors import Interrupted, NetvisionError, Refused, ThresholdMissed, Unbalanced, UsageError
from netvision_cli.escaping import show_url
from netvision_cli.options import Connection, command_line
from netvision_cli.output import print_status
from netvision_cli.swarm.announcer import OutageAnnouncer
from netvision_cli.swarm.cleaning import run_clean
from netvision_cli.swarm.colors import paint_for
from netvision_cli.swarm.comparison import compare, read_summary
from netvision_cli.swarm.heartbeats import TIMEOUT_SECONDS, Services
from netvision_cli.swarm.history import History
from netvision_cli.swarm.lines import Lines
from netvision_cli.swarm.noise import spread
from netvision_cli.swarm.options import SwarmOptions
from netvision_cli.swarm.panel import Screen
from netvision_cli.swarm.report import report
from netvision_cli.swarm.result_file import ResultFile
from netvision_cli.swarm.signals import Terminals, is_reader_gone, listen
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.summary import RunInfo, describe_loss, render, summarize
from netvision_cli.swarm.tally import Role
from netvision_cli.swarm.thresholds import Verdict
from netvision_cli.swarm.workload import Workload


@dataclass(frozen=True)
class RunContext:
    """What a session shows besides its own run."""

    command: str
    """The command that repeats it."""

    target: str
    """The URL of the server."""

    earlier: dict[str, Any] | None = None
    """The summary of a run to compare it with."""

    report_file: ResultFile | None = None
    evidence_file: ResultFile | None = None


def run_swarm(connection: Connection, options: SwarmOptions, program: str = "swarm") -> None:
    """Run the swarm until stopped; raises the error that determines the exit status."""
    if options.clean:
        run_clean(connection, options.interval)
        return
    options = seeded(options)
    validate_options(options)
    earlier = read_summary(options.compare) if options.compare else None
    command = command_line(program, *([connection] if program == "swarm" else []), options)
    with ExitStack() as stack:
        report_file, evidence_file = (open_result(path, stack) for path in (options.report, options.evidence))
        context = RunContext(command, show_url(connection.url), earlier, report_file, evidence_file)
        stack.enter_context(asyncio.Runner(loop_factory=loop_factory())).run(swarm(connection, options, context))


def open_result(path: Path | None, stack: ExitStack) -> ResultFile | None:
    """Open a file for a result, if one is wanted."""
    return stack.enter_context(closing(ResultFile(path))) if path else None


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Use uvloop if it is installed: it does the same in half the time."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


def seeded(options: SwarmOptions) -> SwarmOptions:
    """Draw a seed if none is given."""
    return options if options.seed is not None else replace(options, seed=random.randrange(2**32))  # noqa: S311


def validate_options(options: SwarmOptions) -> None:
    """Reject at the start what could not be done at the end."""
    for threshold in options.fail_if:
        if threshold.name.startswith("response.") and options.rate is None:
            msg = f"{threshold.text!r} requires --rate: only with a rate are there response times"
            raise UsageError(msg)


async def swarm(connection: Connection, options: SwarmOptions, context: RunContext) -> None:
    """Connect, work, and print the summary."""
    async with AsyncExitStack() as stack:

        async def connect(url: str, seconds: float = connection.timeout) -> Client:
            return await stack.enter_async_context(Client(url, token=connection.bearer, timeout=seconds))

        read_url, deadline = options.read_url or connection.url, min(connection.timeout, TIMEOUT_SECONDS)
        client = await connect(connection.url)
        services = Services(
            replica=await connect(read_url),
            writer=await connect(connection.url, deadline),
            reader=await connect(read_url, deadline),
        )
        readiness = asyncio.create_task(server_readiness(client))
        workload = Workload(client, options, options.seed or 0, services=services)
        session = SwarmSession(workload, context)
        failure = await session.conduct()
        session.conclude(failure, await readiness or await server_readiness(client))


class SwarmSession:
    """One session: the workload and its watchers."""

    def __init__(self, workload: Workload, context: RunContext) -> None:
        self.workload = workload
        self.context = context
        self.history = History(Snapshot.of(workload))
        self.screen = Screen(workload, self.history, context.target)
        self.lines = Lines(workload, self.screen)
        self.terminals = Terminals()
        self.announcer = OutageAnnouncer(workload.caller.outages)

    async def conduct(self) -> NetvisionError | None:
        """Run the workload, and return the error that ended it early, if any; a second signal exits at once."""
        working = asyncio.create_task(self.workload.run())
        listen(self.stop, working.cancel)
        news = self.screen.refresh() if self.screen.is_usable else self.announcer.watch()
        watchers = self.lines.report(), self.history.record(self.workload), news
        with self.screen.shown():
            async with run_watchers(self.workload, *watchers):
                failure = await wait_for_end(working)
                self.terminals.discard_lost()
        return failure

    def stop(self) -> None:
        """Stop the run; what is stored is still deleted."""
        self.workload.stop()
        self.terminals.discard_lost()
        with self.screen.hidden():
            print_status("stopping: deleting what remains, then checking the account; interrupt again to exit at once")

    def conclude(self, failure: NetvisionError | None, server: Readiness | None) -> None:
        """Print the last line and the summary, and raise the error that determines the exit status.

        A run whose every request was refused has nothing but that to report.
        """
        end = Snapshot.of(self.workload)
        if isinstance(failure, Refused) and not end.tally.total(Role.ORIGIN):
            raise failure
        if not self.screen.is_usable:
            self.announcer.announce()
        self.history.add(end)
        summary = self.summarize(end, server)
        self.lines.finish(end, summary)
        if self.workload.caller.has_responded:
            paint = paint_for(self.screen.console)
            print_status(render(summary, paint))
            if self.context.earlier:
                print_status(f"\n{compare(self.context.earlier, summary, paint)}")
        error, write_error = exit_error(summary, failure), self.write_results(summary)
        if error and write_error:
            print_status(f"Error: {write_error}")
        if final := error or write_error:
            raise final

    def write_results(self, summary: dict[str, Any]) -> NetvisionError | None:
        """Write the evidence and the report if they are wanted; return the error if one could not be written."""
        context, workload = self.context, self.workload
        try:
            if file := context.evidence_file:
                clock_time, found = workload.caller.outages.clock_time, workload.account.findings.found
                file.write("".join(f"{json.dumps(each.as_dict(clock_time))}\n" for each in found))
            if file := context.report_file:
                file.write(report(summary, self.history.intervals, context.earlier))
                print_status(f"report: {file.path.resolve().as_uri()}")
        except NetvisionError as error:
            return error
        return None

    def summarize(self, end: Snapshot, server: Readiness | None) -> dict[str, Any]:
        """Summarize the whole run."""
        account, heartbeats = self.workload.account, self.workload.heartbeats
        evidence = str(file.path) if (file := self.context.evidence_file) else None
        info = RunInfo(
            seed=self.workload.seed,
            command=self.context.command,
            server=server,
            is_checked=self.workload.is_checked,
            outages=self.workload.caller.outages.as_dict() | heartbeats.outages(),
            error_kinds=dict(self.workload.caller.error_kinds),
            spread=spread(self.history.intervals),
            busy_seconds=self.history.busy_seconds,
            heartbeats=heartbeats.as_dict(),
            loss=describe_loss(account.findings, end.tally, heartbeats.writes, evidence),
            longest_stale=account.longest_stale,
            is_strict=self.workload.options.strict,
        )
        return summarize(end, info, self.workload.options.fail_if)


async def wait_for_end(working: "asyncio.Task[None]") -> NetvisionError | None:
    """Wait for the end of the work, and return the error that ended it early, if any."""
    try:
        await working
    except NetvisionError as error:
        return error
    except asyncio.CancelledError:
        msg = "interrupted before the account was settled; the remaining records stay stored"
        raise Interrupted(msg) from None
    return None


@asynccontextmanager
async def run_watchers(workload: Workload, *watchers: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run watchers beside the workload; it stops if one fails, for example because its lines are no longer read."""
    tasks = [asyncio.create_task(watcher) for watcher in watchers]
    for task in tasks:
        task.add_done_callback(lambda task: None if task.cancelled() else workload.stop())
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception) and not is_reader_gone(result):
                raise result


def exit_error(summary: dict[str, Any], failure: NetvisionError | None) -> NetvisionError | None:
    """Choose the error for the exit status: harm first, then an early end, then a missed threshold."""
    if summary["checked"] and not summary["balances"]:
        return Unbalanced(summary["verdict"])
    if failure:
        return failure
    judged = [Verdict(**threshold) for threshold in summary["thresholds"]]
    missed = [f"{verdict.fail_if} (it was {verdict.shown})" for verdict in judged if verdict.missed]
    return ThresholdMissed(f"the run was to fail if {' or if '.join(missed)}") if missed else None


async def server_readiness(client: Client) -> Readiness | None:
    """Return the version and database of the server, if it reports them."""
    try:
        return await client.readiness()
    except NetvisionError:
        return None
