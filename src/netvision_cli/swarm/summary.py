"""The summary of a run, as data and as text: computed once from its last snapshot."""

import math
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from netvision_cli import __version__
from netvision_cli.client import Readiness
from netvision_cli.escaping import escape
from netvision_cli.swarm.colors import BAD, GOOD, WARNING, Paint, plain
from netvision_cli.swarm.findings import Findings
from netvision_cli.swarm.history import BUSY_SHARE
from netvision_cli.swarm.latency import TIMES
from netvision_cli.swarm.outages import MIN_SECONDS, Outages, iso
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.tally import FIELDS_BY_ROLE, Role, Tally
from netvision_cli.swarm.thresholds import Threshold, Verdict
from netvision_cli.swarm.workload import DUPLICATE_DELETE_SHARE

BUSY_TOO_LONG = 0.2
"""A run whose process was busy for more than this share of the time measured that process."""

LISTED_OUTAGES = 10
OUTAGE_KINDS = ("writes", "reads")

COLUMNS = ("count", "rate", *TIMES, "errors", "retries")


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What the summary shows of a run besides its numbers."""

    seed: int
    command: str
    """The command that repeats it."""

    server: Readiness | None
    is_checked: bool
    """Whether a final read settled the account."""

    outages: dict[str, Any]
    """When the server was away, as `Outages.as_dict` returns it."""

    error_kinds: dict[str, int]
    """How many calls failed in which way."""

    spread: dict[str, float]
    """How much each metric varied between the parts of the run."""

    busy_seconds: float
    """For how long this process used nearly a whole core."""

    heartbeats: dict[str, Any] | None = None
    """Their numbers, as `Heartbeats.as_dict` returns them; None if there were none."""

    loss: dict[str, Any] | None = None
    """What was lost and when it was acknowledged, as `describe_loss` returns it."""

    longest_stale: float = 0.0
    """How old the oldest stale read was, in seconds."""

    is_strict: bool = False
    """Whether stale reads spoil the account."""


def summarize(end: Snapshot, info: RunInfo, thresholds: tuple[Threshold, ...] = ()) -> dict[str, Any]:
    """Gather everything that is reported at the end; durations of calls are in milliseconds."""
    calls = end.figures()
    response = calls.pop("response", None)
    server = info.server
    summary = {
        "seed": info.seed,
        "seconds": round(end.seconds, 3),
        "ended": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": info.command,
        "client": f"netvision {__version__}, Python {platform.python_version()}",
        "server": escape(f"netvision {server.version}, {server.database}") if server else "unknown",
        "machine": machine(),
        "calls": calls,
        **({"response": timed_only(response)} if response else {}),
        "rates": {"created": round(end.rate(end.tally.created), 1), "deleted": round(end.rate(end.deleted), 1)},
        "attempts": end.attempts,
        "errors": end.errors,
        "error_kinds": info.error_kinds,
        "retries": end.retries,
        "outages": info.outages,
        "account": end.tally.as_dict(),
        **({"heartbeats": info.heartbeats} if info.heartbeats else {}),
        "longest_stale": round(info.longest_stale, 3),
        "loss": info.loss,
        "checked": info.is_checked,
        "balances": info.is_checked and balances(end.tally, is_strict=info.is_strict),
        "verdict": verdict(end.tally, info),
        "spread": info.spread,
        "cpu": round(end.cpu, 3),
        "warning": bottleneck_warning(info.busy_seconds, end.seconds),
    }
    return summary | {"thresholds": [asdict(threshold.judge(summary)) for threshold in thresholds]}


def timed_only(figures: dict[str, float]) -> dict[str, float]:
    """Leave out what a response time does not have: errors and retries belong to calls."""
    return {name: figures[name] for name in figures if name not in {"errors", "retries"}}


def machine() -> str:
    """Describe this machine."""
    return f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"


def bottleneck_warning(busy_seconds: float, seconds: float) -> str | None:
    """Warn that the numbers are not the server's, if this process itself limited the run."""
    if busy_seconds <= BUSY_TOO_LONG * seconds:
        return None
    return (
        f"for {busy_seconds:.0f} of {seconds:.0f} s this process used more than {BUSY_SHARE:.0%} of a core:"
        " these numbers describe netvision, not the server"
    )


def balances(tally: Tally, *, is_strict: bool) -> bool:
    """Return whether every record was kept, and with `--strict` also whether every read was up to date."""
    return tally.balances and not (is_strict and tally.stale)


