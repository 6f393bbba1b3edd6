"""How long programs take to start: ours beside the least that their libraries allow, and beside httpie."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.request import urlopen
from uuid import UUID, uuid4

from tests.benchmarks.competitors import contending, on_sqlite, ours
from tests.benchmarks.findings import Bars, Findings, Row, grouped
from tests.benchmarks.plan import Plan
from tests.benchmarks.processes import ROOT, finish, running, script
from tests.databases import PostgresqlDatabase

TYPED = str(ROOT / "tests" / "benchmarks" / "apps" / "typed.py")
IMPORTS = "import litestar, advanced_alchemy"

Programs = Mapping[str, Callable[[], float]]
"""What runs a program, and returns the seconds that it took; the last one is what the others are measured by."""


async def run(plan: Plan, _postgresql: PostgresqlDatabase) -> Findings:
    """Measure, in turns."""
    with tempfile.TemporaryDirectory(prefix="netvision-bench-") as name:
        folder = Path(name)
        async with contending([ours()], on_sqlite(folder)) as [contender]:
            [key] = await contender.records.hold(1)
            rows = [
                *compare(plan, "a version", versions()),
                *compare(plan, "one record", one_record(contender.service.url, key)),
            ]
        rows += compare(plan, "a server on SQLite", servers(folder))
    return Findings("Starting", rows, Bars("ms", grouped(rows, "what", "program", "ms")))


def versions() -> Programs:
    """Tell a version."""
    return {
        "netvision --version": lambda: finish(script("netvision"), "--version").seconds,
        "bare Typer program": lambda: finish(sys.executable, TYPED, "--version").seconds,
    }


def one_record(url: str, key: UUID) -> Programs:
    """Read a record."""
    return {
        "netvision get": lambda: finish(script("netvision"), "get", str(key), "--url", url).seconds,
        "http GET": lambda: finish(script("http"), "--ignore-stdin", "GET", f"{url}/{key}").seconds,
    }


def servers(folder: Path) -> Programs:
    """Serve a file that is there already and a new one, until a request is answered."""
    return {
        "serve": lambda: serve(folder / "ours.db"),
        "serve, new file": lambda: serve(folder / f"{uuid4()}.db"),
        "imports alone": lambda: finish(sys.executable, "-c", IMPORTS).seconds,
    }


def serve(path: Path) -> float:
    """Start a server, wait for its first answer, and stop it."""
    began, competitor = perf_counter(), ours()
    with running(competitor.command, competitor.environment(f"sqlite:///{path}")) as service:
        with urlopen(f"{service.url}/1") as answer:
            answer.read()
        return perf_counter() - began


def compare(plan: Plan, what: str, programs: Programs) -> list[Row]:
    """Run each program in each round; the first round, which finds no file in memory, does not count among others."""
    rounds = [{name: program() for name, program in programs.items()} for _ in range(plan.rounds)]
    rounds = rounds[1:] or rounds
    seconds = {name: median(round_[name] for round_ in rounds) for name in programs}
    *_, measure = seconds.values()
    return [
        {"what": what, "program": name, "ms": 1000 * each, "÷ last": each / measure} for name, each in seconds.items()
    ]
