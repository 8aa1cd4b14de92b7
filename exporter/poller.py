"""One thread a source: when to poll, what to do when that fails, and that no source waits for another."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from exporter.clock import Clock
from exporter.committer import Failure, Outcome, Success
from exporter.logs import FAULT, about, fault_words
from exporter.sources import Source, SourceError

log = logging.getLogger(__name__)

REFUSALS = frozenset({"login", "forbidden", "rate_limited"})
"""Failures that trying again makes worse: controllers lock accounts after a few log-ins (UniFi reference, §2)."""

LONGEST_BACK_OFF = 900.0
"""Seconds; a mended password is noticed within this time."""


class Poller:
    """Polls one source on a fixed grid of intervals, the first time at once, and hands in how it went."""

    def __init__(
        self,
        name: str,
        source: Source,
        submit: Callable[[str, Outcome], None],
        *,
        interval: float,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
        ending: threading.Event | None = None,
    ) -> None:
        """interval: seconds between two polls. jitter: 0 to 1, sets where in the interval the second poll falls.

        ending: what the thread waits with; `stop` sets it.
        """
        self.name = name
        self.ended = threading.Event()
        self._source = source
        self._submit = submit
        self._interval = interval
        self._clock = clock
        self._jitter = jitter
        self._ending = ending or threading.Event()
        self._refused = 0
        self._abandoned = False
        self._handing_in = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"poll {name}", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end after the poll it is in, and then to close the source.

        `ended` is set in between: nothing is handed in any longer, and closing may take as long as it will.
        """
        self._ending.set()

    def abandon(self) -> None:
        """Hand in nothing any longer, not even the poll under way."""
        with self._handing_in:
            self._abandoned = True

    @property
    def running(self) -> bool:
        """Whether the thread is there: it polls, waits, or closes the source."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> bool:
        """Whether the thread ended within `timeout` seconds."""
        self._thread.join(timeout)
        return not self.running

    def _run(self) -> None:
        with about(self.name):
            due = self._clock.steady() + self._interval * (1 + self._jitter()) / 2  # many do not go on in step
            pause = self.poll_once()
            while not self._ending.wait(max(due - self._clock.steady(), pause, 0.0)):
                # A poll that came late, for a long one before it or a pause, leaves out what it missed of the grid.
                missed = max(0.0, self._clock.steady() - due) // self._interval
                due += (missed + 1) * self._interval
                pause = self.poll_once()
            self.ended.set()
            try:
                self._source.close()
            except SourceError:
                pass  # what ends anyway need not say that it could not log out
            except Exception:
                log.exception("%s: %s", self.name, FAULT)

    def poll_once(self) -> float:
        """Poll, hand in the outcome, and say how many seconds to stay away at the least."""
        at, started = self._clock.wall(), self._clock.steady()
        try:
            poll = self._source.poll()
        except SourceError as error:
            outcome: Outcome = Failure(error.reason, str(error), at, self._clock.steady() - started)
            pause = self._back_off(error)
        except BaseException as error:  # Rust below Python panics with a BaseException, which would end the thread
            log.exception("%s: %s", self.name, FAULT)
            outcome = Failure("internal", fault_words(error), at, 0.0)
            pause = 0.0
        else:
            outcome = Success(poll, at, started, self._clock.steady() - started)
            self._refused, pause = 0, 0.0
        with self._handing_in:
            if not self._abandoned:
                self._submit(self.name, outcome)
        return pause

    def _back_off(self, error: SourceError) -> float:
        if error.reason not in REFUSALS:
            self._refused = 0
            return error.retry_after or 0.0
        self._refused += 1
        doubled = min(LONGEST_BACK_OFF, self._interval * 2.0 ** min(self._refused, 10))
        return max(doubled, error.retry_after or 0.0)
