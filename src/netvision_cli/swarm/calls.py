"""The calls of a run: timed, counted, and repeated with backoff until the server responds.

Calls in flight are never cancelled: tasks check a flag between calls, and the client's own timeouts apply. While the
server is away, calls are repeated; at the start and at the end of a run only for as long as `--wait` allows.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from netvision_cli.errors import (
    RETRYABLE,
    ConnectionLost,
    NetvisionError,
    NotConnected,
    Refused,
    RefusedForNow,
    ServerError,
    TimedOut,
    Unchecked,
    UnexpectedResponse,
    Unreachable,
)
from netvision_cli.storing import backoff_seconds
from netvision_cli.swarm.latency import CALL_KINDS, Calls
from netvision_cli.swarm.lifetime import Lifetime
from netvision_cli.swarm.outages import Outages

DRAIN_PAUSE_SECONDS = 1.0
"""The longest pause between attempts after producing has ended."""

ERROR_KINDS = {
    NotConnected: "not connected",
    ConnectionLost: "connection lost",
    TimedOut: "timed out",
    UnexpectedResponse: "unexpected response",
    ServerError: "failed by the server",
    RefusedForNow: "refused for now",
}
"""How the errors that can be retried are listed; a class stands before those that it inherits from."""

T = TypeVar("T")


def error_kind(error: NetvisionError) -> str:
    """Return how an error is listed."""
    return next((words for kind, words in ERROR_KINDS.items() if isinstance(error, kind)), "no response")


class Caller:
    """Makes the calls of one run, and knows whether the server responds."""

    def __init__(self, lifetime: Lifetime, wait: float) -> None:
        self.lifetime = lifetime
        self.wait = wait
        self.calls = {kind: Calls() for kind in CALL_KINDS}
        self.error_kinds: Counter[str] = Counter()
        self.has_responded = False
        self.outages = Outages(lifetime.clock)

    async def call_with_retries(self, kind: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call until the server responds; raises what no repetition can mend."""
        failed_since, attempts = 0.0, 0
        while True:
            try:
                return await self.timed_call(kind, call)
            except RETRYABLE as error:
                failed_since = failed_since or self.lifetime.clock()
                attempts += 1
                await self.backoff(kind, attempts, failed_since, error)

    async def timed_call(self, kind: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call once, and record how long it took or that it failed."""
        started = self.lifetime.clock()
        try:
            response = await call()
        except RETRYABLE as error:
            self.calls[kind].errors += 1
            self.error_kinds[error_kind(error)] += 1
            self.outages.fail(started, str(error))
            raise
        except Refused:
            self.count_response(kind, started)
            raise
        self.count_response(kind, started)
        return response

    def count_response(self, kind: str, started: float) -> None:
        """Record a response, which also ends an outage."""
        self.calls[kind].durations.add(self.lifetime.clock() - started)
        self.has_responded = True
        self.outages.respond()

    async def backoff(self, kind: str, attempts: int, failed_since: float, error: NetvisionError) -> None:
        """Back off before the next attempt; raise if there is no point in waiting any longer."""
        if self.lifetime.failure:
            raise self.lifetime.failure
        self.calls[kind].retries += 1
        seconds = backoff_seconds(attempts, error)
        if self.lifetime.is_stopping:
            self.check_drain(failed_since, error)
            await asyncio.sleep(min(seconds, DRAIN_PAUSE_SECONDS))
            return
        if not self.has_responded and self.lifetime.elapsed > self.wait:
            raise error if isinstance(error, Unreachable) else Unreachable(str(error)) from error
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.lifetime.stopping.wait()

    def check_drain(self, failed_since: float, error: NetvisionError) -> None:
        """Give up draining if nothing can be stored, or if the server has been away for too long since the stop."""
        if not self.has_responded and isinstance(error, NotConnected):
            raise error
        if self.lifetime.clock() - max(failed_since, self.lifetime.stopped) > self.wait:
            msg = f"the account could not be checked: {error}"
            raise Unchecked(msg) from error
