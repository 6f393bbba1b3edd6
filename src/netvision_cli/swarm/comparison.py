"""Two runs side by side: the summary of an earlier one, as written by `--json`, and that of this one."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netvision_cli.errors import UsageError
from netvision_cli.escaping import escape
from netvision_cli.swarm.colors import BAD, GOOD, WARNING, Paint, plain
from netvision_cli.swarm.tally import ACCOUNT_FIELDS, FIELDS_BY_ROLE, Role
from netvision_cli.swarm.thresholds import RATE, UNITS, metrics

ENVIRONMENT_KEYS = ("client", "server", "machine")
"""What should be the same in both runs, or the numbers are hard to compare."""

WIDTHS = (20, 14, 14, 12)
MANY_TIMES = 10
CUMULATIVE = ("count", "created", "deleted")
"""Numbers that grow with the length of a run, and are not compared."""

BETTER, WORSE, NOISE, NEUTRAL = "better", "worse", "within the noise", ""
STYLES = {BETTER: GOOD, WORSE: BAD, NOISE: "dim", NEUTRAL: ""}
NOISE_UNKNOWN = "one of the runs was too short to tell what is within the noise"


def read_summary(path: Path) -> dict[str, Any]:
    """Read the summary in the last line of a file."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["summary"]
        if not all(map(math.isfinite, [*metrics(summary).values(), *summary.get("spread", {}).values()])):
            raise ValueError  # noqa: TRY301 - as the others
    except OSError as error:
        msg = f"cannot read {path} ({error.strerror})"
        raise UsageError(msg) from error
    except (ArithmeticError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        msg = f"{path} does not end with the summary of a run; netvision swarm --json > run.jsonl writes one"
        raise UsageError(msg) from error
    return {name: escape(value) if isinstance(value, str) else value for name, value in summary.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """One number in both runs."""

    name: str
    before: float | None
    now: float | None
    outcome: str

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Write its name with the unit, both values, and by how much it has changed."""
        name = f"{self.name} {UNITS[self.name]}".rstrip()
        return name, number(self.before), number(self.now), change(self.before, self.now)


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Yield the numbers that do not grow with the length of a run, and whether each is better or worse."""
    before, now = metrics(old), metrics(new)
    for name in UNITS:
        one, other = before.get(name), now.get(name)
        if (one or other) and not name.endswith(CUMULATIVE):
            yield Change(name, one, other, outcome(name, one, other, noise(name, old, new)))


def outcome(name: str, before: float | None, now: float | None, noise: float | None) -> str:
    """Return whether a number is better or worse than before, or has changed by no more than the noise."""
    if before is None or now is None or before == now or not (direction := better_if(name)):
        return NEUTRAL
    if noise is not None and abs(now - before) <= noise:
        return NOISE
    return BETTER if (now - before) * direction > 0 else WORSE


def better_if(name: str) -> int:
    """Return 1 if a number should be high, -1 if it should be low, 0 if neither."""
    if UNITS[name] == RATE or name == "availability":
        return 1
    return 0 if name in ACCOUNT_FIELDS and name not in FIELDS_BY_ROLE[Role.HARM] else -1


def noise(name: str, old: dict[str, Any], new: dict[str, Any]) -> float | None:
    """Return by how much a number can differ between two runs that are equal; None if that is unknown.

    What is measured differs by as much as the parts of the runs among themselves; errors by the root of their number;
    and any harm to a record is no noise.
    """
    if name in ACCOUNT_FIELDS:
        return 0.0
    if name.endswith(("errors", "retries")):
        return 2 * math.sqrt(metrics(old)[name] + metrics(new)[name])
    before, now = (summary.get("spread", {}).get(name) for summary in (old, new))
    return None if before is None or now is None else math.hypot(before, now)


def notes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Write what makes the two runs hard to compare."""
    different = [name for name in ENVIRONMENT_KEYS if old.get(name) != new.get(name)]
    found = [f"not the same {name}: {old.get(name)}, now {new.get(name)}" for name in different]
    is_unknown = not (old.get("spread") and new.get("spread"))
    return [*found, *([NOISE_UNKNOWN] if is_unknown else [])]


def compare(old: dict[str, Any], new: dict[str, Any], paint: Paint = plain) -> str:
    """Write a table of what has changed, and list what else differs."""
    lines = [
        f"before: {old.get('command')}",
        f"now:    {new.get('command')}",
        line("", "before", "now", "change"),
        *(painted_line(change, paint) for change in changes(old, new)),
        *(paint(note, WARNING) for note in notes(old, new)),
    ]
    return "\n".join(lines)


def painted_line(change: Change, paint: Paint) -> str:
    """Write the row of one number, with its outcome."""
    text = line(*change.cells)
    return f"{text}  {paint(change.outcome, STYLES[change.outcome])}" if change.outcome else text


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
