"""What a part found: a table of everything, and bars of what tells most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Cell = str | float | None
Row = Mapping[str, Cell]
"""Cells under the names of their columns."""


@dataclass(frozen=True)
class Bars:
    """Values of one unit: groups of bars, a bar per name."""

    title: str
    groups: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Findings:
    """The numbers of one part."""

    title: str
    rows: Sequence[Row]
    """All with the same columns."""

    bars: Bars
    notes: Sequence[str] = ()


def grouped(rows: Sequence[Row], group: str, name: str, value: str) -> Mapping[str, Mapping[str, float]]:
    """Make bars of a column of numbers: one for each row, named and grouped by two other columns."""
    groups: dict[str, dict[str, float]] = {}
    for row in rows:
        if isinstance(number := row[value], int | float):
            groups.setdefault(str(row[group]), {})[str(row[name])] = number
    return groups


def written(cell: Cell) -> str:
    """Write a number with the digits that mean something."""
    if cell is None:
        return "-"
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
