"""Conditions under which a run fails: expressions such as `delete.p99>50ms`, judged by its summary."""

import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from netvision_cli.swarm.latency import CALL_KINDS, TIMES
from netvision_cli.swarm.tally import ACCOUNT_FIELDS
from netvision_cli.units import parse_duration

TIMED = (*CALL_KINDS, "response")
DURATION, RATE, COUNT, SHARE = "ms", "/s", "", "%"


def units() -> Iterator[tuple[str, str]]:
    """Yield the name of everything that is measured, with its unit."""
    for timed in TIMED:
        yield from ((f"{timed}.{time}", DURATION) for time in TIMES)
        yield f"{timed}.count", COUNT
        yield f"{timed}.rate", RATE
    for call in CALL_KINDS:
        yield from ((f"{call}.errors", COUNT), (f"{call}.retries", COUNT))
    yield from (("created.rate", RATE), ("deleted.rate", RATE), ("errors", COUNT), ("retries", COUNT), ("cpu", SHARE))
    yield from (("outage.max", DURATION), ("outage.total", DURATION), ("outage.count", COUNT), ("availability", SHARE))
    yield from ((name, COUNT) for name in ACCOUNT_FIELDS)


UNITS = dict(units())
OF_ATTEMPTS = frozenset({"errors", *(f"{call}.errors" for call in CALL_KINDS)})
"""What can also be given as a share of all calls."""

NAMES = (
    f"{', '.join(TIMED)}, each with {', '.join(f'.{time}' for time in TIMES)}, .count and .rate,"
    f" the first three with .errors and .retries; created.rate, deleted.rate, errors, retries, cpu,"
    f" outage.max, outage.total, outage.count, availability,"
    f" {', '.join(ACCOUNT_FIELDS)}"
)
SIGNS = {">": ">", ">=": "≥", "<": "<", "<=": "≤"}
OPPOSITES = {">": "≤", ">=": "<", "<": "≥", "<=": ">"}
COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}

split = re.compile(r"([a-z0-9.]+)\s*(>=|<=|>|<)\s*([0-9]+(?:\.[0-9]+)?)\s*(/?[a-z%]*)").fullmatch


@dataclass(frozen=True)
class Threshold:
    """A bound on one number of the summary; the run failed if the expression is true of it."""

    text: str
    name: str
    comparison: str
    limit: float
    unit: str

    @classmethod
    def parse(cls, text: object) -> Self:
        """Parse an expression; raises ValueError that lists the valid names."""
        match = split(str(text).strip())
        if not match:
            msg = f"{text!r} is not a threshold such as 'delete.p99>50ms'; the names are {NAMES}"
            raise ValueError(msg)
        name, comparison, number, unit = match.groups()
        if name not in UNITS:
            msg = f"{text!r}: there is no {name!r}; the names are {NAMES}"
            raise ValueError(msg)
        if UNITS[name] == DURATION:
            if unit not in {"ms", "s", "m", "h"}:
                msg = f"{text!r}: {name} is a duration, so give the unit, as in {name}{comparison}{number}ms"
                raise ValueError(msg)
            return cls(str(text), name, comparison, round(parse_duration(number + unit) * 1000, 3), DURATION)
        allowed = {UNITS[name], *([SHARE] if name in OF_ATTEMPTS else []), *([COUNT] if UNITS[name] == RATE else [])}
        if unit not in allowed:
            examples = " or ".join(with_units(name, allowed))
            msg = f"{text!r}: {name} is not given in {unit or 'bare numbers'}; write {examples}"
            raise ValueError(msg)
        return cls(str(text), name, comparison, float(number), unit if unit == SHARE else UNITS[name])

    def __str__(self) -> str:
        """Write the expression as it was given."""
        return self.text

    def judge(self, summary: Mapping[str, Any]) -> "Verdict":
        """Compare with what was measured; a number that was never measured fails."""
        value = share(summary, self.name) if self.unit == SHARE else metrics(summary).get(self.name)
        missed = value is None or COMPARISONS[self.comparison](value, self.limit)
        return Verdict(self.text, value, self.unit, missed)


def with_units(name: str, allowed: set[str]) -> list[str]:
    """Write the ways in which a number can be given."""
    return [f"{name}>1{unit}" for unit in sorted(allowed)]


@dataclass(frozen=True)
class Verdict:
    """A threshold and the measured value."""

    fail_if: str
    value: float | None
    unit: str
    missed: bool

    def __str__(self) -> str:
        """Write what was measured, and which bound it keeps or breaks."""
        threshold = Threshold.parse(self.fail_if)
        sign = (SIGNS if self.missed and self.value is not None else OPPOSITES)[threshold.comparison]
        limit = shown(threshold.limit, threshold.unit)
        value = f"{NOT_MEASURED}, required" if self.value is None else self.shown
        return f"{'✗' if self.missed else '✓'} {threshold.name} {value} {sign} {limit}"

    @property
    def shown(self) -> str:
        """Write the value with its unit."""
        return NOT_MEASURED if self.value is None else shown(self.value, self.unit)


NOT_MEASURED = "never measured"


def shown(value: float, unit: str) -> str:
    """Write a number with its unit."""
    return f"{value:,.10g}{' ' * (unit == DURATION)}{unit}"


def metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a summary that a threshold can name; those that were never measured are left out."""
    found: dict[str, float] = {}
    timed = summary["calls"] | ({"response": summary["response"]} if summary.get("response") else {})
    for call, figures in timed.items():
        found |= {f"{call}.{name}": n for name, n in figures.items() if figures["count"] or name not in TIMES}
    found |= {f"{name}.rate": rate for name, rate in summary["rates"].items()}
    found |= {name: summary[name] for name in ("errors", "retries")}
    found |= summary["account"]
    found |= outage_metrics(summary.get("outages", {}))
    return found | {"cpu": round(summary["cpu"] * 100, 1)}


def outage_metrics(outages: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of the outages: of writes or of reads, whichever were worse."""
    kinds = [outages[kind] for kind in ("writes", "reads") if kind in outages] or [outages]
    if "availability" not in kinds[0]:
        return {}
    return {
        "outage.count": max(kind["count"] for kind in kinds),
        "outage.total": round(1000 * max(kind["total"] for kind in kinds)),
        "outage.max": round(1000 * max(kind["longest"] for kind in kinds)),
        "availability": min(kind["availability"] for kind in kinds),
    }


def share(summary: Mapping[str, Any], name: str) -> float | None:
    """Return a number in per cent: how many of the calls failed, or what is a share by itself."""
    if UNITS[name] == SHARE:
        return metrics(summary).get(name)
    figures = summary["calls"].get(name.partition(".")[0])
    attempts = figures["count"] + figures["errors"] if figures else summary["attempts"]
    return round(100 * metrics(summary)[name] / attempts, 4) if attempts else None
