"""Terminals that a test can look at: what a command writes to them, and what a person would see."""

import os
import pty
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pyte

from tests.cli.commands import COMMAND, END_SECONDS, environment, read_terminal

ROWS, COLUMNS = 24, 80
REMEMBERED_ROWS = 1000


class Terminal:
    """A terminal of 80 by 24; `file` is what a process writes to."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (ROWS, COLUMNS))
        self.file: IO[bytes] = os.fdopen(slave, "wb", buffering=0)
        self.written = b""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        """Gather what is written until everyone has left the terminal."""
        while data := read_terminal(self.master):
            self.written += data

    def close(self) -> None:
        """Leave the terminal, and wait for the rest."""
        self.file.close()
        self.reader.join()
        os.close(self.master)

    def seen(self) -> list[str]:
        """Return the lines that stand on the screen or were scrolled off it, as a person saw them last."""
        screen = pyte.HistoryScreen(COLUMNS, ROWS, history=REMEMBERED_ROWS)
        pyte.ByteStream(screen).feed(self.written)
        scrolled = ["".join(row[column].data for column in range(COLUMNS)).rstrip() for row in screen.history.top]
        return scrolled + [row.rstrip() for row in screen.display]


@contextmanager
def terminal() -> Iterator[Terminal]:
    """Open a terminal for a while; what it got can be looked at afterwards too."""
    opened = Terminal()
    try:
        yield opened
    finally:
        opened.close()


def run_on(out: IO[bytes], err: IO[bytes], url: str, *arguments: str, **more: str) -> int:
    """Run a command on terminals or files to its end; return its exit code."""
    variables = environment(url, TERM="xterm-256color") | more
    return subprocess.run(
        [*COMMAND, *arguments],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
        timeout=END_SECONDS,
        check=False,
    ).returncode
