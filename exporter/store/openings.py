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

    zone: by which days are cut. Where `start` is no midnight of theirs, hours say what days cannot, and where its five
    minutes are removed already, the hour that it divides is split by time.
    """
    named = json.dumps([*subjects])

    def rows(query: str, when: Iterable[int]) -> sqlite3.Cursor:
        return connection.execute(query, (json.dumps([*when]), named))

    totals = {row: (download, upload) for row, download, upload in connection.execute(_TOTALS, (named,))}
    day = day_of(start, zone)
    made: Iterable[list[int]]
    if day_start(day, zone) == start:
        (last,) = connection.execute(_LAST_DAY).fetchone()
        made = (moved for _, *moved in rows(_DAILY, range(day, (day if last is None else last) + 1)))
    else:
        made = _of_hours(rows, start, progress)
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


def _of_hours(rows: Rows, start: int, progress: Progress) -> Iterator[list[int]]:
    """Subject, download and upload since `start`, of hours that are made."""
    hour = start // HOUR * HOUR
    for bucket, *moved in rows(_HOURLY, range(hour, progress.hour + 1, HOUR)):
        if bucket >= start:
            yield moved
    if start == hour:
        return
    whole: dict[int, Pair] = {}
    later: dict[int, Pair] = {}
    for bucket, row, download, upload in rows(_USAGE, range(hour, hour + HOUR, BUCKET)):
        for sums in (whole, later) if bucket >= start else (whole,):
            down, up = sums.get(row, (0, 0))
            sums[row] = down + download, up + upload
    for _, row, download, upload in rows(_HOURLY, [hour]):
        if (hour, row) >= progress:
            continue
        if whole.get(row) == (download, upload):
            yield [row, *later.get(row, (0, 0))]
        else:
            yield [row, *(amount - share(amount, hour, hour + HOUR, start) for amount in (download, upload))]
