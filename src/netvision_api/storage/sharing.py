"""A result that many callers share, so that none of them can have it computed more often."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")

FRESH_SECONDS = 1
"""How long a result is reused at least."""


class Shared(Generic[T]):
    """The result of a function: callers that come at the same time share one call, and those soon after its result.

    It is reused for a second, or `cost_factor` times as long as it took, if that is longer.
    """

    def __init__(self, compute: Callable[[], Awaitable[T]], cost_factor: float = 0) -> None:
        self.compute = compute
        self.cost_factor = cost_factor
        self.current: asyncio.Task[T] | None = None
        self.ended, self.seconds = -inf, 0.0

    async def __call__(self) -> T:
        """Return a recent result; raises what the function raises."""
        if self.current is None or (self.current.done() and not self.is_fresh()):
            self.current = asyncio.create_task(self.run())
        return await asyncio.shield(self.current)

    def is_fresh(self) -> bool:
        """Return whether the last result may still be used."""
        return monotonic() - self.ended < max(FRESH_SECONDS, self.cost_factor * self.seconds)

    async def run(self) -> T:
        """Call the function, and note how long its result is fresh."""
        began = monotonic()
        try:
            return await self.compute()
        finally:
            self.ended = monotonic()
            self.seconds = self.ended - began
