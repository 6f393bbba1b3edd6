"""How much the numbers of a run vary by themselves: between its parts, while it works."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from statistics import pstdev

from netvision_cli.swarm.latency import TIMES
from netvision_cli.swarm.snapshot import Snapshot

PARTS = 10
MIN_PARTS = 3
MIN_SECONDS = 0.5


def spread(intervals: Sequence[Snapshot]) -> dict[str, float]:
    """Return the standard deviation of each metric between the parts of a run; nothing if it was too short for parts.

    A tenth of the run varies more than the whole of it, so a change that is smaller may come from the run alone.
    """
    working = [span for span in intervals if not span.is_stopping and span.seconds >= MIN_SECONDS]
    measured = [part_metrics(part) for part in parts(working)]
    if len(measured) < MIN_PARTS:
        return {}
    values = {name: [part[name] for part in measured if name in part] for name in measured[0]}
    return {name: round(pstdev(found), 4) for name, found in values.items() if len(found) >= MIN_PARTS}


def parts(intervals: Sequence[Snapshot]) -> Iterator[Snapshot]:
    """Yield parts of a run, of equally many intervals or one more."""
    count = min(PARTS, len(intervals))
    for part in range(count):
        start, end = part * len(intervals) // count, (part + 1) * len(intervals) // count
        yield reduce(Snapshot.merged, intervals[start:end])


def part_metrics(part: Snapshot) -> Mapping[str, float]:
    """Return the metrics of one part, by the names of thresholds."""
    rates = {"created.rate": part.rate(part.tally.created), "deleted.rate": part.rate(part.deleted)}
    found = {**rates, "cpu": 100 * part.cpu}
    for call, figures in part.figures().items():
        if figures["count"]:
            found |= {f"{call}.{name}": figures[name] for name in (*TIMES, "rate")}
    return found
