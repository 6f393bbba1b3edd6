"""What a run did, in words and as data: read off its last snapshot once, shown by whoever asks."""

import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from netvision_cli import __version__
from netvision_cli.client import Readiness
from netvision_cli.swarm.history import BUSY_SHARE
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.thresholds import Threshold, Verdict

BUSY_TOO_LONG = 0.2
"""A run that was busy for more than this share of its time measured its own process."""

COLUMNS = ("count", "rate", "p50", "p95", "p99", "p99.9", "max", "errors", "retries")


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """Under what a run took place."""

    seed: int
    command: str
    """What repeats it."""

    server: Readiness | None
    is_checked: bool
    """Whether a final read settled the account."""

    busy_seconds: float
    """For how long this process used nearly a whole core."""


def summarize(end: Snapshot, around: Circumstances, thresholds: tuple[Threshold, ...] = ()) -> dict[str, Any]:
    """Gather everything that is said at the end; durations of calls are in milliseconds."""
    calls = end.figures()
    response = calls.pop("response", None)
    server = around.server
    summary = {
        "seed": around.seed,
        "seconds": round(end.seconds, 3),
        "ended": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": around.command,
        "client": f"netvision {__version__}, Python {platform.python_version()}",
        "server": f"netvision {server.version}, {server.database}" if server else "unknown",
        "machine": machine(),
        "calls": calls,
        **({"response": timed_only(response)} if response else {}),
        "rates": {"created": round(end.rate(end.tally.created), 1), "deleted": round(end.rate(end.deleted), 1)},
        "attempts": end.attempts,
        "errors": end.errors,
        "retries": end.retries,
        "account": end.tally.as_dict(),
        "checked": around.is_checked,
        "balances": around.is_checked and end.tally.balances,
        "verdict": verdict(end, around),
        "cpu": round(end.cpu, 3),
        "warning": bottleneck_warning(around.busy_seconds, end.seconds),
    }
    return summary | {"thresholds": [asdict(threshold.judge(summary)) for threshold in thresholds]}


def timed_only(figures: dict[str, float]) -> dict[str, float]:
    """Leave out what a response has not: errors and retries are those of its calls."""
    return {name: figures[name] for name in figures if name not in {"errors", "retries"}}


def machine() -> str:
    """Describe this machine."""
    return f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"


def bottleneck_warning(busy_seconds: float, seconds: float) -> str | None:
    """Say that the numbers are not the server's, where this process itself limited the run."""
    if busy_seconds <= BUSY_TOO_LONG * seconds:
        return None
    return (
        f"for {busy_seconds:.0f} of {seconds:.0f} s this process used more than {BUSY_SHARE:.0%} of a core:"
        " these numbers describe netvision, not the server"
    )


def verdict(end: Snapshot, around: Circumstances) -> str:
    """Say in one sentence what the account proves."""
    tally = end.tally
    if not around.is_checked:
        return "The account could not be checked: there was no final read."
    if tally.balances:
        return (
            f"Every record acknowledged was kept until it was deleted, once: {tally.created} created"
            f" + {tally.recovered} recovered = {tally.deleted} deleted + {tally.gone} gone + {tally.left} left."
        )
    harms = {
        "lost": tally.lost,
        "resurrected": tally.resurrected,
        "corrupt": tally.corrupt,
        "deleted twice": tally.doubled,
    }
    named = ", ".join(f"{count} {name}" for name, count in harms.items() if count) or "the numbers are not even"
    hint = (
        " Records that another client deleted count as lost too: nobody can tell the two apart." if tally.lost else ""
    )
    return f"The account does not balance: {named}.{hint}"


def render(summary: dict[str, Any]) -> str:
    """Write a summary as text, a table of the calls in its middle."""
    account = summary["account"]
    groups = (
        ("created", "recovered", "deleted", "gone", "left"),
        ("lost", "resurrected", "corrupt", "doubled"),
        ("late", "partial", "foreign"),
    )
    response = {"response": summary["response"]} if "response" in summary else {}
    lines = [
        f"ran {summary['seconds']:.1f} s with seed {summary['seed']}: {summary['client']}; server: {summary['server']}",
        "",
        row("ms", dict(zip(COLUMNS, COLUMNS, strict=True))),
        *(row(name, calls) for name, calls in (summary["calls"] | response).items()),
        "",
        *(", ".join(f"{name} {account[name]}" for name in names) for names in groups),
        summary["verdict"],
        *(str(Verdict(**judged)) for judged in summary["thresholds"]),
    ]
    if summary["warning"]:
        lines.append(f"Warning: {summary['warning']}.")
    return "\n".join(lines)


def row(name: str, cells: dict[str, Any]) -> str:
    """Write one row of the table of calls."""
    return f"{name:<8}" + "".join(f"{cell_text(cells.get(name, '-')):>8}" for name in COLUMNS)


def cell_text(cell: float | str) -> str:
    """Write one cell."""
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if cell >= 1000 else f"{cell:.4g}"  # noqa: PLR2004 - from where on a fraction says nothing
