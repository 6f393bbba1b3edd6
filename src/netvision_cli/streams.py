"""The standard streams: one that is closed, full or left by its reader is met here, and nowhere else."""

import os
import sys
from contextlib import suppress
from typing import TextIO

from netvision_cli.errors import OutputError
from netvision_cli.escaping import escape_controls


def open_closed_streams() -> None:
    """Open a stream that was closed when the process began, or the next file or socket would get its number.

    Standard input and output are opened the wrong way, so that using them fails; messages are discarded.
    """
    for number, (name, flags) in enumerate((("stdin", os.O_WRONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, flags), number)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 - a number


def use_utf_8(*streams: TextIO) -> None:
    """Write UTF-8 with bare newlines, independent of the locale."""
    for stream in streams:
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[attr-defined]


def print_data(text: str = "", *, flush: bool = False) -> None:
    """Write to standard output as it is; raises OutputError, or BrokenPipeError if its reader is gone."""
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_stdout()
        msg = f"cannot write to standard output ({error.strerror})"
        raise OutputError(msg) from error


def discard_stdout() -> None:
    """Discard what is not written yet and all further output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(message: object) -> None:
    """Print an error in one line; it is lost if standard error cannot be written."""
    with suppress(OSError):
        print(f"Error: {escape_controls(str(message))}", file=sys.stderr, flush=True)
