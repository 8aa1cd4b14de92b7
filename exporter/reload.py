"""The configuration in use, and its renewal while the process runs."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from exporter.configured import facts_of, settings_of
from exporter.fleet import Planned
from exporter.sources import SOURCES

if TYPE_CHECKING:
    from exporter.config import Config, SourceEntry

LOOK = 0.1
"""Seconds between two looks at whether the process ends while somebody waits for a reload."""

FIXED: Final = ("web.listen", "web.config_file", "state", "archive.url", "archive.password")
"""Keys that are read at the start alone."""


class Reloaded(Struct, frozen=True):
    """How the last reading of the configuration went.

    at: Unix seconds of the last one that succeeded. words: what is wrong with it, or what waits for a restart; or "".
    """

    successful: bool
    at: float
    words: str = ""


class Configuration:
    """What is in effect, and how it is read again."""

    def __init__(self, config: Config, read: Callable[[], Config]) -> None:
        """read: raises ConfigError."""
        self.config = config
        self.read = read
        self._started_with = config

    def take(self, config: Config) -> list[str]:
        """Take over what can be. The keys that wait for a restart."""
        start = self._started_with
        waiting = [key for key in FIXED if _value(config, key) != _value(start, key)]
        web = config.web.model_copy(update={"listen": start.web.listen, "config_file": start.web.config_file})
        archive = config.archive.model_copy(update={"url": start.archive.url, "password": start.archive.password})
        self.config = config.model_copy(update={"web": web, "state": start.state, "archive": archive})
        return waiting


def _value(config: Config, key: str) -> object:
    value: object = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def planned_of(config: Config) -> list[Planned]:
    """The sources of a configuration."""
    return [_planned(config, entry) for entry in config.sources]


def _planned(config: Config, entry: SourceEntry) -> Planned:
    settings = settings_of(entry)
    # Files that a connection is made with. known_hosts is read anew by each, and other routers have their lines in it.
    files = [getattr(entry, key, None) for key in ("ca_file", "key_file")]
    contents = tuple(_digest(path) for path in files if path is not None)
    return Planned(facts_of(config, entry), lambda marks: SOURCES[entry.kind](settings, marks), (entry, contents))


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""  # the poll that needs it says so in words


class Reloads:
    """Runs reloads in a thread of their own, one at a time. Whoever asks while one waits shares it."""

    def __init__(self, work: Callable[[], str]) -> None:
        """work: "" or what went wrong; it raises nothing."""
        self._work = work
        self._asked: queue.SimpleQueue[Future[str] | None] = queue.SimpleQueue()
        self._waited_for = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def start(self) -> None:
        """Begin to take requests."""
        self._thread.start()

    def end(self) -> None:
        """Take no request any longer, and let nobody wait. Fit for a signal handler."""
        self._ended = True
        self._asked.put(None)

    def ask(self) -> Future[str]:
        """A reload, as soon as may be. Fit for a signal handler."""
        future: Future[str] = Future()
        self._asked.put(future)
        return future

    def reload(self) -> str:
        """ "" once the configuration was read again, or what went wrong. One caller at a time may wait."""
        if not self._waited_for.acquire(blocking=False):
            return "another reload is under way; ask again when it has ended"
        try:
            future = self.ask()
            while not wait([future], timeout=LOOK).done:
                if self._ended or not self._thread.is_alive():
                    return "the exporter is ending"
            return future.result()
        finally:
            self._waited_for.release()

    def _run(self) -> None:
        while not self._ended:
            requests = [self._asked.get()]
            while not self._asked.empty():
                requests.append(self._asked.get())
            words = "the exporter is ending" if None in requests else self._work()
            for future in requests:
                if future is not None:
                    future.set_result(words)
