"""Hours and days made from five minutes, and what is too old removed: each a bounded step in a transaction.

Hours and days are made an hour at a time once it is over, for some subjects at a time. What comes later for an hour
that is made goes to all three levels at once (exporter.store.usage), so they agree at every commit.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from exporter.accounting.buckets import BUCKET, HOUR, bucket_of
from exporter.accounting.days import date_of, day_of, stretches
from exporter.store import rows
from exporter.store.usage import Progress

log = logging.getLogger(__name__)

GRACE: Final = 600
"""Seconds after its end until an hour is made: most of what comes late is there by then."""

SUBJECTS: Final = 2_500
"""Rows of each bucket that one step takes, so at most twelve times as many in all."""

PRUNED: Final = 20_000
"""Rows of each level that one step removes."""

SELDOM: Final = 120.0
"""Seconds between two commits from which on one of them makes hours and removes rows: else it could fall behind."""

_MOST: Final = 2**63 - 1

_FIRST: Final = "SELECT min(bucket) FROM usage WHERE bucket >= ?"
_NTH: Final = "SELECT subject FROM usage WHERE bucket = ? AND subject >= ? ORDER BY subject, class LIMIT 1 OFFSET ?"
# An hour's buckets are named one by one: then SQLite looks only at the subjects asked for in each of them.
_MAKE: Final = """
    INSERT INTO {0} ({1}, subject, class, download, upload, flags)
    SELECT ?, subject, class, sum(download), sum(upload), max(flags & 1) | max(flags & 2) FROM usage
    WHERE bucket IN (SELECT value FROM json_each(?)) AND subject >= ? AND subject < ? GROUP BY subject, class
    ON CONFLICT ({1}, subject, class) DO UPDATE SET download = download + excluded.download,
        upload = upload + excluded.upload, flags = flags | excluded.flags
"""
_MAKE_HOURLY: Final = _MAKE.format("hourly", "bucket")
_MAKE_DAILY: Final = _MAKE.format("daily", "day")
_MOVE_DAY: Final = """
    INSERT INTO daily (day, subject, class, download, upload, flags)
    SELECT ?1, subject, class, ?2 * sum(download), ?2 * sum(upload), max(flags & 1) | max(flags & 2) FROM usage
    WHERE bucket >= ?3 AND bucket < ?4 AND subject < ?5 GROUP BY subject, class
    ON CONFLICT (day, subject, class) DO UPDATE SET download = download + excluded.download,
        upload = upload + excluded.upload, flags = flags | excluded.flags
"""
_EMPTIED: Final = "DELETE FROM daily WHERE day BETWEEN ? AND ? AND download = 0 AND upload = 0"
_PRUNE: Final = """
    DELETE FROM {0} WHERE ({1}, subject, {3}) IN
        (SELECT {1}, subject, {3} FROM {0} WHERE {2} ORDER BY {1}, subject, {3} LIMIT ?)
"""
_PRUNE_USAGE: Final = _PRUNE.format("usage", "bucket", "bucket < ?", "class")
_PRUNE_HOURLY: Final = _PRUNE.format("hourly", "bucket", "bucket < ?", "class")
_PRUNE_DAILY: Final = _PRUNE.format("daily", "day", "day < ?", "class")
_PRUNE_GAP: Final = _PRUNE.format("gap", "began", "began < ?1 AND ended <= ?1", "class")
_PRUNE_EVENT: Final = _PRUNE.format("event", "bucket", "bucket < ?", "reason")


class Retention(Struct, frozen=True):
    """For how many seconds each level is kept; infinite for ever. Silences are kept as days are, events as hours."""

    five_minutes: float = 14 * 86_400.0
    hourly: float = 400 * 86_400.0
    daily: float = math.inf

    @classmethod
    def forever(cls) -> Retention:
        """Nothing is removed."""
        return cls(math.inf, math.inf, math.inf)


def read_progress(connection: sqlite3.Connection) -> Progress:
    """How far hours and days are made."""
    hour, subject = (rows.get_meta(connection, key) for key in ("archive_hour", "archive_subject"))
    return Progress(int(hour or 0), int(subject or 0))


def roll_up(connection: sqlite3.Connection, progress: Progress, now: float, zone: ZoneInfo) -> Progress:
    """Make hours and days of some more five minutes inside the caller's transaction; how far they are made then."""
    hour, subject = progress
    if not subject:
        (first,) = connection.execute(_FIRST, (hour,)).fetchone()
        hour = hour if first is None else first // HOUR * HOUR
        if first is None or hour + HOUR + GRACE > now:
            return progress
    end = _end(connection, hour, subject)
    connection.execute(_MAKE_HOURLY, (hour, str([*range(hour, hour + HOUR, BUCKET)]), subject, end))
    for stretch in stretches(hour, hour + HOUR, zone):
        touched = str([*range(stretch.start, stretch.end, BUCKET)])
        connection.execute(_MAKE_DAILY, (stretch.day, touched, subject, end))
    after = Progress(hour + HOUR, 0) if end == _MOST else Progress(hour, end)
    rows.set_meta(connection, "archive_hour", str(after.hour))
    rows.set_meta(connection, "archive_subject", str(after.subject))
    return after


def _end(connection: sqlite3.Connection, hour: int, subject: int) -> int:
    """The subject before which a step ends."""
    ends = [_MOST]
    for bucket in range(hour, hour + HOUR, BUCKET):
        ends += (end for (end,) in connection.execute(_NTH, (bucket, subject, SUBJECTS)))
    return max(min(ends), subject + 1)


def prune(connection: sqlite3.Connection, progress: Progress, now: float, zone: ZoneInfo, keep: Retention) -> None:
    """Remove some of what is too old inside the caller's transaction; five minutes only where their hour is made."""
    if keep.five_minutes < math.inf:
        until = min(int(now - keep.five_minutes) // HOUR * HOUR, progress.hour)
        connection.execute(_PRUNE_USAGE, (until, PRUNED))
    if keep.hourly < math.inf:
        until = int(now - keep.hourly) // HOUR * HOUR
        connection.execute(_PRUNE_HOURLY, (until, PRUNED))
        connection.execute(_PRUNE_EVENT, (until, PRUNED))
    if keep.daily < math.inf:
        until = int(now - keep.daily)
        connection.execute(_PRUNE_DAILY, (day_of(bucket_of(until), zone), PRUNED))
        connection.execute(_PRUNE_GAP, (until, PRUNED))


def change_zone(connection: sqlite3.Connection, progress: Progress, old: ZoneInfo, new: ZoneInfo) -> None:
    """Make the days anew inside the caller's transaction, where there are five minutes of them."""
    (first,) = connection.execute(_FIRST, (0,)).fetchone()
    if first is None or first >= progress.hour + HOUR:
        return
    log.info("days are made anew for the time zone %s, from %s on", new.key, date_of(day_of(first, new)))
    for start, end, subjects in (
        (first, progress.hour, _MOST),
        (progress.hour, progress.hour + HOUR, progress.subject),
    ):
        for was in stretches(start, end, old):
            for stretch in stretches(was.start, was.end, new):
                if stretch.day != was.day:
                    between = (stretch.start, stretch.end, subjects)
                    connection.execute(_MOVE_DAY, (was.day, -1, *between))
                    connection.execute(_MOVE_DAY, (stretch.day, 1, *between))
    connection.execute(_EMPTIED, (day_of(first, old) - 1, day_of(progress.hour + HOUR, old) + 1))