def verdict(tally: Tally, info: RunInfo) -> str:
    """State what the account proves."""
    if not info.is_checked:
        return "The account could not be checked: there was no final read."
    if balances(tally, is_strict=info.is_strict):
        return (
            "Every record acknowledged was kept until it was deleted, once:"
            f" {terms(tally, Role.ORIGIN)} = {terms(tally, Role.FATE)}.{proof(info.heartbeats)}"
        )
    names = [*FIELDS_BY_ROLE[Role.HARM], *(["stale"] if info.is_strict else [])]
    harms = {name: getattr(tally, name) for name in names}
    found = ", ".join(f"{count} {name}" for name, count in harms.items() if count) or "the numbers are not even"
    hint = (
        " Records that another client deleted, or whose DELETE a proxy sent twice, count as lost too: this run cannot"
        " distinguish them."
        if tally.lost
        else ""
    )
    return f"The account does not balance: {found}.{hint}"


def proof(heartbeats: Mapping[str, Any] | None) -> str:
    """Write how short a loss the heartbeats would have shown."""
    insert, delete = (heartbeats or {}).get("noticed", {}).values() or (None, None)
    if insert is None:
        return ""
    if delete is None:
        return f" Heartbeats would have shown any loss of inserts longer than {grain(insert)} s."
    return f" Heartbeats would have shown any loss longer than {grain(max(insert, delete))} s."


def grain(seconds: float) -> str:
    """Write a bound in seconds, rounded up."""
    return f"{math.ceil(100 * seconds) / 100:.2f}"


def describe_loss(findings: Findings, tally: Tally, outages: Outages, evidence: str | None) -> dict[str, Any] | None:
    """Return how much is gone and when it was acknowledged; None if nothing is."""
    first, last = findings.first, findings.last
    if not findings.found:
        return None
    times = (None if at is None else iso(outages.clock_time(at)) for at in (first, last))
    began = None if last is None else outages.next_beginning(last)
    return {
        "inserts": tally.lost,
        "deletes": tally.resurrected,
        **dict(zip(("first", "last"), times, strict=True)),
        "seconds": None if first is None or last is None else round(last - first, 3),
        "before_outage": None if first is None or began is None else round(max(0.0, began - first), 3),
        "evidence": evidence,
    }


def loss_line(loss: Mapping[str, Any]) -> str:
    """Write how much is gone, when it was acknowledged, and where to find each record."""
    text = f"lost {loss['inserts']} inserts and {loss['deletes']} deletions"
    if loss["first"]:
        first, last = (datetime.fromisoformat(loss[at]) for at in ("first", "last"))
        text += f", acknowledged {clock(first)} to {clock(last)} UTC"
        text += f", {loss['seconds']:.1f} s" if loss["before_outage"] is None else ""
    if loss["before_outage"] is not None:
        text += f": {loss['before_outage']:.1f} s before the outage"
    return text + (f" (evidence: {loss['evidence']})" if loss["evidence"] else "")


def clock(at: datetime) -> str:
    """Write a time of day with hundredths of a second."""
    return f"{at:%H:%M:%S}.{at.microsecond // 10_000:02}"


def terms(tally: Tally, role: Role) -> str:
    """Write one side of the balance as a sum."""
    return " + ".join(f"{getattr(tally, name)} {name}" for name in FIELDS_BY_ROLE[role])


def render(summary: dict[str, Any], paint: Paint = plain) -> str:
    """Write a summary as text, with a table of the calls."""
    lines = [
        f"ran {summary['seconds']:.1f} s with seed {summary['seed']}: {summary['client']}; server: {summary['server']}",
        "",
        row("ms", dict(zip(COLUMNS, COLUMNS, strict=True))),
        *(row(name, calls) for name, calls in timed_rows(summary).items()),
        records_per_second(summary["rates"]),
        *([error_line(summary["error_kinds"])] if summary["errors"] else []),
        *availability_lines(summary["outages"]),
        "",
        *account_lines(summary["account"], paint),
        *([paint(loss_line(summary["loss"]), BAD)] if summary["loss"] else []),
        *([stale_line(summary)] if summary["longest_stale"] else []),
        paint(summary["verdict"], GOOD if summary["balances"] else BAD),
        *(threshold_line(Verdict(**judged), paint) for judged in summary["thresholds"]),
    ]
    if summary["warning"]:
        lines.append(paint(f"Warning: {summary['warning']}.", WARNING))
    return "\n".join(lines)


