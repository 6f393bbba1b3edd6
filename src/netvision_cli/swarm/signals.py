"""The signals that end a run, and terminals that are gone before it has ended."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def listen(stop: Callable[[], None], leave: Callable[[], object]) -> None:
    """Call `stop` at the first SIGINT or SIGTERM, and `leave` at the second.

    SIGHUP stops too, but several of them are one hang-up, since both the shell and the system send it; under nohup it
    is ignored.
    """
    count = 0

    def interrupt() -> None:
        nonlocal count
        count += 1
        (stop if count == 1 else leave)()

    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):
        for number in INTERRUPTS:
            loop.add_signal_handler(number, interrupt)
        hang_up = getattr(signal, "SIGHUP", None)
        if hang_up and signal.getsignal(hang_up) is not signal.SIG_IGN:
            loop.add_signal_handler(hang_up, stop)


class Terminals:
    """Which of the standard streams are terminals; output to one that is gone is discarded."""

    def __init__(self) -> None:
        self.streams = [stream for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    def discard_lost(self) -> None:
        """Discard further output to terminals that are gone: the run still has records to delete."""
        for stream in self.streams:
            if not stream.isatty():
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_reader_gone(error: BaseException) -> bool:
    """Return whether an error is that nobody reads the output any more: a closed pipe, or a terminal that is gone."""
    return isinstance(error, OSError) and error.errno in {errno.EPIPE, errno.EIO}
