"""The command `netvision`: parse, call, print; one function per command.

The client is imported by the commands that need it, so that help appears at once.
"""

import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from typer.core import TyperGroup

from netvision_cli.errors import Interrupted, NetvisionError, NotFound, ServerError, UsageError
from netvision_cli.options import Connection, Format
from netvision_cli.swarm.options import SwarmOptions
from netvision_cli.typer_options import Command, with_options

if TYPE_CHECKING:
    from netvision_cli.client import Client, Record

CONCURRENT_DELETES = 16


class Commands(TyperGroup):
    """The commands inside the error boundary."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as Typer has it
        """Run a command."""
        with error_boundary():
            return super().invoke(ctx)


app = typer.Typer(
    name="netvision",
    cls=Commands,
    help="Records from the command line, and the swarm that follows every one of them.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

FormatOption = Annotated[
    Format | None, typer.Option("--format", help="By default a table on a terminal and lines of text in a pipe.")
]


def parse_count(text: object) -> int:
    """Parse how many records to print."""
    if not re.fullmatch("0|[1-9][0-9]{0,17}", str(text)):
        msg = f"{text!r} is not a count, a whole number such as 10 with at most 18 digits"
        raise typer.BadParameter(msg)
    return int(str(text))


def print_version(value: bool) -> None:  # noqa: FBT001 - the signature of a callback
    """Print the version and exit."""
    if value:
        from netvision_cli import __version__

        print(f"netvision {__version__}")
        raise typer.Exit


@app.callback()
def netvision(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Records from the command line, and the swarm that follows every one of them."""  # noqa: D401 - help


@app.command(
    cls=Command,
    epilog="""
    netvision add "hello" "two  words"
    netvision add --file texts.csv
    sort words.txt | netvision add -
    """,
)
@with_options
def add(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT…", help="Texts, or - for standard input.")] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", help="Store one text per line, or the records of a .json, .ndjson or .csv.")
    ] = None,
    uuid: Annotated[str | None, typer.Option("--uuid", help="The uuid of a single text.")] = None,
    connection: Connection,
) -> None:
    """Store texts and print their uuids, one per line."""
    from netvision_cli.inputs import NewRecord, parse_uuid, read_texts
    from netvision_cli.output import progress
    from netvision_cli.storing import batches, store

    texts = texts or []
    if bool(texts) == bool(file):
        msg = "give either texts, or - for standard input, or --file"
        raise UsageError(msg)
    if uuid and (len(texts) != 1 or texts == ["-"]):
        msg = "--uuid requires exactly one text"
        raise UsageError(msg)
    records = [NewRecord(texts[0], parse_uuid(uuid))] if uuid else read_texts(texts, file)

    async def call(client: "Client") -> None:
        stored = 0
        with progress("stored") as advance, with_progress(lambda: f"{stored} texts were stored before that"):
            for batch in batches(records):
                await store(client, batch)
                sys.stdout.writelines(f"{record.uuid}\n" for record in batch)
                stored += len(batch)
                advance(len(batch))

    run(connection, call)


@app.command(
    name="list",
    cls=Command,
    epilog="""
    netvision list
    netvision list 10 --format ndjson
    netvision list --after 0192f0c4-5c5e-7000-8000-000000000001
    """,
)
@with_options
def list_(
    count: Annotated[
        int | None, typer.Argument(parser=parse_count, metavar="[COUNT]", help="How many records; by default all.")
    ] = None,
    *,
    after: Annotated[str | None, typer.Option("--after", help="Start after this uuid.")] = None,
    format_: FormatOption = None,
    connection: Connection,
) -> None:
    """Print records, ordered by uuid."""
    from netvision_cli.client import MAX_COUNT
    from netvision_cli.inputs import parse_uuid
    from netvision_cli.output import default_format, write

    start = parse_uuid(after) if after else None

    async def call(client: "Client") -> None:
        async with aclosing(client.stream(MAX_COUNT if count is None else count, start)) as records:
            await write(records, format_ or default_format())

    run(connection, call)


@app.command(cls=Command, epilog="netvision get 0192f0c4-5c5e-7000-8000-000000000001")
@with_options
def get(
    uuids: Annotated[list[str], typer.Argument(metavar="UUID…", help="Which records.")],
    *,
    format_: FormatOption = None,
    connection: Connection,
) -> None:
    """Print the records with these uuids."""
    from netvision_cli.inputs import parse_uuid
    from netvision_cli.output import default_format, write

    keys = [parse_uuid(uuid) for uuid in uuids]

    async def call(client: "Client") -> None:
        absent: list[UUID] = []
        await write(existing(keys, client.find, absent), format_ or default_format())
        report_absent(absent)

    run(connection, call)


@app.command(
    cls=Command,
    epilog="""
    netvision delete 0192f0c4-5c5e-7000-8000-000000000001
    netvision list 10 | netvision delete -
    netvision delete --all --yes
    """,
)
@with_options
def delete(
    uuids: Annotated[
        list[str] | None, typer.Argument(metavar="UUID…", help="Which records, or - for standard input.")
    ] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Delete every record.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not require confirmation of --all.")] = False,
    format_: FormatOption = None,
    connection: Connection,
) -> None:
    """Delete records and print them."""
    from netvision_cli.escaping import show_url
    from netvision_cli.inputs import read_uuids
    from netvision_cli.output import default_format, progress, write

    if bool(uuids) == all_:
        msg = "give either uuids, or - for standard input, or --all"
        raise UsageError(msg)
    if all_ and not yes:
        confirm(f"This deletes every record at {show_url(connection.url)}. Go on?")
    keys = [] if all_ else list(read_uuids(uuids or []))

    async def call(client: "Client") -> None:
        absent: list[UUID] = []
        with progress("deleted") as advance:
            deleted = delete_all(client) if all_ else existing(keys, client.remove, absent)
            async with aclosing(deleted):
                await write(counted(deleted, advance), format_ or default_format())
        report_absent(absent)

    run(connection, call)


