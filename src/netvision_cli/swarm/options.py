"""The options of a swarm, as a frozen value."""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from netvision_cli.keys import MAX_BATCH
from netvision_cli.option_spec import Notation, Option
from netvision_cli.options import DURATION
from netvision_cli.swarm.thresholds import Threshold
from netvision_cli.units import format_duration, parse_duration


class Range(NamedTuple):
    """The least and the most of something."""

    low: int
    high: int

    def __str__(self) -> str:
        """Return the range as it is parsed."""
        return f"{self.low}:{self.high}"


split_range = re.compile(r"([0-9]{1,9})(?::([0-9]{1,9}))?").fullmatch


def parse_range(text: object) -> Range:
    """Parse `10:100`, or `50` for always the same; raises ValueError for anything else."""
    match = split_range(str(text))
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= low <= high <= MAX_BATCH:
        msg = f"{text!r} is not a range such as 10:100, from 1 to {MAX_BATCH}"
        raise ValueError(msg)
    return Range(low, high)


BATCH = Range(10, 100)
RANGE = Notation(parse=parse_range, format=str, metavar="MIN:MAX")
WAIT = Notation(parse=parse_duration, format=format_duration, metavar="DURATION")
THRESHOLD = Notation(parse=Threshold.parse, format=str, metavar="EXPRESSION")

Work = partial(Option, group="Work")
End = partial(Option, group="Start and end")
Result = partial(Option, group="Results")


@dataclass(frozen=True, kw_only=True)
class SwarmOptions:
    """What the swarm does, and for how long."""

    producers: Annotated[int, Work("Tasks that insert batches.", min=1)] = 2
    consumers: Annotated[int, Work("Tasks that fetch records and delete them.", min=1)] = 16
    batch: Annotated[Any, Work("Records per batch.", **RANGE)] = BATCH
    length: Annotated[int, Work("Characters per text; a batch has at most 1 MiB of text, or one record.", min=1)] = 16
    fetch: Annotated[int, Work("Records that a consumer fetches at once.", min=1, max=1000)] = 10
    rate: Annotated[float | None, Work("Records to offer per second, however slow the server is.", min=0.001)] = None
    backlog: Annotated[int, Work("Producers wait while more of the swarm's records are stored; 0: never.", min=0)] = (
        1000
    )
    seed: Annotated[int | None, Work("The same seed offers the same texts and batch sizes.")] = None
    delete_foreign: Annotated[bool, Work("Delete whatever is fetched, including records of others.")] = False
    heartbeat: Annotated[
        float, Work("Time between two records beside the work, which show outages and what is lost; 0: none.", **WAIT)
    ] = 0.1
    hold: Annotated[float, Work("How old a heartbeat is when it is deleted; one in two stays longer.", **DURATION)] = (
        30.0
    )
    read_url: Annotated[
        str | None, Work("Fetch from this server instead, such as a replica; the final read asks --url.")
    ] = None
    duration: Annotated[float | None, End("Stop after this time; by default never.", **DURATION)] = None
    records: Annotated[int | None, End("Stop when this many records are inserted.", min=1)] = None
    wait: Annotated[float, End("How long to wait for the server at the start and for the final read.", **WAIT)] = 30.0
    leave: Annotated[bool, End("Do not delete the remaining records at the end.")] = False
    clean: Annotated[
        bool,
        End("Only delete what swarms that have ended left stored; those that change within --interval are running."),
    ] = False
    interval: Annotated[float, Result("Time between two lines.", **DURATION)] = 10.0
    fail_if: Annotated[
        tuple[Threshold, ...],
        Result("Exit with status 99 if this is true, such as 'delete.p99>50ms'.", **THRESHOLD),
    ] = ()
    strict: Annotated[bool, Result("Stale reads spoil the account too.")] = False
    evidence: Annotated[Path | None, Result("Write what was lost to this file, one record per line, as JSON.")] = None
    compare: Annotated[Path | None, Result("Compare with an earlier run: a file that --json wrote.")] = None
    report: Annotated[Path | None, Result("Write the run as a page to this file.")] = None
    json: Annotated[bool, Result("Print each line, and the summary, as JSON.")] = False
