"""One line on stderr for everything that is said, for people, for machines or for systemd's journal.

No line holds a secret, and none a MAC address: a traceback, whose text we do not choose, has them masked.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

# Libraries that report every connection, when what fails matters alone, and that we say ourselves.
QUIET = ("alembic", "asyncio", "paramiko", "urllib3", "uvicorn")

# A client's name comes from the network: it must not begin a line of its own, move a terminal's cursor, or turn the
# direction of what stands after it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_MAC = re.compile(r"(?<![0-9a-fA-F:])(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}(?![0-9a-fA-F:])")

FAULT = "a fault in the exporter itself; please report it"
PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""The syslog priority of each level, as sd-daemon(3) has them."""

_about: ContextVar[str] = ContextVar("about", default="")


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def about(source: str) -> Iterator[None]:
    """Whatever this thread says meanwhile is about the source; JSON lines have it as a key of its own."""
    token = _about.set(source)
    try:
        yield
    finally:
        _about.reset(token)


class _Formatter(logging.Formatter):
    """Shows each fault's traceback once; when it comes again, its line says that there was one."""

    MOST = 256
    """Faults that are told apart, so that one that is new every time does not fill the memory."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[tuple[str, str]] = set()

    def parts(self, record: logging.LogRecord) -> tuple[str, str]:
        """The record's message, and its traceback or ""."""
        message = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if error is None or record.exc_info is None:
            return message, ""
        fault = message, _kind(error)
        if fault in self._shown:
            return f"{message} ({fault[1]}, as further up in this log)", ""
        if len(self._shown) < self.MOST:
            self._shown.add(fault)
        return message, masked(self.formatException(record.exc_info))


class TextFormatter(_Formatter):
    """`2026-11-21T08:31:58+01:00 INFO home: 42 clients`, in local time. A traceback follows, each line of it indented.

    In the journal, which knows the time by itself, `<6>home: 42 clients`: the syslog priority, on every line.
    """

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        message, trace = self.parts(record)
        lines = [_escaped(message), *(f"    {_escaped(line)}" for line in trace.splitlines())]
        if self._journal:
            return "\n".join([f"<{PRIORITIES.get(record.levelname, 6)}>{line}" for line in lines])
        at = datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="seconds")
        return "\n".join([f"{at} {record.levelname} {lines[0]}", *lines[1:]])


class JsonFormatter(_Formatter):
    """One JSON object a line: time (UTC), level, logger, message; source and traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        message, trace = self.parts(record)
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        source = _about.get()
        if source:
            line["source"] = source
        if trace:
            line["traceback"] = trace
        return json.dumps(line)


def setup(log_format: LogFormat, env: Mapping[str, str] = os.environ) -> None:
    """Send the log of the whole process to stderr, and only there."""
    handler = logging.StreamHandler()
    text = log_format is LogFormat.TEXT
    handler.setFormatter(TextFormatter(journal=_is_journal(env)) if text else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in QUIET:
        # The SSH library's thread writes a traceback of its own for what its caller is told and says in words.
        logging.getLogger(name).setLevel(logging.CRITICAL if name == "paramiko" else logging.WARNING)


def masked(text: str) -> str:
    """The text without the MAC addresses in it."""
    return _MAC.sub("xx:xx:xx:xx:xx:xx", text)


def fault_words(error: BaseException) -> str:
    """A fault of ours, for the status page: what it is and where, and nothing that it quotes."""
    return f"{FAULT} ({_kind(error)})"


def _kind(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _is_journal(env: Mapping[str, str]) -> bool:
    """Whether stderr is the journal: systemd names the device and inode of the stream that it connected."""
    if sys.stderr is None:  # the process was started with it closed
        return False
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return env.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"
