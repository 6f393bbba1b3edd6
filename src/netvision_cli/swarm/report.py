"""A run as one self-contained page: HTML and SVG, without scripts or external resources."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from importlib.resources import files
from typing import Any
from xml.etree.ElementTree import Element, tostring

from netvision_cli.swarm.comparison import BETTER, WORSE, changes, notes
from netvision_cli.swarm.latency import MAIN_TIMES, middle_of
from netvision_cli.swarm.plots import (
    Band,
    Series,
    Value,
    distribution,
    element,
    format_elapsed,
    format_number,
    over_time,
)
from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.summary import COLUMNS, OUTAGE_KINDS, cell_text, loss_line, outage_counts, timed_rows
from netvision_cli.swarm.tally import FIELDS_BY_ROLE, MEANINGS, Role
from netvision_cli.swarm.thresholds import Verdict
from netvision_cli.swarm.workload import DUPLICATE_DELETE_SHARE

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = files("netvision_cli.swarm").joinpath("report.css")

BUCKETS_PER_POINT = 6
"""How many buckets of a histogram make one point of its drawing, which is twelve per cent wide."""


MAX_READINGS = 60
"""How many times a plot has whose values can be read off, at most; neighbours are merged."""


def report(summary: dict[str, Any], intervals: Sequence[Snapshot], earlier: dict[str, Any] | None = None) -> str:
    """Write the page of a run from its summary and its history, and from the summary of an earlier run."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width"),
        element("title", f"netvision swarm, {summary['ended']}"),
        element("style", STYLE.read_text(encoding="utf-8")),
    )
    sections = (
        outcome(summary),
        facts(summary),
        calls(summary),
        comparison(summary, earlier),
        time(summary, intervals),
        spread(intervals),
        account(summary),
    )
    body = element("body", *(part for section in sections for part in section))
    return "<!DOCTYPE html>\n" + tostring(element("html", head, body, lang="en"), encoding="unicode", method="html")


def outcome(summary: Mapping[str, Any]) -> Iterator[Element]:
    """Show the outcome: the verdict on the account, warnings, thresholds."""
    verdicts = [Verdict(**judged) for judged in summary["thresholds"]]
    missed = sum(verdict.missed for verdict in verdicts)
    parts = [
        element("h1", "netvision swarm"),
        remark(f"{format_elapsed(summary['seconds'])} with seed {summary['seed']}, ended {summary['ended']}"),
        element("p", summary["verdict"], class_="good" if summary["balances"] else "bad"),
    ]
    if summary["loss"]:
        parts.append(element("p", loss_line(summary["loss"]), class_="bad"))
    if missed:
        parts.append(element("p", f"{missed} of {len(verdicts)} thresholds missed.", class_="bad"))
    yield element("header", *parts, class_="failed" if missed or not summary["balances"] else "passed")
    if summary["warning"]:
        yield element("p", f"Warning: {summary['warning']}.", class_="bad")
    if verdicts:
        yield element("h2", "Thresholds")
        yield table(("fail if", "it was", ""), [threshold(verdict) for verdict in verdicts])


def threshold(verdict: Verdict) -> tuple[Element, ...]:
    """Write the row of a threshold."""
    word = element("td", "failed" if verdict.missed else "passed", class_="bad" if verdict.missed else "good")
    return cell(verdict.fail_if), cell(verdict.shown), word


def facts(summary: Mapping[str, Any]) -> Iterator[Element]:
    """Show what measured what, and how to repeat it."""
    yield element("h2", "What ran")
    named = {
        "client": summary["client"],
        "server and database": summary["server"],
        "machine of the client": summary["machine"],
        "own CPU": f"{summary['cpu']:.0%} of a core",
        "seed": str(summary["seed"]),
    }
    yield table(("", ""), [(cell(name), cell(fact)) for name, fact in named.items()])
    yield element("p", "Repeat it with:")
    yield element("pre", summary["command"])


