"""The command `netvision`: parse, call, print; one function per command.

The client is imported by the commands that need it, so that help appears at once.
"""

import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from typer.core import TyperGroup

from netvision_cli.errors import Interrupted, NetvisionError, ServerError, UnexpectedResponse, UsageError
from netvision_cli.options import Connection, Format, TextSource
from netvision_cli.streams import discard_stdout, open_closed_streams, print_data, print_error, use_utf_8
from netvision_cli.swarm.options import SwarmOptions
from netvision_cli.typer_options import Command, with_options

if TYPE_CHECKING:
    from netvision_cli.client import Client


class Commands(TyperGroup):
    """The commands inside the error boundary."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as Typer has it
        """Run a command, or print what help or a version there is."""
        with error_boundary():
            try:
                return super().main(*args, **kwargs)
            finally:
                print_data(flush=True)

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
    netvision add --file texts.csv --wait 5m
    sort words.txt | netvision add -
    """,
)
@with_options
def add(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT…", help="Texts, or - for standard input.")] = None,
    *,
    source: TextSource,
    connection: Connection,
) -> None:
    """Store texts and print their uuids, one per line."""
    from netvision_cli.adding import add_records
    from netvision_cli.inputs import read_source

    records = read_source(texts or [], source)
    run(connection, lambda client: add_records(client, records, source))


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
    uuids: Annotated[list[str], typer.Argument(metavar="UUID…", help="Which records, or - for standard input.")],
    *,
    format_: FormatOption = None,
    connection: Connection,
) -> None:
    """Print the records with these uuids."""
    from netvision_cli.inputs import read_uuids
    from netvision_cli.output import default_format, existing, report_absent, write

    keys = list(read_uuids(uuids))

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
    from netvision_cli.deleting import count_records, delete_records
    from netvision_cli.escaping import show_url
    from netvision_cli.inputs import read_uuids
    from netvision_cli.output import default_format

    if bool(uuids) == all_:
        msg = "give either uuids, or - for standard input, or --all"
        raise UsageError(msg)
    if all_ and not yes:
        require_terminal(f"This deletes every record at {show_url(connection.url)}.")
    keys = None if all_ else list(read_uuids(uuids or []))

    async def call(client: "Client") -> None:
        total = len(keys) if keys is not None else None
        if all_ and not yes:
            total = await count_records(client)
            confirm(f"This deletes every record at {client.url}, {total} of them. Go on?")
        await delete_records(client, keys, format_ or default_format(), total)

    run(connection, call)


@app.command(
    cls=Command,
    epilog="""
    netvision status
    netvision status --json
    netvision status --url https://records.example.com --token-file token
    """,
)
@with_options
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False, connection: Connection
) -> None:
    """Print whether the server is ready, and its latency."""
    from json import dumps
    from time import perf_counter

    from msgspec.structs import asdict

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
        if as_json:
            milliseconds = round(milliseconds, 3)
            print_data(f"{dumps({'url': client.url, 'milliseconds': milliseconds, **asdict(readiness)})}\n")
            return
        print_data(f"{client.url} is ready, {milliseconds:.1f} ms away: {about or 'give its token to see more'}\n")

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
    """Run a server and a swarm together for 30 s, and remove all traces.

    It starts a service on a free port, on an SQLite database in a temporary directory, and a swarm beside it, which
    inserts and deletes records, follows each of them, and prints its account at the end. It takes the options of
    netvision swarm; without --duration or --records it ends after 30 s, and Ctrl-C ends it sooner.
    """
    from netvision_cli.demo import run_demo

    run_demo(options)


def run(connection: Connection, call: "Callable[[Client], Coroutine[Any, Any, None]]") -> None:
    """Run the call of a command with a client of its server."""
    import asyncio

    from netvision_cli.client import Client

    async def connected() -> None:
        async with Client(connection.url, token=connection.bearer, timeout=connection.timeout) as client:
            try:
                await call(client)
            except UnexpectedResponse:
                raise
            except ServerError as error:
                await add_reason(client, error)
                raise

    asyncio.run(connected())


async def add_reason(client: "Client", error: ServerError) -> None:
    """Add to the message of an error why the server is not ready, with what to do about it, unless it says so."""
    from netvision_cli.transport.responses import quote

    with suppress(NetvisionError):
        reason = quote((await client.readiness()).reason or "")
        if reason not in str(error):
            error.add(f"it is not ready: {reason}")


def require_terminal(statement: str) -> None:
    """Raise UsageError if there is no terminal on which a statement can be confirmed."""
    if not sys.stdin.isatty():
        msg = f"{statement} There is no terminal to confirm it on: add --yes"
        raise UsageError(msg)


def confirm(question: str) -> None:
    """Require confirmation."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Exit(1)


@contextmanager
def error_boundary() -> Iterator[None]:
    """Turn an exception of a command into a sentence and an exit status; a closed pipe ends it quietly."""
    use_utf_8(sys.stdout, sys.stderr)
    try:
        yield
        print_data(flush=True)
    except NetvisionError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)
    except BrokenPipeError:
        discard_stdout()
        sys.exit(0)


def main() -> None:
    """Run the command."""
    open_closed_streams()
    app()
