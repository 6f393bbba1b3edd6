"""How much is measured."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path

from tests.benchmarks.load import Load


@dataclass(frozen=True)
class Plan:
    """One value per option of the command."""

    rounds: int = 5
    """How often each competitor has its turn."""

    seconds: float = 1.5
    """How long a turn is."""

    connections: tuple[int, ...] = (8, 32)
    """How many requests are under way at a time, for the parts that compare that."""

    by_wrk: bool = False
    """Whether wrk asks where it can."""

    only: tuple[str, ...] = ()
    """Competitors to leave the others out; none for all."""

    beside: Path | None = None
    """The `src` of another checkout, which competes as well."""

    rows: int = 1_000_000
    """How many records are many."""

    minutes: float = 3
    """How long churn lasts."""

    def load(self, connections: int, seconds: float) -> Load:
        """Return a load as it is planned; wrk counts in whole seconds."""
        return Load(connections, ceil(seconds) if self.by_wrk else seconds, self.by_wrk)
