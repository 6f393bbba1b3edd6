"""Durations and sizes as people write them: `500ms`, `2s`, `10MiB`."""

import re
from collections.abc import Mapping

from netvision_api.settings import Bytes, Seconds

DURATION_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
SIZE_UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}

split = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)").fullmatch


def seconds(text: str | float) -> Seconds:
    """Read a duration such as `2`, `500ms` or `1m`; raises ValueError for anything else."""
    return Seconds(quantity(text, DURATION_UNITS, "a duration such as 500ms, 2s or 1m"))


def size(text: str | float) -> Bytes:
    """Read a size such as `4096` or `10MiB`; raises ValueError for anything else."""
    return Bytes(int(quantity(text, SIZE_UNITS, "a size such as 4096 or 10MiB")))


def quantity(text: str | float, units: Mapping[str, float], wanted: str) -> float:
    """Read a number with its unit; zero is none."""
    match = split(str(text).strip().lower())
    number = float(match[1]) * units[match[2]] if match and match[2] in units else 0.0
    if number <= 0:
        msg = f"{text!r} is not {wanted}"
        raise ValueError(msg)
    return number
