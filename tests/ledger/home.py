"""A small source for examples, and short words for readings and the evidence that comes with them."""

from __future__ import annotations

from collections.abc import Sequence

from exporter import ledger
from exporter.model import ZERO, Changes, Closed, Collection, Count, CounterKey, Life, Memory, Moment, Poll, Reading
from exporter.model import SubjectKey as Subject

CLIENTS = Collection("client", "default")
KEY = CounterKey("client", "default", "a|wireless")
SUBJECT = Subject("client", "default", "a")
SITE = Subject("site", "default", "")
WRAP = 2**32
AT = 1_800_000_000.0


def raw(download: int, upload: int = 0, down_packets: int = 0, up_packets: int = 0) -> Count:
    return Count(download, upload, down_packets, up_packets)


def read(
    count: Count | int,
    key: CounterKey = KEY,
    *,
    seen: float = 0.0,
    born: float | None = None,
    speed: float | None = None,
    life: Life | None = None,
    base: Count | None = ZERO,
    session: str = "",
    wraps: bool = False,
) -> Reading:
    count = raw(count) if isinstance(count, int) else count
    return Reading(key, (SUBJECT, SITE), count, seen, born, speed, life, base, session, wraps)


def life(mark: str, base: Count | int | None = 0, *closed: Closed, restarted: bool = False) -> Life:
    return Life(mark, None, raw(base) if isinstance(base, int) else base, closed, restarted)


def closed(mark: str, base: int, final: int) -> Closed:
    return Closed(mark, raw(base), raw(final))


class Home:
    """A source and what is remembered of it. Each poll is 30 s after the one before, unless told otherwise."""

    def __init__(self, *, max_rate: float = 1_000.0) -> None:
        self.memory = Memory()
        self.max_rate = max_rate
        self.number, self.tick, self.off = 0, 1_000.0, 0.0

    def poll(
        self,
        *readings: Reading,
        after: float = 30.0,
        identity: str | None = "controller",
        mark: str = "",
        complete: bool = True,
        meter_off: float = 0.0,
        bound: bool = False,
        refresh: float = 0.0,
        number: int | None = None,
    ) -> Changes:
        self.tick += after
        self.number = self.number + 1 if number is None else number
        at = AT + self.tick + self.off
        poll = Poll(
            identity=identity,
            readings=readings,
            complete={CLIENTS: mark} if complete else {},
            refresh=refresh,
            meter_at=AT + self.tick + meter_off,
            clock_bound=bound,
        )
        moment = Moment(self.number, self.tick, at)
        changes = ledger.advance(self.memory, poll, moment, interval=30.0, max_rate=self.max_rate)
        self.memory.take(changes, {})
        return changes

    def read(self, *counts: Count | int) -> list[int]:
        """The download increases of so many polls of one reading each."""
        return [self.poll(read(count)).increases[SUBJECT].download for count in counts]

    def live(self, *lives: tuple[int, Life]) -> list[int]:
        """The same with evidence."""
        return [self.poll(read(count, life=life), mark=life.mark).increases[SUBJECT].download for count, life in lives]


def events(changes: Changes) -> set[str]:
    return {reason for _, reason in changes.events}


def reasons(changes: Sequence[Changes]) -> list[set[str]]:
    return [events(one) for one in changes]
