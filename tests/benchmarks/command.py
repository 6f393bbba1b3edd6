"""The command: which parts are measured, how much, and where the numbers go."""

import sys
import tempfile
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from tests.benchmarks.findings import Findings
from tests.benchmarks.load import LoadError
from tests.benchmarks.machine import circumstances
from tests.benchmarks.plan import Plan
from tests.benchmarks.report import save, show
from tests.benchmarks.wrk import is_installed
from tests.databases import PostgresqlDatabase, postgresql_server


class Part(StrEnum):
    """What can be measured."""

    ENDPOINTS = "endpoints"
    ALL = "all"
    GROWTH = "growth"
    CHURN = "churn"
    SQLITE = "sqlite"
    SWARM = "swarm"
    START = "start"


DEFAULTS = Plan()
FOLDER = Path("bench-results")


def bench(  # noqa: PLR0913 - one parameter per option
    parts: Annotated[list[Part] | None, typer.Argument(help="What to measure; everything, if not given.")] = None,
    *,
    rounds: Annotated[int, typer.Option(help="Turns of each competitor.", min=1)] = DEFAULTS.rounds,
    seconds: Annotated[float, typer.Option(help="How long a turn is; wrk counts whole ones.")] = DEFAULTS.seconds,
    connections: Annotated[list[int], typer.Option(help="Requests under way at a time.")] = list(DEFAULTS.connections),  # noqa: B006
    wrk: Annotated[bool, typer.Option(help="Have wrk ask; by default where it is installed.")] = is_installed(),
    only: Annotated[list[str], typer.Option(help="Competitors to measure alone.")] = [],  # noqa: B006
    beside: Annotated[Path | None, typer.Option(help="The src of another checkout to measure as well.")] = None,
    rows: Annotated[int, typer.Option(help="How many records are many.")] = DEFAULTS.rows,
    minutes: Annotated[float, typer.Option(help="How long churn lasts.")] = DEFAULTS.minutes,
    folder: Annotated[Path, typer.Option(help="Where JSON and plots go.")] = FOLDER,
) -> None:
    """Measure NetVision beside others that do the same."""
    plan = Plan(rounds, seconds, tuple(connections), wrk, tuple(only), beside, rows, minutes)
    with tempfile.TemporaryDirectory(prefix="netvision-bench-") as name, postgresql_server(Path(name)) as postgresql:
        around = circumstances() | {"postgresql": str(postgresql.run("SHOW server_version"))}
        print(", ".join(f"{name} {value}" for name, value in around.items()))
        for part in parts or Part:
            findings = measure(part, plan, postgresql)
            show(findings)
            save(part, findings, plan, around, folder)


def measure(part: Part, plan: Plan, postgresql: PostgresqlDatabase) -> Findings:
    """Run one part."""
    module = import_module(f"tests.benchmarks.parts.{part}")
    findings: Findings = uvloop.run(module.run(plan, postgresql))
    return findings


def main() -> None:
    """Run the command."""
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
    app.command()(bench)
    try:
        app()
    except LoadError as error:
        sys.exit(f"Error: {error}")
