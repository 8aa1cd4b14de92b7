"""What totals were at an earlier moment: as they are now, less what history says has moved since."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Final
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import BUCKET, HOUR, share
from exporter.accounting.days import day_of, day_start
from exporter.store.usage import Progress

Pair = tuple[int, int]
"""Download and upload."""

Rows = Callable[[str, Iterable[int]], sqlite3.Cursor]
"""What a query finds of the subjects at these moments."""

# Moments and subjects are named one by one: time comes first in the keys, so anything else would look at everybody.
_NAMED: Final = """
    SELECT {1}, subject, download, upload FROM {0}
    WHERE {1} IN (SELECT value FROM json_each(?)) AND subject IN (SELECT value FROM json_each(?)) AND class = 'all'
"""
_DAILY: Final = _NAMED.format("daily", "day")
_HOURLY: Final = _NAMED.format("hourly", "bucket")
_USAGE: Final = _NAMED.format("usage", "bucket")
_GAPS: Final = """
    SELECT subject, download, upload, began, ended FROM gap
    WHERE ended > ? AND subject IN (SELECT value FROM json_each(?)) AND class = 'all'
"""
_TOTALS: Final = """
    SELECT id, download, upload FROM subject
    WHERE id IN (SELECT value FROM json_each(?)) AND download IS NOT NULL
"""
_ENDS: Final = "SELECT min(bucket), max(bucket) FROM usage WHERE bucket >= ?"
_LAST_DAY: Final = "SELECT max(day) FROM daily"


def openings(
    connection: sqlite3.Connection, subjects: Collection[int], start: int, progress: Progress, zone: ZoneInfo
) -> dict[int, Pair]:
    """The totals of these rows of `subject` at `start`, a bound of five minutes. Those without a total are left out.

    zone: by which days are cut. Where `start` is no midnight of theirs, hours say what moved up to the next one. Where
    five minutes are removed already, an hour that is divided by either is split by time.
    """
    named = json.dumps([*subjects])

    def rows(query: str, when: Iterable[int]) -> sqlite3.Cursor:
        return connection.execute(query, (json.dumps([*when]), named))

    totals = {row: (download, upload) for row, download, upload in connection.execute(_TOTALS, (named,))}
    day = day_of(start, zone)
    day += day_start(day, zone) < start
    (last,) = connection.execute(_LAST_DAY).fetchone()
    days = rows(_DAILY, range(day, (day if last is None else last) + 1))
    made = chain((moved for _, *moved in days), _of_hours(rows, start, day_start(day, zone), progress))
    first, last = connection.execute(_ENDS, (max(start, progress.hour),)).fetchone()
    unmade = rows(_USAGE, () if first is None else range(first, last + 1, BUCKET))
    rest = (moved for bucket, *moved in unmade if (bucket // HOUR * HOUR, moved[0]) >= progress)
    silent = (
        [row, *(amount - share(amount, began, ended, start) for amount in (download, upload))]
        for row, download, upload, began, ended in connection.execute(_GAPS, (start, named))
    )
    for row, download, upload in chain(made, rest, silent):
        if row in totals:
            down, up = totals[row]
            totals[row] = down - download, up - upload
    return totals


def _of_hours(rows: Rows, start: int, end: int, progress: Progress) -> Iterator[list[int]]:
    """Subject, download and upload between two bounds of five minutes, of hours that are made."""
    hours = range(start // HOUR * HOUR, min(end, progress.hour + HOUR), HOUR)
    divided = [hour for hour in hours if hour < start or hour + HOUR > end]
    parts: dict[tuple[int, int], tuple[Pair, Pair]] = {}
    for bucket, row, download, upload in rows(
        _USAGE, (b for hour in divided for b in range(hour, hour + HOUR, BUCKET))
    ):
        whole, inside = parts.get((bucket // HOUR * HOUR, row), ((0, 0), (0, 0)))
        whole = whole[0] + download, whole[1] + upload
        if start <= bucket < end:
            inside = inside[0] + download, inside[1] + upload
        parts[bucket // HOUR * HOUR, row] = whole, inside
    for hour, row, download, upload in rows(_HOURLY, hours):
        if hour not in divided:
            yield [row, download, upload]
        elif (hour, row) < progress:
            whole, inside = parts.get((hour, row), ((0, 0), (0, 0)))
            spread = [_inside(amount, hour, start, end) for amount in (download, upload)]
            yield [row, *(inside if whole == (download, upload) else spread)]


def _inside(amount: int, hour: int, start: int, end: int) -> int:
    """How much of an hour's bytes, spread evenly over it, moved between two moments."""
    return share(amount, hour, hour + HOUR, end) - share(amount, hour, hour + HOUR, start)
