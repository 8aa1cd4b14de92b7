"""Sums what a simulated month wrote down, by the rules of docs/design.md. It shares no code with the exporter.

A line of the log, times in Unix seconds:

    source <name> <site>                                        a source, and its site ("-" for none)
    own <client> <owner> <category>                             whose a client is from here on ("-" for nobody's)
    move <at> <source> <client> <family> <protocol> <down> <up> bytes of a client; family and protocol "-" if not known
    line <at> <source> <line> <down> <up>                       bytes of a line
    poll <at> <source>                                          the source was read: what moved up to now is known

What moved before the first poll of a source is nobody's. What moved between two polls is spread evenly over them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

BIN = 300
HOUR = 3600
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Pair = tuple[int, int]
"""Bytes down and up."""


class Subject(NamedTuple):
    """Whose bytes, in the words of the views."""

    source: str
    site: str
    kind: str
    key: str
    of_class: str = "all"


class _Steps:
    """A sum that grows at some moments: `at[n]` and what it is from then on."""

    def __init__(self) -> None:
        self.at: list[int] = []
        self.sums: list[Pair] = []

    def add(self, at: int, down: int, up: int) -> None:
        before = self.sums[-1] if self.sums else (0, 0)
        if self.at and self.at[-1] == at:
            self.sums.pop()
        else:
            self.at.append(at)
        self.sums.append((before[0] + down, before[1] + up))

    def upto(self, at: int) -> Pair:
        place = bisect_right(self.at, at)
        return self.sums[place - 1] if place else (0, 0)


class Sums:
    """Of a log that may still grow: `read` goes on where it ended."""

    def __init__(self, path: Path) -> None:
        self._log = path.open(encoding="utf-8")
        self._sites: dict[str, str] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        self._waiting: dict[str, list[tuple[int, Subject, int, int]]] = {}
        self._packets: dict[Subject, _Steps] = {}
        self._known: dict[Subject, _Steps] = {}
        self._bins: dict[tuple[Subject, int, int], list[Pair]] = {}
        self.polls: dict[str, list[int]] = {}

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def read(self) -> Sums:
        """Take in the lines that were added."""
        self._bins.clear()
        for line in self._log:
            what, *words = line.split()
            if what == "source":
                name, site = words
                self._sites[name], self._waiting[name], self.polls[name] = site.strip("-"), [], []
            elif what == "own":
                client, owner, category = (word.replace("_", " ").strip("-") for word in words)
                self._owners[client] = owner, category
            elif what == "poll":
                self._poll(int(words[0]), words[1])
            else:
                at, source, *named, down, up = words
                subjects = self._line(source, *named) if what == "line" else self._credited(source, *named)
                self._waiting[source] += [(int(at), subject, int(down), int(up)) for subject in subjects]
        return self

    def _line(self, source: str, line: str) -> list[Subject]:
        return [Subject(source, self._sites[source], "wan", line)]

    def _credited(self, source: str, client: str, family: str, protocol: str) -> Iterator[Subject]:
        site = self._sites[source]
        yield Subject(source, site, "client", client)
        yield Subject(source, site, "site", "")
        if protocol != "-":
            yield Subject(source, site, "client", client, protocol)
            yield Subject(source, site, "site", "", f"{family}|{protocol}")
        for kind, name in zip(("owner", "category"), self._owners.get(client, ()), strict=False):
            if name:
                yield Subject(source, site, kind, name)

    def _poll(self, at: int, source: str) -> None:
        if self.polls[source]:
            for when, subject, down, up in self._waiting[source]:
                assert self.polls[source][-1] < when <= at
                self._packets.setdefault(subject, _Steps()).add(when, down, up)
                self._known.setdefault(subject, _Steps()).add(at, down, up)
        self._waiting[source].clear()
        self.polls[source].append(at)

    def subjects(self, *kinds: str, classes: bool = False) -> list[Subject]:
        """Who moved anything; with `classes`, their protocols."""
        return [each for each in self._known if each.kind in kinds and (each.of_class != "all") == classes]

    def everybody(self) -> list[Subject]:
        """All of them, and all of their protocols."""
        return [*self._known]

    def _until(self, subject: Subject, at: int) -> Pair:
        polls, steps = self.polls[subject.source], self._known.get(subject, _Steps())
        place = bisect_left(polls, at)
        if place in (0, len(polls)):
            return (0, 0) if place == 0 else steps.upto(polls[-1])
        start, end = polls[place - 1], polls[place]
        begun, ended = steps.upto(start), steps.upto(end)
        down, up = (a + (b - a) * (at - start) // (end - start) for a, b in zip(begun, ended, strict=True))
        return down, up

    def moved(self, subject: Subject, start: int, end: int) -> Pair:
        """Bytes of (start, end], spread evenly between the polls."""
        begun, ended = self._until(subject, start), self._until(subject, end)
        return ended[0] - begun[0], ended[1] - begun[1]

    def really(self, subject: Subject, start: int, end: int) -> Pair:
        """Bytes that passed in (start, end], whoever looked when."""
        begun, ended = self._packets[subject].upto(start), self._packets[subject].upto(end)
        return ended[0] - begun[0], ended[1] - begun[1]

    def silences(self, source: str) -> Iterator[tuple[int, int]]:
        """Where nobody looked for more than an hour."""
        polls = self.polls[source]
        return ((start, end) for start, end in pairwise(polls) if end - start > HOUR)

    def bins(self, subject: Subject, start: int, end: int) -> list[Pair]:
        """What moved in each five minutes of a period."""
        if (known := self._bins.get((subject, start, end))) is not None:
            return known
        sums = [self._until(subject, at) for at in range(start, end + BIN, BIN)]
        return self._bins.setdefault((subject, start, end), [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(sums)])

    def silent_bins(self, source: str) -> set[int]:
        """The five minutes that a silence touches."""
        return {at for start, end in self.silences(source) for at in range(start // BIN * BIN, end, BIN)}

    def newest(self) -> int:
        """The end of the newest five minutes of which anything is known, silences left out."""
        ends = (end for polls in self.polls.values() for start, end in pairwise(polls) if end - start <= HOUR)
        return -(-max(ends) // BIN) * BIN


def percentile_95(values: Iterable[int]) -> int:
    """The smallest value that 95 % of them do not exceed."""
    ordered = sorted(values)
    place = next(n for n in range(1, len(ordered) + 1) if 100 * n >= 95 * len(ordered))
    return ordered[place - 1]


def midnight(day: date, zone: ZoneInfo) -> int:
    """When a local day begins."""
    return int(datetime.combine(day, time(), zone).timestamp())


def date_at(at: int, zone: ZoneInfo) -> date:
    """The local day of what moved up to a moment."""
    return datetime.fromtimestamp(at - 1, zone).date()


def days(start: int, end: int, zone: ZoneInfo) -> list[date]:
    """The local days that (start, end] touches."""
    first, last = date_at(start + 1, zone), date_at(end, zone)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _resets(reset: str, day: date) -> bool:
    if reset == "daily" or reset in WEEKDAYS:
        return reset == "daily" or WEEKDAYS[day.weekday()] == reset
    return day.day == min(int(reset), monthrange(day.year, day.month)[1])


def period(reset: str, zone: ZoneInfo, at: int) -> tuple[int, int]:
    """Start and end of the period that `at` is in: daily, a day of the week, or a day of the month."""
    first = date_at(at, zone)
    while not _resets(reset, first):
        first -= timedelta(days=1)
    after = first + timedelta(days=1)
    while not _resets(reset, after):
        after += timedelta(days=1)
    return midnight(first, zone), midnight(after, zone)
