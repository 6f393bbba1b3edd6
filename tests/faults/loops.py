"""What runs on an event loop in a thread of its own, beside a test."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

Result = TypeVar("Result")


class InThread(ABC):
    """Something with an event loop in a thread; it is started and stopped there."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.run(self.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run something in the thread to its end."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    @abstractmethod
    async def start(self) -> None:
        """Begin to work, in the thread."""

    @abstractmethod
    async def stop(self) -> None:
        """End the work, in the thread."""
