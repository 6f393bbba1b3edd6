"""Durations and sizes as people write them: `500ms`, `10s`, `2h`, `10MiB`.

The client and the server do not import each other, so each has this file; a test keeps the two equal.
"""

import re
from collections.abc import Mapping

DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
SIZE_UNITS = {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
WRITTEN_SIZES = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10}

split = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)").fullmatch


def parse_duration(text: str | float) -> float:
    """Parse `500ms`, `30s`, `10m`, `2h` or a number of seconds into seconds; raises ValueError for anything else."""
    return parse_quantity(text, DURATION_UNITS, "a duration such as 500ms, 30s, 10m or 2h")


def parse_positive_duration(text: str | float) -> float:
    """Parse a duration that is greater than zero into seconds; raises ValueError for anything else."""
    seconds = parse_duration(text)
    if not seconds:
        msg = f"duration must be greater than zero: {text!r}"
        raise ValueError(msg)
    return seconds


def parse_size(text: str | float) -> int:
    """Parse `4096` or `10MiB` into bytes; raises ValueError for anything else, and for zero."""
    size = int(parse_quantity(text, SIZE_UNITS, "a size such as 4096 or 10MiB"))
    if not size:
        msg = f"size must be greater than zero: {text!r}"
        raise ValueError(msg)
    return size


def parse_quantity(text: str | float, units: Mapping[str, float], expected: str) -> float:
    """Parse a number with an optional unit; raises ValueError with what was expected."""
    match = split(str(text).strip().lower())
    if not match or match[2] not in {"", *units}:
        msg = f"{text!r} is not {expected}"
        raise ValueError(msg)
    return float(match[1]) * units.get(match[2], 1)


def format_duration(seconds: float) -> str:
    """Format seconds in the largest unit of which they are a whole multiple: `500ms`, `90s`, `2m`."""
    for unit in ("h", "m"):
        if seconds and not seconds % DURATION_UNITS[unit]:
            return f"{seconds / DURATION_UNITS[unit]:.0f}{unit}"
    return f"{seconds * 1000:.10g}ms" if 0 < seconds < 1 else f"{seconds:.10g}s"


def format_size(size: int) -> str:
    """Format bytes in the largest unit of which they are a whole multiple: `10MiB`, `4KiB`, `1000`."""
    for unit, factor in WRITTEN_SIZES.items():
        if size and not size % factor:
            return f"{size // factor}{unit}"
    return str(size)
