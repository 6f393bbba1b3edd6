"""What a run did, in words and as data: computed once, shown by whoever asks."""

import platform
import time
from typing import Any

from netvision_cli import __version__
from netvision_cli.client import Readiness
from netvision_cli.swarm.workload import Workload

BUSY_SHARE = 0.9
"""A process that used more of its time than this on one core was itself the bottleneck."""

COLUMNS = ("count", "rate", "p50", "p95", "p99", "p99.9", "max", "errors", "retries")


def summarize(workload: Workload, server: Readiness | None) -> dict[str, Any]:
    """Gather everything that is said at the end; durations of calls are in milliseconds."""
    elapsed = workload.elapsed
    cpu_seconds = time.process_time() - workload.cpu_started
    tally = workload.account.tally
    return {
        "seed": workload.seed,
        "seconds": round(elapsed, 3),
        "client": f"netvision {__version__}, Python {platform.python_version()}",
        "server": f"netvision {server.version}, {server.database}" if server else "unknown",
        "calls": {name: calls.as_dict(elapsed) for name, calls in workload.calls.items()},
        "account": tally.as_dict(),
        "checked": workload.is_checked,
        "balances": workload.is_checked and tally.balances,
        "verdict": verdict(workload),
        "cpu": round(cpu_seconds / elapsed, 3) if elapsed else 0.0,
    }


def verdict(workload: Workload) -> str:
    """Say in one sentence what the account proves."""
    tally = workload.account.tally
    if not workload.is_checked:
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
    lines = [
        f"ran {summary['seconds']:.1f} s with seed {summary['seed']}: {summary['client']}; server: {summary['server']}",
        "",
        row("ms", dict(zip(COLUMNS, COLUMNS, strict=True))),
        *(row(name, calls) for name, calls in summary["calls"].items()),
        "",
        *(", ".join(f"{name} {account[name]}" for name in names) for names in groups),
        summary["verdict"],
    ]
    if summary["cpu"] > BUSY_SHARE:
        share = f"{summary['cpu']:.0%} of a core"
        lines.append(f"Warning: this process used {share}, so these numbers describe netvision, not the server.")
    return "\n".join(lines)


def row(name: str, cells: dict[str, Any]) -> str:
    """Write one row of the table of calls."""
    texts = (f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in map(cells.__getitem__, COLUMNS))
    return f"{name:<7}" + "".join(f"{text:>8}" for text in texts)
