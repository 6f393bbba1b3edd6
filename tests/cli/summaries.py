"""What a run wrote, read back."""

import json
from typing import Any

from tests.cli.commands import Ended


def summary_of(done: Ended) -> dict[str, Any]:
    """Read the last line of a run in JSON."""
    summary: dict[str, Any] = json.loads(done.lines[-1])["summary"]
    return summary
