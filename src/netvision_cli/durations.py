"""Durations as people write and read them."""

import re

UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

split = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)").fullmatch


def parse_duration(text: str | float) -> float:
    """Read `500ms`, `30s`, `10m` or `2h` as seconds; raises ValueError for anything else."""
    match = split(str(text).strip().lower())
    if not match or match[2] not in UNITS:
        msg = f"{text!r} is not a duration such as 500ms, 30s, 10m or 2h"
        raise ValueError(msg)
    return float(match[1]) * UNITS[match[2]]


def parse_positive_duration(text: str | float) -> float:
    """Read a duration that is more than nothing; raises ValueError for anything else."""
    seconds = parse_duration(text)
    if not seconds:
        msg = f"{text!r} is no time at all"
        raise ValueError(msg)
    return seconds
