"""How the server logs: to standard error, as text or as JSON, at a bounded rate, and never waiting for a reader."""

import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from queue import Full, Queue
from threading import Thread
from time import monotonic
from typing import Any

import msgspec

from netvision_api.settings import Settings

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
CONTINUATION = "\n    "
"""Indents every further line of a log record, so that none can be mistaken for a record of its own."""

BURST = 10
PER_SECOND = 1.0
"""How many warnings and errors of one kind are logged at once, and how many a second after that."""

MAX_WAITING_LINES = 1000
FLUSH_SECONDS = 0.5
"""How long the end of the process may wait for lines to be read."""

NOTICES = "netvision_api.notices"
ACCESS = "netvision_api.access"

notices = logging.getLogger(NOTICES)
"""What the person who starts the server is to see at any level: its URL, and why it cannot start or serve."""


def escape(text: str) -> str:
    """Escape what is not printable: control characters, line breaks, characters that change the direction."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class TextFormatter(logging.Formatter):
    """Write a log record as one line for people, a traceback indented below it; notices are the bare message."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own
        """Render the line, with what others have a say in escaped."""
        record.message = escape(record.message) + suppressed_of(record)
        if record.name != NOTICES:
            return super().formatMessage(record)
        return f"Error: {record.message}" if record.levelno >= logging.ERROR else record.message

    def formatException(self, ei: Any) -> str:  # noqa: N802, ANN401 - logging's own
        """Render a traceback."""
        lines = super().formatException(ei).splitlines()
        return CONTINUATION[1:] + CONTINUATION.join(map(escape, lines))


class JsonFormatter(logging.Formatter):
    """Write a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Render time, level, logger, message, the fields of the record and, if there is one, the traceback."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage() + suppressed_of(record),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode({name: without_surrogates(value) for name, value in line.items()}).decode()


def without_surrogates(value: Any) -> Any:  # noqa: ANN401 - any value of a field
    """Escape what UTF-8 cannot hold; the names of files may contain it."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def suppressed_of(record: logging.LogRecord) -> str:
    """Return how many records like this one were suppressed before it, for the end of its message."""
    count = getattr(record, "suppressed", 0)
    return f" (and {count} more like this)" if count else ""


class TokenBucket:
    """Admits a burst at once, and a steady rate after it."""

    def __init__(self) -> None:
        self.tokens = float(BURST)
        self.refilled = monotonic()
        self.suppressed = 0

    def take(self) -> bool:
        """Take a token, if there is one."""
        now = monotonic()
        self.tokens = min(BURST, self.tokens + (now - self.refilled) * PER_SECOND)
        self.refilled = now
        if self.tokens < 1:
            self.suppressed += 1
            return False
        self.tokens -= 1
        return True


class RateLimit(logging.Filter):
    """Bounds what each line of code logs from warnings on: anybody may be able to cause them, as often as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.buckets: dict[tuple[str, int, int], TokenBucket] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Admit a record or count it as suppressed; the next one admitted has that count."""
        if record.levelno < logging.WARNING or record.name == NOTICES:
            return True
        bucket = self.buckets.setdefault((record.pathname, record.lineno, record.levelno), TokenBucket())
        if not bucket.take():
            return False
        record.suppressed, bucket.suppressed = bucket.suppressed, 0
        return True


class StderrHandler(QueueHandler):
    """Hands lines to a thread that writes them to standard error, so that the event loop never waits for a reader.

    Lines that find the queue full are dropped; their number is written once lines are read again.
    """

    def __init__(self) -> None:
        self.lines: Queue[str | None] = Queue(MAX_WAITING_LINES)
        super().__init__(self.lines)
        self.dropped = 0
        self.writer = Thread(target=self.write_lines, name="log", daemon=True)
        self.writer.start()

    def prepare(self, record: logging.LogRecord) -> str:
        """Render a record."""
        return self.format(record)

    def enqueue(self, line: Any) -> None:  # noqa: ANN401 - in logging, a record
        """Queue a line, or drop it."""
        try:
            self.lines.put_nowait(line)
        except Full:
            self.dropped += 1

    def write_lines(self) -> None:
        """Write lines until None comes."""
        reported = 0
        while (line := self.lines.get()) is not None:
            write_to_stderr(line)
            if self.dropped > reported:
                count, reported = self.dropped - reported, self.dropped
                write_to_stderr(self.format(dropped_record(count)))

    def close(self) -> None:
        """Write what is queued, for as long as it is read."""
        with suppress(Full):
            self.lines.put(None, timeout=FLUSH_SECONDS)
            self.writer.join(FLUSH_SECONDS)
        super().close()


def dropped_record(count: int) -> logging.LogRecord:
    """Return a log record that tells how many others were dropped."""
    details = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
    message = f"{count} lines of the log were dropped, because standard error was not read"
    return logging.makeLogRecord({**details, "msg": message})


def write_to_stderr(line: str) -> None:
    """Write a line past the buffer of `sys.stderr`, whose lock would keep the process from ending."""
    if sys.__stderr__ is None:
        return
    rest = f"{line}\n".encode(errors="backslashreplace")
    with suppress(OSError):
        while rest:
            rest = rest[os.write(sys.__stderr__.fileno(), rest) :]


def logging_config(settings: Settings) -> dict[str, Any]:
    """Build the configuration that `logging.config.dictConfig` takes, in every process."""
    level = settings.log_level.upper()
    quiet = "DEBUG" if level == "DEBUG" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"text": {"()": TextFormatter}, "json": {"()": JsonFormatter}},
        "filters": {"rate": {"()": RateLimit}},
        "handlers": {"stderr": {"()": StderrHandler, "formatter": settings.log_format, "filters": ["rate"]}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            NOTICES: {"level": "INFO"},
            ACCESS: {"level": "INFO"},
            "uvicorn.error": {"level": quiet},
            "alembic": {"level": quiet},
            "filelock": {"level": quiet},
            "aiosqlite": {"level": "WARNING"},
        },
    }
