"""The thread that sends the archive to PostgreSQL. No poll, commit or scrape ever waits for it."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from exporter.clock import Clock
from exporter.logs import FAULT, fault_words
from exporter.privacy import Privacy
from exporter.store import State, StateError, outbox
from exporter.store.outbox import Batch, Feed
from exporter.store.postgres import feed as sending
from exporter.store.postgres.connection import ArchiveError, connect, explained, revision_trouble, transaction
from exporter.store.postgres.target import Condition, Target

log = logging.getLogger(__name__)

PAUSE: Final = 10.0
"""Seconds between two looks at what is to be sent."""

LONGEST_PAUSE: Final = 60.0
"""Seconds at most between two tries while it does not work."""

ROWS: Final = 5_000
"""Rows of a batch."""

COUNT: Final = 30.0
"""Seconds between two counts of the rows that wait; between them, those that were sent are taken off."""


class Feeder:
    """Feeds one database from one state. `start` and `stop` it, or call `step` in a test."""

    def __init__(self, state: State, target: Target, privacy: Callable[[], Privacy], clock: Clock) -> None:
        self._state, self._target, self._privacy, self._clock = state, target, privacy, clock
        self._connection: Any = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)
        self._pause = PAUSE
        self._counted: float | None = None
        self._drained: float | None = None
        self._tried = False
        self.rows = ROWS
        self.lease = sending.LEASE
        self.condition = Condition()
        self.trouble = ""

    def start(self) -> None:
        """Begin to feed."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Take no further batch. One that the server has not answered by then is found out about at the next start."""
        self._ending.set()
        self._thread.join(timeout)

    def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._ending.wait(self.turn())
        self.close()

    def turn(self) -> float:
        """A step, and seconds of rest after it: at least as long as it took, for polls want the interpreter as well."""
        begun = self._clock.steady()
        return max(self.step(), self._clock.steady() - begun)

    def step(self) -> float:
        """Send what there is, at most one batch. Seconds until the next step."""
        try:
            more = self._send()
        except (ArchiveError, StateError) as error:
            return self._failed(str(error))
        except Exception as error:
            log.exception(FAULT)
            return self._failed(fault_words(error))
        if self.trouble:
            log.info("the archive in %s works again; %d rows wait for it", self._target.place, self.condition.pending)
        elif not self._tried:
            log.info("the archive is in %s; %d rows wait for it", self._target.place, self.condition.pending)
        self._tried, self.trouble, self._pause = True, "", PAUSE
        self.condition = replace(self.condition, up=True)
        return 0.0 if more else PAUSE

    def _failed(self, why: str) -> float:
        self.close()
        if why != self.trouble and not self._ending.is_set():
            level = logging.INFO if self.trouble else logging.WARNING
            log.log(level, "the archive is not fed, its rows wait in the state: %s", why)
        self.trouble = why
        self.condition = replace(self.condition, up=False, failures=self.condition.failures + 1)
        try:
            self._count(self._state.feed())
        except StateError as error:
            log.debug("%s", error)  # the committer says so as well
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause

    def _count(self, feed: Feed) -> None:
        with outbox.snapshot(self._state.path) as file:
            pending = sum(outbox.left(file, feed.walk))
        self._counted = self._clock.steady()
        self._wait_for(pending, feed)

    def _wait_for(self, pending: int, feed: Feed) -> None:
        """So many rows wait."""
        since = self._drained or feed.drained_at or self.condition.behind or self._clock.wall()
        self.condition = replace(self.condition, pending=pending, behind=since if pending else None)

    def _send(self) -> bool:
        """Whether there is more to send."""
        target, privacy = self._target, self._privacy()
        if self._connection is None:
            self._connection = self._open()
        feed = self._state.feed()
        if feed.hides != privacy.hides:
            feed = replace(feed, hides=privacy.hides, walk=outbox.START)
            self._state.fed(feed)
        with explained(target, "cannot feed the archive"), transaction(self._connection) as cursor:
            verdict = sending.decide(feed, sending.look(cursor, self._state.exporter_id), self.lease)
            if isinstance(verdict, sending.Wait):
                raise ArchiveError(f"{target.place}: {verdict.words}")
            if isinstance(verdict, sending.Again):
                self._state.fed(verdict.feed)
                log.warning("%s: %s", target.place, verdict.words)
                self._count(verdict.feed)
                return True
            feed, row = verdict.feed, verdict.row
            at = self._clock.wall()
            with outbox.snapshot(self._state.path) as file:
                batch = outbox.read(file, feed.walk, self.rows)
                known = row.calendar if row is not None else ""
                days = outbox.days(file) if batch.calendar != known else []
            if batch.empty and row is not None and not days:
                self._sent(feed, batch, at)
                return not batch.drained
            # From here on a copy of the state knows the batch by its name, and holds all that is in it.
            feed = replace(feed, sending=str(uuid.uuid4()))
            self._state.fed(feed)
            if row is None:
                row = sending.register(cursor, self._state.exporter_id, feed)
            sending.write(cursor, row, feed, batch, days, privacy.key)
        self._sent(replace(feed, batch=feed.batch + 1, token=feed.sending, sending=""), batch, at)
        return not batch.drained

    def _sent(self, feed: Feed, batch: Batch, at: float) -> None:
        """PostgreSQL has it."""
        walked = feed.walk != batch.walk
        feed = replace(feed, walk=batch.walk, drained_at=at if batch.drained else feed.drained_at)
        if walked or batch.marks or not batch.empty:
            self._state.fed(feed, batch.marks)
        if batch.drained:
            self._drained, self._counted = at, None
            self.condition = replace(self.condition, pending=0, behind=None)
        elif self._counted is None or self._clock.steady() - self._counted >= COUNT:
            self._count(feed)
        else:
            sent = len(batch.rows) + len(batch.subjects)
            self._wait_for(max(1, self.condition.pending - sent), feed)

    def _open(self) -> Any:
        connection = connect(self._target)
        try:
            with explained(self._target, "cannot read its schema"), transaction(connection) as cursor:
                trouble = revision_trouble(cursor, self._target)
        except BaseException:
            connection.close()
            raise
        if trouble:
            connection.close()
            raise ArchiveError(trouble)
        return connection
