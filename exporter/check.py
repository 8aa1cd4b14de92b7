"""Tries a configuration out: each part of it in turn, each result in words, with what to do where it is not well.

Nothing is changed by it: no file is made, no key is trusted, no byte is counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final, Literal

from exporter.config.errors import one_line

if TYPE_CHECKING:
    from exporter.config import Config, SourceEntry

Level = Literal["ok", "warning", "error"]

AT_ONCE: Final = 16
"""Sources that are tried at the same time: one that is dead takes its whole timeout."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one trial came to.

    subject: what was tried, such as "login". message: how it went; it never holds a secret. remedy: what to do about
    it, "" where there is nothing to do. source: the source that was tried, "" where it was the exporter's own place.
    """

    level: Level
    subject: str
    message: str
    remedy: str = ""
    source: str = ""

    def __str__(self) -> str:
        """One line for a person, whatever the message brought from outside."""
        about = f"{self.source}: {self.subject}" if self.source else self.subject
        remedy = f"; {self.remedy}" if self.remedy else ""
        return one_line(f"{self.level:<8}{about}: {self.message}{remedy}")

    def json(self) -> str:
        """One line for a program: an object with the five fields, in ASCII."""
        return json.dumps(asdict(self))


Trial = Callable[[], Iterable[Finding]]


def findings(config: Config, source: str = "") -> Iterator[Finding]:
    """Try a configuration, and say each thing as soon as it and all before it are known.

    source: the only one to try; "" for all of them, after the exporter's own place: its state, its web server and its
        archive.
    """
    trials = [_trial(entry) for entry in config.sources if source in ("", entry.name)]
    tried = in_order(trials)
    return tried if source else chain(_own(config), tried)


def in_order(trials: Iterable[Trial], at_once: int = AT_ONCE) -> Iterator[Finding]:
    """Run trials beside each other, from now on, and give what they find in their own order.

    What a trial raises is raised here. Their threads keep no process from ending.
    """
    waiting: SimpleQueue[tuple[Trial, _Line]] = SimpleQueue()
    lines: list[_Line] = []
    for trial in trials:
        lines.append(_Line())
        waiting.put((trial, lines[-1]))
    for number in range(min(at_once, len(lines))):
        Thread(target=_work, args=(waiting,), name=f"check {number}", daemon=True).start()
    return (finding for line in lines for finding in line)


class _Line:
    """What one trial finds, as it comes; at its end None, or what it raised."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Finding | BaseException | None] = SimpleQueue()

    def __enter__(self) -> Callable[[Finding], None]:
        return self._queue.put

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        self._queue.put(error)
        return True

    def __iter__(self) -> Iterator[Finding]:
        while (found := self._queue.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found


def _work(waiting: SimpleQueue[tuple[Trial, _Line]]) -> None:
    while True:
        try:
            trial, line = waiting.get_nowait()
        except Empty:
            return
        with line as put:
            for finding in trial():
                put(finding)


def _trial(entry: SourceEntry) -> Trial:
    def run() -> Iterable[Finding]:
        from exporter.configured import settings_of
        from exporter.sources import CHECKS

        return CHECKS[entry.kind](entry.name, settings_of(entry), entry.interval)

    return run


def _own(config: Config) -> Iterator[Finding]:
    # The state and the web server say what they find as Findings, so they need this module first.
    from exporter.configured import target_of
    from exporter.store.check import check as check_state
    from exporter.web.check import check as check_web

    yield from check_state(config.state)
    yield from check_web(config.web, config.timezone)
    target = target_of(config)
    if target is not None:
        from exporter.store.postgres.check import check as check_archive

        yield from check_archive(target)


def exit_status(found: Iterable[Finding]) -> int:
    """1 if anything is wrong, else 0. Warnings are no failure."""
    return int(any(finding.level == "error" for finding in found))
