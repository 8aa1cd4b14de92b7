"""An archive as the exporter writes it, much faster than it could live it: for benchmarks of what comes then.

Hours and days of the last days are made by the exporter's own upkeep from five minutes, those before as it makes them.
The line and the site moved the sum of the clients. Totals are what hours, days, five minutes and silences add up to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from benchmarks.controller import mac
from exporter.accounting.buckets import BUCKET, HOUR
from exporter.accounting.days import day_of, day_start
from exporter.store import State, calendar, rows
from exporter.store.upkeep import read_progress, roll_up

ZONE: Final = ZoneInfo("Europe/Berlin")
SOURCE: Final = "home"
PLACE: Final = "default"

SITE: Final = 1
WAN: Final = 2
FIRST: Final = 3
"""The rows of the site, of the line and of the first client."""

_CHANCES: Final = 233_280
# Numbers that look random, from 0 to _CHANCES, by moment and client.
_NOISE: Final = "((({0} * 7919 + id * 104729) % 1000003 * 9301 + 49297) % 233280)"
_ADD: Final = """
    WITH RECURSIVE moment (at) AS (VALUES (:first) UNION ALL SELECT at + :step FROM moment WHERE at + :step < :end)
    INSERT INTO {table} (bucket, subject, class, download, upload, flags)
    SELECT at, id, 'all', {bytes} * :most / 233280 + 1, {bytes} * :most / 233280 / 9 + 1, 0
    FROM moment CROSS JOIN subject WHERE id >= 3 AND {by_hour} < :hours AND {by_moment} < :moments
"""
_ADD_SUMS: Final = """
    INSERT INTO {0} SELECT bucket, id, 'all', sum(download), sum(upload), 0
    FROM {0}, (SELECT 1 AS id UNION ALL SELECT 2) WHERE bucket >= ? AND bucket < ? GROUP BY bucket, id
"""
_ADD_DAY: Final = """
    INSERT INTO daily SELECT ?, subject, class, sum(download), sum(upload), 0 FROM hourly
    WHERE bucket >= ? AND bucket < ? GROUP BY subject, class
"""
_ADD_GAP: Final = """
    INSERT INTO gap SELECT :began, :ended, id, 'all', {bytes} * 900 + 1, {bytes} * 100 + 1, 0 FROM subject WHERE id >= 3
"""
_ADD_GAP_SUMS: Final = """
    INSERT INTO gap SELECT began, ended, id, 'all', sum(download), sum(upload), 0
    FROM gap, (SELECT 1 AS id UNION ALL SELECT 2) WHERE began = ? GROUP BY id
"""
_MOVED: Final = """
    CREATE TEMP TABLE moved AS SELECT subject, sum(download) AS download, sum(upload) AS upload FROM (
        SELECT subject, download, upload FROM daily
        UNION ALL SELECT subject, download, upload FROM gap
        UNION ALL SELECT subject, download, upload FROM usage WHERE bucket >= ? AND (bucket >= ? OR subject >= ?)
    ) GROUP BY subject
"""
_TOTALS: Final = """
    UPDATE subject SET download = moved.download, upload = moved.upload, download_packets = 0, upload_packets = 0
    FROM moved WHERE moved.subject = subject.id
"""


class Past(NamedTuple):
    """What lies behind an exporter at `end`, Unix seconds and a bound of five minutes.

    days, long: so many have five minutes, and hours and days. hours, moments: the shares of clients that move in an
    hour, and in five minutes of it. silences: when they began and how long they were, in seconds and multiples of five
    minutes, oldest first and in the days that have five minutes.
    """

    clients: int
    end: int
    days: int
    long: int
    hours: float
    moments: float
    silences: tuple[tuple[int, int], ...] = ()


def build(path: Path, past: Past) -> None:
    """Make the state file."""
    State.open(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA synchronous = OFF")
        file.execute("PRAGMA cache_size = -200000")
        file.execute("BEGIN")
        _live(file, past)
        file.execute("COMMIT")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _live(file: sqlite3.Connection, past: Past) -> None:
    file.executemany("INSERT INTO subject (id, source, kind, site, key) VALUES (?, ?, ?, ?, ?)", _subjects(past))
    file.execute("INSERT INTO source VALUES (?, 'controller', 9, 9.0, ?, 0)", (SOURCE, float(past.end)))
    rows.set_meta(file, "timezone", ZONE.key)
    since = day_start(day_of(past.end - past.days * 86_400, ZONE), ZONE)
    first = day_of(since, ZONE) - (past.long - past.days)
    calendar.cover(file, first, day_of(past.end, ZONE), ZONE)
    _add(file, "hourly", range(day_start(first, ZONE), since, HOUR), past, 60_000_000)
    for day in range(first, day_of(since, ZONE)):
        file.execute(_ADD_DAY, (day, day_start(day, ZONE), day_start(day + 1, ZONE)))
    edges = [since, *(edge for began, length in past.silences for edge in (began, began + length)), past.end]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        _add(file, "usage", range(start, end, BUCKET), past, 5_000_000)
    for began, length in past.silences:
        gap = {"began": began, "ended": began + length}
        file.execute(_ADD_GAP.format(bytes=_NOISE.format(":began / 300")), gap)
        file.execute(_ADD_GAP_SUMS, (began,))
    rows.set_meta(file, "archive_hour", str(since))
    before = None
    while before != (progress := read_progress(file)):
        before = progress
        roll_up(file, progress, past.end, ZONE)
    file.execute(_MOVED, (progress.hour, progress.hour + HOUR, progress.subject))
    file.execute(_TOTALS)


def _add(file: sqlite3.Connection, table: str, moments: range, past: Past, most: int) -> None:
    """All that moved in these hours or five minutes, at most so many bytes for each client."""
    at = f"at / {moments.step}"
    noise = {"bytes": at, "by_hour": "(at / 3600 + 17)", "by_moment": f"({at} + 39)"}
    statement = _ADD.format(table=table, **{name: _NOISE.format(seed) for name, seed in noise.items()})
    share = past.moments if moments.step == BUCKET else 1.0
    named = {"first": moments.start, "step": moments.step, "end": moments.stop, "most": most}
    chances = {"hours": round(past.hours * _CHANCES), "moments": round(share * _CHANCES)}
    file.execute(statement, named | chances)
    file.execute(_ADD_SUMS.format(table), (moments.start, moments.stop))


def _subjects(past: Past) -> Iterator[tuple[int, str, str, str, str]]:
    yield SITE, SOURCE, "site", PLACE, ""
    yield WAN, SOURCE, "wan", PLACE, "wan1"
    for number in range(past.clients):
        yield FIRST + number, SOURCE, "client", PLACE, mac(number)
