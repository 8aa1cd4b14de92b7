"""One line on stderr for everything that is said, for people or for machines."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from enum import StrEnum

# Libraries that report every connection, when what fails matters alone, and that we say ourselves.
QUIET = ("alembic", "asyncio", "paramiko", "urllib3", "uvicorn")

# A client's name comes from the network: it must not begin a line of its own, or move a terminal's cursor.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


class TextFormatter(logging.Formatter):
    """`2026-11-21T08:31:58+01:00 INFO home: 42 clients`, in local time. A traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        at = datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="seconds")
        message = _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), record.getMessage())
        line = f"{at} {record.levelname} {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def setup(log_format: LogFormat) -> None:
    """Send the log of the whole process to stderr, and only there."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR if name == "paramiko" else logging.WARNING)
