"""What moved in the last minute or so of a source's polls: the rates that people look at. Prometheus makes its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from exporter.model import ZERO, Count, SubjectKey

WINDOW: Final = 60.0
"""Seconds that a rate is a mean over, at the least: meters renew their values more slowly than they are polled."""


class Rate(NamedTuple):
    """Bytes per second."""

    download: float = 0.0
    upload: float = 0.0

    @property
    def both(self) -> float:
        """Of the two directions together."""
        return self.download + self.upload


class _Poll(NamedTuple):
    seconds: float
    moved: Mapping[SubjectKey, Count]


class Recent:
    """The increases of a source's last polls. One thread adds; any may read."""

    def __init__(self, window: float = WINDOW) -> None:
        """window: seconds that are looked back over, at the least."""
        self._window = window
        self._polls: deque[_Poll] = deque()

    def add(self, seconds: float, increases: Mapping[SubjectKey, Count]) -> None:
        """Take in a poll that came so many seconds after the one before."""
        if seconds <= 0:
            return
        self._polls.append(_Poll(seconds, {subject: count for subject, count in increases.items() if count != ZERO}))
        while self.span - self._polls[0].seconds >= self._window:
            self._polls.popleft()

    def clear(self) -> None:
        """Forget all of it: what comes next has nothing before it."""
        self._polls.clear()

    @property
    def span(self) -> float:
        """Seconds that the rates are means over; 0 where nothing is known yet."""
        return sum(poll.seconds for poll in list(self._polls))

    def rates(self) -> Mapping[SubjectKey, Rate]:
        """Of every subject whose bytes moved."""
        polls = list(self._polls)
        span = sum(poll.seconds for poll in polls)
        sums: dict[SubjectKey, tuple[int, int]] = {}
        for poll in polls:
            for subject, count in poll.moved.items():
                down, up = sums.get(subject, (0, 0))
                sums[subject] = down + count.download, up + count.upload
        return {subject: Rate(down / span, up / span) for subject, (down, up) in sums.items()}