def records_per_second(rates: Mapping[str, float]) -> str:
    """Write how many records were created and deleted per second, and why that is not the rate of the requests."""
    return (
        f"{rates['created']:,} records created and {rates['deleted']:,} deleted per second;"
        f" the rates of calls count requests, and {DUPLICATE_DELETE_SHARE:.0%} of the deletions are requested twice"
    )


def error_line(kinds: Mapping[str, int]) -> str:
    """Write how many calls failed in which way, the most frequent first."""
    return "errors: " + ", ".join(
        f"{count:,} {kind}" for kind, count in sorted(kinds.items(), key=lambda kind: -kind[1])
    )


def account_lines(account: Mapping[str, int], paint: Paint) -> Iterator[str]:
    """Write the numbers of the account; of those that should be zero, only the others."""
    balance = FIELDS_BY_ROLE[Role.ORIGIN] + FIELDS_BY_ROLE[Role.FATE]
    yield ", ".join(f"{name} {account[name]}" for name in balance)
    if harms := [f"{name} {account[name]}" for name in FIELDS_BY_ROLE[Role.HARM] if account[name]]:
        yield paint(", ".join(harms), BAD)
    if notes := [f"{name} {account[name]}" for name in FIELDS_BY_ROLE[Role.NOTE] if account[name]]:
        yield ", ".join(notes)


def threshold_line(verdict: Verdict, paint: Paint) -> str:
    """Write a threshold."""
    return paint(str(verdict), BAD if verdict.missed else GOOD)


def stale_line(summary: Mapping[str, Any]) -> str:
    """Write how old stale reads were."""
    return f"the oldest stale read was {summary['longest_stale']:.1f} s old"


def availability_lines(outages: dict[str, Any]) -> Iterator[str]:
    """Write the outages of writes and of reads, or in one line that there were none."""
    kinds = {kind: outages[kind] for kind in OUTAGE_KINDS if kind in outages}
    if not any(each["count"] for each in kinds.values()):
        yield from outage_lines(outages)
    for kind, each in kinds.items():
        yield from outage_lines(each, f" of {kind}")
    yield from outage_counts(outages)


def outage_counts(outages: dict[str, Any]) -> Iterator[str]:
    """Write how available writes and reads were, by the heartbeats."""
    kinds = {kind: outages[kind] for kind in OUTAGE_KINDS if kind in outages}
    if not kinds:
        return
    if not any(each["count"] for each in kinds.values()):
        yield f"no outage of {' or '.join(kinds)} of {MIN_SECONDS:g} s or more"
        return
    shares = (f"{kind} {each['availability']:.2f} %" for kind, each in kinds.items())
    yield f"availability: {', '.join(shares)} of {max(each['watched'] for each in kinds.values()):.1f} s"


def outage_lines(outages: dict[str, Any], of: str = "") -> Iterator[str]:
    """Write how often and how long the server was away, and list the longest times in order."""
    if not outages["count"]:
        return
    counted = f"1 outage{of}" if outages["count"] == 1 else f"{outages['count']} outages{of}"
    yield ""
    yield f"{counted}, {outages['total']:.1f} s in total, the longest {outages['longest']:.1f} s:"
    listed = sorted(outages["periods"], key=lambda period: -float(period["seconds"]))[:LISTED_OUTAGES]
    for period in sorted(listed, key=lambda period: float(period["began"])):
        yield f"  {describe_outage(period)}"
    if more := outages["count"] - len(listed):
        yield f"  and {more} more"


def describe_outage(period: dict[str, Any]) -> str:
    """Write one outage: when by the clock, how long, why."""
    at = datetime.fromisoformat(period["at"])
    until = "" if period["has_ended"] else ", to the end of the run"
    return f"{at:%H:%M:%S} UTC, {period['seconds']:.1f} s{until}: {period['error']}"


def timed_rows(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the numbers of everything that has durations, by name."""
    return {**summary["calls"], **({"response": summary["response"]} if "response" in summary else {})}


def row(name: str, cells: dict[str, Any]) -> str:
    """Write one row of the table of calls."""
    return f"{name:<8}" + "".join(f"{cell_text(cells.get(name, '-')):>8}" for name in COLUMNS)


def cell_text(cell: float | str) -> str:
    """Write one cell."""
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if cell >= 1000 else f"{cell:.4g}"  # noqa: PLR2004 - from here on a fraction means nothing
