"""What was found, as a table on the terminal, as JSON, and as a plot."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.bars import draw
from tests.benchmarks.findings import Findings, written
from tests.benchmarks.plan import Plan

WIDTH = 140


def show(findings: Findings) -> None:
    """Print a table."""
    table = Table(title=findings.title, title_justify="left", caption="\n".join(findings.notes), caption_justify="left")
    for name in findings.rows[0]:
        is_text = all(isinstance(row[name], str) for row in findings.rows)
        table.add_column(name, justify="left" if is_text else "right")
    for _, group in groupby(findings.rows, lambda row: next(iter(row.values()))):
        for row in group:
            table.add_row(*map(written, row.values()))
        table.add_section()
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


def save(name: str, findings: Findings, plan: Plan, around: Mapping[str, str], folder: Path) -> None:
    """Write findings as JSON and as a plot."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"circumstances": around, "plan": asdict(plan), **asdict(findings)}
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    (folder / f"{name}.json").write_text(text + "\n", "utf-8")
    (folder / f"{name}.svg").write_text(draw(findings.bars), "utf-8")