@app.command(
    cls=Command,
    epilog="""
    netvision status
    netvision status --url https://records.example.com --token-file token
    """,
)
@with_options
def status(*, connection: Connection) -> None:
    """Print whether the server is ready, and its latency."""
    from time import perf_counter

    from netvision_cli.escaping import escape
    from netvision_cli.transport.responses import quote

    async def call(client: "Client") -> None:
        await client.readiness()
        started = perf_counter()
        readiness = await client.readiness()
        milliseconds = (perf_counter() - started) * 1000
        if readiness.reason or readiness.status != "ready":
            reason = quote(readiness.reason or "it gives no reason")
            msg = f"{client.url} is {escape(readiness.status)}: {reason}"
            raise ServerError(msg)
        named = {"netvision": readiness.version, "database": readiness.database, "schema": readiness.schema}
        about = ", ".join(f"{name} {escape(value)}" for name, value in named.items() if value)
        print(f"{client.url} is ready, {milliseconds:.1f} ms away: {about or 'give its token to see more'}")

    run(connection, call)


@app.command(
    cls=Command,
    epilog="""
    netvision swarm
    netvision swarm --duration 10m --fail-if 'delete.p99>50ms' --report run.html
    netvision swarm --rate 500 --json > run.jsonl
    """,
)
@with_options
def swarm(*, connection: Connection, options: SwarmOptions) -> None:
    """Insert and delete records until stopped, and account for each."""
    from netvision_cli.swarm.command import run_swarm

    run_swarm(connection, options)


@app.command(
    cls=Command,
    epilog="""
    netvision demo
    netvision demo --duration 5s --seed 1
    """,
)
@with_options
def demo(*, options: SwarmOptions) -> None:
    """Run a server and a swarm together for 30 s, and remove all traces."""
    from netvision_cli.demo import run_demo

    run_demo(options)


def run(connection: Connection, call: "Callable[[Client], Coroutine[Any, Any, None]]") -> None:
    """Run the call of a command with a client of its server."""
    import asyncio

    from netvision_cli.client import Client

    async def connected() -> None:
        async with Client(connection.url, token=connection.bearer, timeout=connection.timeout) as client:
            await call(client)

    asyncio.run(connected())
    sys.stdout.flush()


async def existing(
    keys: Iterable[UUID], call: "Callable[[UUID], Coroutine[Any, Any, Record]]", absent: list[UUID]
) -> "AsyncGenerator[Record, None]":
    """Yield the result of a call for each uuid; collect those that do not exist."""
    for key in keys:
        try:
            yield await call(key)
        except NotFound:
            absent.append(key)


def report_absent(absent: list[UUID]) -> None:
    """Raise NotFound for uuids that do not exist."""
    if absent:
        listed = ", ".join(map(str, absent[:10])) + (f" and {len(absent) - 10} more" if len(absent) > 10 else "")  # noqa: PLR2004
        msg = f"no record has the uuid {listed}; netvision list shows which there are"
        raise NotFound(msg)


async def delete_all(client: "Client") -> "AsyncGenerator[Record, None]":
    """Delete every record, several at a time; those that others delete in the meantime are skipped."""
    waiting: list[UUID] = []
    async with aclosing(client.stream()) as records:
        async for record in records:
            waiting.append(record.uuid)
            if len(waiting) == CONCURRENT_DELETES:
                async for deleted in delete_concurrently(client, waiting):
                    yield deleted
                waiting.clear()
    async for deleted in delete_concurrently(client, waiting):
        yield deleted


async def delete_concurrently(client: "Client", keys: list[UUID]) -> "AsyncIterator[Record]":
    """Delete records at the same time; yield those that existed before raising the error of another."""
    from asyncio import gather

    results = await gather(*(client.remove(key) for key in keys), return_exceptions=True)
    for result in results:
        if not isinstance(result, BaseException):
            yield result
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, NotFound):
            raise result


async def counted(records: "AsyncIterator[Record]", advance: Callable[[int], None]) -> "AsyncIterator[Record]":
    """Yield records and count them."""
    async for record in records:
        yield record
        advance(1)


def confirm(question: str) -> None:
    """Require confirmation on a terminal; without one, raise UsageError."""
    if not sys.stdin.isatty():
        msg = f"{question} There is no terminal to confirm it on: add --yes"
        raise UsageError(msg)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Exit(1)


@contextmanager
def with_progress(progress_so_far: Callable[[], str]) -> Iterator[None]:
    """Add to the message of an error how much was done before."""
    try:
        yield
    except NetvisionError as error:
        # The message of an exception is its arguments; the exception itself keeps its class and exit status.
        error.args = (f"{error}; {progress_so_far()}",)
        raise


@contextmanager
def error_boundary() -> Iterator[None]:
    """Turn an exception of a command into a sentence and an exit status; a closed pipe ends it quietly.

    Output is UTF-8 with bare newlines, independent of the locale.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[union-attr]
    try:
        yield
        sys.stdout.flush()
    except NetvisionError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(Interrupted.exit_code) from error
    except BrokenPipeError as error:
        from netvision_cli.output import discard_stdout

        discard_stdout()
        raise typer.Exit(0) from error


def main() -> None:
    """Run the command."""
    app()
