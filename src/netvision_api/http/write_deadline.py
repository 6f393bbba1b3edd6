"""The end of a connection whose client takes no bytes of its response."""

import struct
import sys
from asyncio import AbstractEventLoop, TimerHandle, Transport

if sys.platform == "linux":
    import fcntl
    import termios

CHECKS = 8
"""How often progress is checked within the timeout."""


class WriteDeadline:
    """Abort a connection when its client has taken nothing for too long while bytes wait to be sent."""

    def __init__(self, transport: Transport, loop: AbstractEventLoop, seconds: float) -> None:
        self.transport = transport
        self.loop = loop
        self.seconds = seconds
        self.timer: TimerHandle | None = None
        self.unsent = 0
        self.progress_at = 0.0

    def start(self) -> None:
        """Start to watch: from now on bytes wait to be sent."""
        self.unsent, self.progress_at = unsent_bytes(self.transport), self.loop.time()
        self.timer = self.loop.call_later(self.seconds / CHECKS, self.check)

    def stop(self) -> None:
        """Stop to watch."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def check(self) -> None:
        """Abort the connection if the deadline has passed, else check again later."""
        unsent, now = unsent_bytes(self.transport), self.loop.time()
        if unsent < self.unsent:
            self.unsent, self.progress_at = unsent, now
        if now - self.progress_at >= self.seconds:
            self.transport.abort()
        else:
            self.timer = self.loop.call_later(self.seconds / CHECKS, self.check)


def unsent_bytes(transport: Transport) -> int:
    """Return how many bytes wait here, and in the kernel where it tells: its buffer may take minutes to empty."""
    waiting = transport.get_write_buffer_size()
    if sys.platform != "linux":
        return waiting
    queue = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    return waiting + int(struct.unpack("i", queue)[0])
