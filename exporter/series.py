"""Which series are on the page, and at which value: the third rule of docs/design.md.

Prometheus cannot see bytes that are already in a counter's first sample. So a series that comes onto the page first
shows its total from before the reading that brought it, and is *held* there until every Prometheus server has had the
time to see it. Whether the servers had it is told by `Scrapes`; `Stage.plan` decides, without changing anything, and
`Stage.adopt` takes a plan over once it is committed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from exporter.model import ZERO, Changes, Count, Memory, SubjectKey

WATCHED = 86_400.0
"""Seconds after its last scrape for which a Prometheus server is expected to come back."""

MARKED = ("site", "wan")
"""Kinds of subjects whose held sums are marked when they move on: sums over many, in which nobody is new or away."""


class Scrapes:
    """What Prometheus servers have been shown. Fed by the web server's thread, read by the committer's."""

    def __init__(self, hold: float, last_at: float | None = None) -> None:
        """hold: seconds, `new_series_hold`. last_at: when Prometheus last scraped, on the caller's steady clock."""
        self.hold = hold
        self._lock = threading.Lock()
        self._last_at = last_at
        self._waiting: dict[str | None, deque[tuple[int, float]]] = {}
        self._seen: dict[str | None, int] = {}

    def answered(self, generation: int, source: str | None, at: float) -> None:
        """A server was shown the whole page of `generation`, or only `source`'s part of it, at steady time `at`."""
        with self._lock:
            self._last_at = at
            waiting = self._waiting.setdefault(source, deque())
            newest = waiting[-1][0] if waiting else self._seen.get(source, -1)
            if newest < generation:
                waiting.append((generation, at))
            self._settle(source, at)

    def _settle(self, source: str | None, now: float) -> int:
        waiting = self._waiting.get(source)
        while waiting and waiting[0][1] + self.hold <= now:
            self._seen[source] = waiting.popleft()[0]
        return self._seen.get(source, -1)

    def seen(self, source: str, now: float) -> int:
        """The newest generation that a server was shown at least `hold` seconds ago, of the source's series."""
        with self._lock:
            return max(self._settle(None, now), self._settle(source, now))

    @property
    def last_at(self) -> float | None:
        """When Prometheus last scraped, on the steady clock; None if never."""
        with self._lock:
            return self._last_at

    def watching(self, now: float) -> bool:
        """Whether there is a Prometheus at all; without one nothing is held."""
        with self._lock:
            return self._last_at is not None and now - self._last_at < WATCHED


class Presence(Struct, frozen=True, gc=False):
    """A subject whose series are on the page.

    seen, moved: steady times of the last poll that showed it, and at which its shown value last changed.
    held_since: the generation of the page in which it came on and stays held; None where it shows its live total.
    """

    seen: float
    moved: float
    held_since: int | None = None


class Plan(Struct, frozen=True):
    """What one poll does to the page. shown: as in `Memory.take`.

    landed, came: a held sum of a site or a line moves on, or one comes.
    """

    present: Mapping[SubjectKey, Presence]
    left: frozenset[SubjectKey]
    shown: Mapping[SubjectKey, Count | None]
    landed: bool
    came: bool


class Stage:
    """One source's subjects on the page. Used by the committer's thread alone."""

    def __init__(self, source: str, scrapes: Scrapes, client_ttl: float) -> None:
        """client_ttl: seconds without a sight of a subject after which its series leave."""
        self.source = source
        self.present: dict[SubjectKey, Presence] = {}
        self.client_ttl = client_ttl
        self._scrapes = scrapes

    def plan(
        self,
        memory: Memory,
        changes: Changes,
        others: Iterable[SubjectKey],
        generation: int,
        now: float,
        idle: Collection[SubjectKey] = frozenset(),
    ) -> Plan:
        """What is on the page of `generation`, after a poll at steady time `now`.

        others: subjects that the poll shows without any reading of theirs. idle: those whom only bytes
        that move make seen.
        """
        watching = self._scrapes.watching(now)
        seen = self._scrapes.seen(self.source, now)
        present: dict[SubjectKey, Presence] = {}
        shown: dict[SubjectKey, Count | None] = {}
        landed = came = False
        in_poll = dict.fromkeys(others, ZERO) | dict(changes.increases)
        for subject, increase in in_poll.items():
            if increase == ZERO and subject in idle:
                continue
            before = self.present.get(subject)
            counted = subject in memory.totals
            comes = (before is None and counted) or (not counted and subject in changes.totals)
            held_since = None if before is None else before.held_since
            if comes and watching:
                held_since, came = generation, came or subject.kind in MARKED
                if subject not in memory.shown:
                    shown[subject] = memory.totals.get(subject, ZERO)
            elif comes and subject in memory.shown:
                shown[subject] = None
            moved = now if before is None or increase != ZERO else before.moved
            present[subject] = Presence(now, moved, held_since)

        left: set[SubjectKey] = set()
        for subject, before in self.present.items():
            presence = present.get(subject, before)
            if presence.held_since is not None and (presence.held_since <= seen or not watching):
                shown[subject] = None
                present[subject] = Presence(presence.seen, now)
                landed = landed or subject.kind in MARKED
            elif presence.held_since is None and self._is_over(presence, watching, now):
                left.add(subject)
        return Plan(present, frozenset(left), shown, landed, came)

    def _is_over(self, presence: Presence, watching: bool, now: float) -> bool:
        """Unseen for client_ttl, and what moved last was on the page long enough for every server to see it."""
        settled = now - presence.moved >= self._scrapes.hold or not watching
        return now - presence.seen >= self.client_ttl and settled

    def adopt(self, plan: Plan) -> None:
        """Take over a plan whose values are committed."""
        self.present.update(plan.present)
        for subject in plan.left:
            del self.present[subject]

    def clear(self) -> None:
        """Nothing of the source is on the page any longer; what was held stays so in the state."""
        self.present.clear()


def shown_count(memory: Memory, subject: SubjectKey) -> Count | None:
    """The value a subject's series show: its total, or the one they are held at. None if it never had a reading."""
    held = memory.shown.get(subject)
    return memory.totals.get(subject) if held is None else held
