"""Two runs side by side: the summary of an earlier one, as written by `--json`, and that of this one."""

import json
from math import isfinite
from pathlib import Path
from typing import Any

from netvision_cli.errors import UsageError
from netvision_cli.swarm.thresholds import UNITS, metrics

ENVIRONMENT_KEYS = ("client", "server", "machine")
"""What should be the same in both runs, or the numbers are hard to compare."""

WIDTHS = (20, 14, 14, 12)
MANY_TIMES = 10
CUMULATIVE = ("count", "created", "deleted")
"""Numbers that grow with the length of a run, and are not compared."""


def read_summary(path: Path) -> dict[str, Any]:
    """Read the summary in the last line of a file."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["summary"]
        if not all(map(isfinite, metrics(summary).values())):
            raise ValueError  # noqa: TRY301 - as the others
    except OSError as error:
        msg = f"cannot read {path} ({error.strerror})"
        raise UsageError(msg) from error
    except (ArithmeticError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        msg = f"{path} does not end with the summary of a run; netvision swarm --json > run.jsonl writes one"
        raise UsageError(msg) from error
    return dict(summary)


def compare(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Write a table of the numbers that do not grow with the length of a run, and list what else differs."""
    before, now = metrics(old), metrics(new)
    lines = [f"before: {old.get('command')}", f"now:    {new.get('command')}", line("", "before", "now", "change")]
    for name in UNITS:
        one, other = before.get(name), now.get(name)
        if (one or other) and not name.endswith(CUMULATIVE):
            lines.append(line(label(name), number(one), number(other), change(one, other)))
    different = [name for name in ENVIRONMENT_KEYS if old.get(name) != new.get(name)]
    lines += [f"not the same {name}: {old.get(name)}, now {new.get(name)}" for name in different]
    return "\n".join(lines)


def label(name: str) -> str:
    """Write the name of a number with its unit."""
    return f"{name} {UNITS[name]}".rstrip()


def number(value: float | None) -> str:
    """Write a number of either run."""
    return "-" if value is None else f"{value:,.10g}"


def change(before: float | None, now: float | None) -> str:
    """Write by how many per cent a number has changed."""
    if not before or now is None:
        return ""
    times = now / before
    return f"x {times:,.0f}" if times > MANY_TIMES else f"{100 * (times - 1):+.1f} %"


def line(*cells: str) -> str:
    """Write one row, the first cell left-aligned and the others right-aligned."""
    first, *others = zip(cells, WIDTHS, strict=True)
    return (first[0].ljust(first[1]) + "".join(cell.rjust(width) for cell, width in others)).rstrip()
