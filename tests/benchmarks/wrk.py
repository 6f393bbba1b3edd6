"""The load of wrk, where it is installed: a closed loop that is not ours, at about the same cost."""

import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile

from tests.benchmarks.load import Load, LoadError, Outcome
from tests.benchmarks.processes import finish
from tests.benchmarks.questions import MOST_PER_SECOND

SCRIPT = Path(__file__).with_suffix(".lua")
MOST_BYTES = 2**25
"""Requests that are larger than that together are not prepared: few of them are answered in a second."""


def is_installed() -> bool:
    """Tell whether there is wrk."""
    return shutil.which("wrk") is not None


async def drive_wrk(url: str, requests: Iterator[bytes], load: Load) -> Outcome:
    """Ask a server for some seconds, which are whole ones here; raises LoadError for an answer but 2xx."""
    with NamedTemporaryFile() as file:
        file.write(b"\0".join(prepared(requests, int(MOST_PER_SECOND * load.seconds))))
        file.flush()
        options = (f"-t1 -c{load.connections} -d{load.seconds:.0f}s --latency -s").split()
        ran = finish("wrk", *options, str(SCRIPT), url, "--", file.name)
    told = json.loads(ran.output.splitlines()[-1])
    if told["refused"] or told["broken"]:
        raise LoadError(f"{told['refused']} answers told of no success, and {told['broken']} did not come")
    return Outcome(told["count"], told["seconds"], told["p50"], told["p99"], ran.cpu, unseen=load.connections)


def prepared(requests: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Take so many requests, or fewer where they are large."""
    size = 0
    for request in islice(requests, count):
        size += len(request)
        if size > MOST_BYTES:
            return
        yield request
