"""The archive of a state file: what is remembered from poll to poll, so that little has to be written.

What a poll adds is the difference to the totals that the file holds. So the archive adds up to them whatever came
before, also where nobody can tell whether a commit that failed reached the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from exporter.accounting.buckets import Span, buckets
from exporter.accounting.days import day_of
from exporter.accounting.growth import at_midnight, growth, last_day
from exporter.model import Count, Memory, Source, SubjectKey, Write
from exporter.store import calendar, rows, upkeep, usage
from exporter.store.errors import StateError
from exporter.store.today import Today
from exporter.store.upkeep import Retention
from exporter.store.usage import Place, Progress, place_of


@dataclass(slots=True)
class _Kept:
    """A source as the file has it, or will have it with the commit under way. day: that of its last poll."""

    source: Source
    totals: dict[SubjectKey, Count]
    day: int | None
    opening: Mapping[SubjectKey, Count]


class Archive:
    """Used under the lock of the state, but for `today`."""

    def __init__(self) -> None:
        self.zone = ZoneInfo("UTC")
        self.retention = Retention.forever()
        self.progress = Progress(0, 0)
        self._kept: dict[str, _Kept] = {}
        self._today = Today()
        self._since: dict[int, dict[Place, tuple[int, int]]] = {}
        self._tended = -inf

    def open(self, connection: sqlite3.Connection, path: Path) -> None:
        """Begin with the state file `path`. Raises StateError where its time zone is not known here."""
        zone = rows.get_meta(connection, "timezone")
        if zone is not None and zone != self.zone.key:
            self.zone = _zone(zone, path)
        self.progress = upkeep.read_progress(connection)
        self._since.clear()

    def recut(self, connection: sqlite3.Connection, zone: ZoneInfo) -> None:
        """Cut the days by another time zone, inside the caller's transaction; once it is durable, call `keep`."""
        if zone.key != self.zone.key:
            upkeep.change_zone(connection, self.progress, self.zone, zone)
        calendar.recut(connection, zone)
        rows.set_meta(connection, "timezone", zone.key)

    def keep(self, zone: ZoneInfo, retention: Retention) -> None:
        """How days are cut from now on, and for how long they are kept; learn all sources anew."""
        self.zone, self.retention = zone, retention
        self._since.clear()

    def learn(self, connection: sqlite3.Connection, name: str, memory: Memory, ids: Mapping[SubjectKey, int]) -> None:
        """Begin with what the file holds of a source."""
        source, totals = memory.source, dict(memory.totals)
        kept = _Kept(source, totals, None, totals)
        if source.number:
            kept.day = last_day(Span(ceil(source.at), ceil(source.at)), self.zone)
            kept.opening = self._opening(connection, totals, ids, kept.day)
            self._today.begin(name, kept.day, kept.opening, totals)
        self._kept[name] = kept

    def _opening(
        self,
        connection: sqlite3.Connection,
        totals: Mapping[SubjectKey, Count],
        ids: Mapping[SubjectKey, int],
        day: int,
    ) -> dict[SubjectKey, Count]:
        if day not in self._since:
            self._since[day] = usage.since(connection, day, self.progress, self.zone)
        since, opening = self._since[day], dict(totals)
        for subject, total in totals.items():
            carrier, kind = place_of(subject)
            moved = since.get((ids[carrier], kind)) if carrier in ids else None
            if moved:
                opening[subject] = Count(total.download - moved[0], total.upload - moved[1])
        return opening

    def add(
        self, connection: sqlite3.Connection, write: Write, ids: dict[SubjectKey, int], free: Iterator[int]
    ) -> None:
        """Write what one poll adds, inside the caller's transaction."""
        kept = self._kept[write.name]
        added = growth(kept.source, kept.totals, write.changes)
        day = last_day(added.over, self.zone)
        if kept.day is None or day > kept.day:
            kept.day, kept.opening = day, at_midnight(kept.totals, added, day, self.zone)
            calendar.cover(connection, day_of(buckets(added.over)[0], self.zone), day, self.zone)
        if added.moved:
            carriers = (place_of(subject)[0] for subject, _, _ in added.moved if subject.kind in usage.PROTOCOLS)
            rows.name_subjects(connection, write.name, carriers, ids, free)
            usage.add(connection, added, ids, self.progress, self.zone)
        noted, source = write.changes.noted, write.changes.source
        # A poll that the file has, although its commit failed: what happened in it is written already.
        again = kept.source.number == source.number and kept.source != source
        if noted.counts and not again:
            rows.name_subjects(connection, write.name, (subject for subject, _ in noted.counts), ids, free)
            usage.add_events(connection, noted, ids)
        kept.source = write.changes.source
        kept.totals.update(write.changes.totals)

    def forget(self) -> None:
        """What was added is not durable. The sources of the commit are learned anew before they are used again."""
        self._since.clear()

    def adopt(self, writes: Sequence[Write]) -> None:
        """What was added is durable: it may be read."""
        self._since.clear()
        for write in writes:
            kept = self._kept[write.name]
            if kept.day is not None:
                self._today.take(write.name, kept.day, kept.opening, write.changes.totals)

    def tend(self, connection: sqlite3.Connection, now: float) -> Progress:
        """A bounded step of upkeep inside the caller's transaction; the progress to take over once it is durable."""
        progress = upkeep.roll_up(connection, self.progress, now, self.zone)
        # Where commits follow each other closely, a poll waits for one of the two, and the next one for the other.
        if progress == self.progress or now - self._tended >= upkeep.SELDOM:
            upkeep.prune(connection, progress, now, self.zone, self.retention)
        self._tended = now
        return progress

    def today(self, now: float) -> dict[str, dict[SubjectKey, Count]]:
        """See State.today."""
        return self._today.read(now, self.zone)


def _zone(key: str, path: Path) -> ZoneInfo:
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise StateError(
            f"state file {path}: its days are cut by the time zone {key!r}, which this machine does not know. Install"
            " the machine's time zones (tzdata), or the exporter again."
        ) from error
