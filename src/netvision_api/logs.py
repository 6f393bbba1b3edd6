"""How the server logs: to standard error, as text or as JSON."""

import logging
from typing import Any

import msgspec

from netvision_api.settings import Settings

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """Write a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Render time, level, logger, message and, where there is one, the traceback."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


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