def calls(summary: Mapping[str, Any]) -> Iterator[Element]:
    """Tabulate the calls of the whole run."""
    yield element("h2", "Calls")
    rates = summary["rates"]
    yield element(
        "p",
        f"{rates['created']:,} records created and {rates['deleted']:,} deleted per second;"
        f" {summary['errors']:,} of {summary['attempts']:,} calls failed. The table counts requests, and"
        f" {DUPLICATE_DELETE_SHARE:.0%} of the deletions are requested twice. Durations are in milliseconds.",
    )
    yield from map(remark, outage_counts(summary["outages"]))
    rows = [
        (cell(name), *(number(figures.get(column, "")) for column in COLUMNS))
        for name, figures in timed_rows(summary).items()
    ]
    yield table(("", *COLUMNS), rows)
    if "response" in summary:
        yield remark("A response time counts from the intended start of its batch, an insert from when it was sent.")


def comparison(summary: dict[str, Any], earlier: dict[str, Any] | None) -> Iterator[Element]:
    """Tabulate what has changed since an earlier run."""
    if not earlier:
        return
    yield element("h2", "Compared with an earlier run")
    yield element("pre", str(earlier.get("command")))
    styles = {BETTER: "good", WORSE: "bad"}
    rows = []
    for change in changes(earlier, summary):
        name, before, now, difference = change.cells
        word = element("td", change.outcome, class_=styles.get(change.outcome, "dim"))
        rows.append((cell(name), word, number(difference), number(before), number(now)))
    yield table(("", "", "change", "before", "now"), rows)
    for note in notes(earlier, summary):
        yield element("p", note, class_="bad")


def time(summary: Mapping[str, Any], intervals: Sequence[Snapshot]) -> Iterator[Element]:
    """Draw what happened when."""
    if not intervals:
        return
    bands = list(events(summary, intervals))
    yield element("h2", "Over time")
    if bands:
        listed = [(cell(format_elapsed(band.start)), cell(format_elapsed(band.end)), cell(band.name)) for band in bands]
        yield table(("from", "to", "event (shaded below)"), listed)
    fewer = coarser(intervals)
    for (heading, unit, curves), (_, _, merged) in zip(drawings(intervals), drawings(fewer), strict=True):
        series, readings = Series(times_of(intervals), curves), Series(times_of(fewer), merged)
        drawing = over_time(heading, series, readings, unit, bands)
        yield element("section", element("h3", heading), drawing, values(readings, unit))


def times_of(intervals: Sequence[Snapshot]) -> list[tuple[float, float]]:
    """Return when each interval began and ended."""
    return [(span.until - span.seconds, span.until) for span in intervals]


