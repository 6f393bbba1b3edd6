"""How the server logs: to standard error, as text or as JSON."""

import logging
from collections import Counter
from math import inf
from time import monotonic
from typing import Any

import msgspec

from netvision_api.settings import Settings

REPEAT_SECONDS = 1
MAX_MESSAGES = 100
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """Write a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Render time, level, logger, message and, if there is one, the traceback."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class RateLimitedLogger:
    """Log the same message at most once a second: a database that is down is down for every request."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.last_logged: dict[str, float] = {}
        self.suppressed: Counter[str] = Counter()

    def warning(self, message: str, request_id: str) -> None:
        """Log a message with the id of a request, and how often it was suppressed since it was logged last."""
        now = monotonic()
        if now - self.last_logged.get(message, -inf) < REPEAT_SECONDS:
            self.suppressed[message] += 1
            return
        if len(self.last_logged) > MAX_MESSAGES:
            self.last_logged.clear()
        self.last_logged[message] = now
        more = self.suppressed.pop(message, 0)
        self.logger.warning("request %s: %s%s", request_id, message, f", and {more} more since" if more else "")


def logging_config(settings: Settings) -> dict[str, Any]:
    """Build the configuration that `logging.config.dictConfig` takes; uvicorn applies it in every process."""
    level = settings.log_level.upper()
    quiet = "DEBUG" if level == "DEBUG" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"text": {"format": TEXT_FORMAT}, "json": {"()": JsonFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": settings.log_format}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            "uvicorn.error": {"level": quiet},
            "uvicorn.access": {"level": "INFO" if settings.access_log else "CRITICAL"},
            "alembic": {"level": quiet},
            "filelock": {"level": quiet},
            "aiosqlite": {"level": "WARNING"},
        },
    }
