"""A file that a run writes at its end; it is opened before the run, so that a path that cannot be written is found."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from netvision_cli.errors import NetvisionError, UsageError


class ResultFile:
    """An open file that keeps what it holds until it is written."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it for its owner alone; raises UsageError if it cannot be written."""
        self.path = path
        self.is_new = not path.exists()
        try:
            self.file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8")
        except OSError as error:
            msg = f"cannot write to {path} ({error.strerror})"
            raise UsageError(msg) from error

    def write(self, content: str) -> None:
        """Replace what the file holds, and close it; raises NetvisionError if it could not be written."""
        try:
            with self.file:
                if stat.S_ISREG(os.fstat(self.file.fileno()).st_mode):
                    self.file.truncate(0)
                self.file.write(content)
        except OSError as error:
            msg = f"cannot write to {self.path} ({error.strerror})"
            raise NetvisionError(msg) from error

    def close(self) -> None:
        """Close the file; if it was made for this run and never written, remove it."""
        if self.file.closed:
            return
        self.file.close()
        if self.is_new:
            with suppress(OSError):
                self.path.unlink()
