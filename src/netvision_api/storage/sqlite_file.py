"""The file of an SQLite database: made for its owner alone, and held by one process at a time."""

import fcntl
import os
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from netvision_api.settings import Settings
from netvision_api.storage.errors import DatabaseFileError

OWNER_ONLY, OWNER_ONLY_DIRECTORY = 0o600, 0o700
SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock")
"""What the names of a database's files end with; SQLite gives new ones the mode of the database."""

LOCKED_BYTE = 2**62
"""A byte beyond the end of any database; SQLite's own locks are on others."""

POLL_SECONDS = 0.05


@contextmanager
def sqlite_file_lock(settings: Settings, *, timeout: float = 0) -> Iterator[None]:
    """Hold the SQLite file for this process alone; the lock is released with the process. PostgreSQL needs none.

    Waits `timeout` seconds for another process; raises DatabaseFileError if the file is locked or is no database.
    """
    if settings.sqlite_path is None:
        yield
        return
    path = settings.sqlite_path.resolve()
    with ExitStack() as locks:
        with as_database_file_error(path):
            make_directory(path.parent, is_default=settings.has_default_database)
            # The path first: another file may have been put in its place while SQLite's files beside it are in use.
            locks.enter_context(FileLock(f"{path}.lock", timeout, mode=OWNER_ONLY))
            lock_inode(locks.enter_context(opened(path)), timeout)
            restrict_to_owner(path)
            check_is_database(path)
        yield


@contextmanager
def as_database_file_error(path: Path) -> Iterator[None]:
    """Turn what keeps a file from being opened into one sentence."""
    try:
        yield
    except (Timeout, BlockingIOError) as error:
        msg = f"{path} is in use by another netvision-api; stop that one first, or name another --database-url"
        raise DatabaseFileError(msg) from error
    except FileNotFoundError as error:
        msg = f"cannot open the database {path}: there is no directory {path.parent}; make it, or name another path"
        raise DatabaseFileError(msg) from error
    except (OSError, sqlite3.Error) as error:
        msg = f"cannot open the database {path} ({getattr(error, 'strerror', None) or error})"
        raise DatabaseFileError(msg) from error


def make_directory(directory: Path, *, is_default: bool) -> None:
    """Make the directory of the default database; raises FileNotFoundError if another one is missing."""
    if is_default:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(OWNER_ONLY_DIRECTORY)
    else:
        directory.stat()


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a file, which is made if it is missing, and close it at the end; yields its descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def lock_inode(descriptor: int, timeout: float) -> None:
    """Lock a file under all its names until the descriptor is closed; raises BlockingIOError if it stays locked.

    Linux has locks that belong to the descriptor; elsewhere, closing any other one of the same file would release it.
    """
    if sys.platform != "linux":
        return
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, LOCKED_BYTE, 1, 0)
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return


def restrict_to_owner(path: Path) -> None:
    """Close the files of a database to others, if they are this user's own."""
    for suffix in SUFFIXES:
        with suppress(FileNotFoundError, PermissionError):
            path.with_name(path.name + suffix).chmod(OWNER_ONLY)


def check_is_database(path: Path) -> None:
    """Raise SQLite's error for a file that it cannot open, or that is no database; an empty one is fine."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA schema_version")