def coarser(intervals: Sequence[Snapshot]) -> list[Snapshot]:
    """Merge neighbours so that a table of them can be read."""
    size = -(-len(intervals) // MAX_READINGS)
    return [reduce(Snapshot.merged, intervals[start : start + size]) for start in range(0, len(intervals), size)]


def values(readings: Series, unit: str) -> Element:
    """Tabulate the values of a plot; the table opens on demand."""
    rows = [
        (cell(format_elapsed(end)), *(number(formatted(curve[place])) for curve in readings.curves.values()))
        for place, (_, end) in enumerate(readings.times)
    ]
    headings = ("until", *(f"{name} {unit}".rstrip() for name in readings.curves))
    return element("details", element("summary", "Values"), table(headings, rows))


def formatted(value: Value) -> str:
    """Write a value of a plot; nothing if there is none."""
    return "" if value is None else format_number(value)


def drawings(intervals: Sequence[Snapshot]) -> Iterator[tuple[str, str, dict[str, list[Value]]]]:
    """Yield what is drawn over time: heading, unit and curves."""

    def curve(value: Callable[[Snapshot], Value]) -> list[Value]:
        return [value(span) for span in intervals]

    rates = {"deleted": curve(lambda s: s.rate(s.deleted)), "created": curve(lambda s: s.rate(s.tally.created))}
    yield "Records per second", "/s", rates
    for name in intervals[0].timed:
        heading = "From intended start to acknowledgement" if name == "response" else f"How long {name} took"
        yield heading, "ms", percentiles(intervals, name)
    yield "Records waiting to be deleted", "", {"waiting": curve(lambda s: s.outstanding)}
    failures = {"errors": curve(lambda s: s.rate(s.errors)), "retries": curve(lambda s: s.rate(s.retries))}
    yield "Calls that failed or were retried, per second", "/s", failures
    yield "Own CPU, of a core", "%", {"own CPU": curve(lambda s: 100 * s.cpu)}


def percentiles(intervals: Sequence[Snapshot], name: str) -> dict[str, list[Value]]:
    """Return the percentiles of one kind of call in each interval, in milliseconds; None if there was no call."""
    durations = [span.timed[name].durations for span in intervals]
    return {
        label: [1000 * histogram.percentile(share) if histogram.count else None for histogram in durations]
        for label, share in MAIN_TIMES.items()
    }


def events(summary: Mapping[str, Any], intervals: Sequence[Snapshot]) -> Iterator[Band]:
    """Find when the server was away, and when the remaining records were deleted."""
    outages = summary["outages"]
    kinds = {f"no {kind}": outages[kind] for kind in OUTAGE_KINDS if kind in outages} or {"no response": outages}
    for kind, each in kinds.items():
        for period in each["periods"]:
            start = period["began"]
            yield Band(start, start + period["seconds"], f"{kind}: {period['error']}", "trouble")
    stopping = [span for span in intervals if span.is_stopping]
    if stopping:
        yield Band(stopping[0].until - stopping[0].seconds, stopping[-1].until, "deleting what remained")


def spread(intervals: Sequence[Snapshot]) -> Iterator[Element]:
    """Draw how the durations are distributed."""
    if not intervals:
        return
    whole = reduce(Snapshot.merged, intervals)
    curves = {name: shares(called.durations.counts) for name, called in whole.timed.items() if called.durations.count}
    heading = "Distribution of durations"
    explanation = remark("Per cent of the calls of each kind, by duration on a logarithmic scale.")
    yield element("section", element("h2", heading), explanation, distribution(heading, curves, "ms"))


def shares(counts: Sequence[int]) -> list[tuple[float, float]]:
    """Return durations in milliseconds, and the per cent of the calls that took about as long."""
    total = sum(counts)
    sums = [sum(counts[n : n + BUCKETS_PER_POINT]) for n in range(0, len(counts), BUCKETS_PER_POINT)]
    known = [n for n, count in enumerate(sums) if count]
    return [
        (1000 * middle_of(n * BUCKETS_PER_POINT + BUCKETS_PER_POINT // 2), 100 * sums[n] / total)
        for n in range(max(0, known[0] - 1), min(len(sums), known[-1] + 2))
    ]


def account(summary: Mapping[str, Any]) -> Iterator[Element]:
    """Tabulate the account, each number with its meaning."""
    yield element("h2", "The account")
    yield element("p", summary["verdict"])
    rows = []
    for word, meaning in MEANINGS.items():
        count = summary["account"][word]
        style = "number bad" if word in FIELDS_BY_ROLE[Role.HARM] and count else "number"
        rows.append((cell(word), element("td", f"{count:,}", class_=style), cell(meaning)))
    yield table(("", "records", "meaning"), rows)


def remark(content: str) -> Element:
    """Write a paragraph of explanation."""
    return element("p", content, class_="dim")


def table(headings: Sequence[str], rows: Sequence[Sequence[Element]]) -> Element:
    """Lay out a table."""
    styles = [one.get("class", "") for one in rows[0]]
    heads = (element("th", heading, class_=style) for heading, style in zip(headings, styles, strict=True))
    content = element("table", element("tr", *heads), *(element("tr", *row) for row in rows))
    return element("div", content, class_="scroll", tabindex="0")


def cell(content: str) -> Element:
    """Write a cell of text."""
    return element("td", content)


def number(value: float | str) -> Element:
    """Write a cell with a number."""
    return element("td", f"{value:,}" if isinstance(value, int) else cell_text(value), class_="number")
