"""Where the days of the archive begin and end, for SQL: a database does not know the time zone they are cut by.

Whole years are written, as far as the archive reaches. A day that the zone skipped begins where it ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import bucket_of
from exporter.accounting.days import date_of, day_from, day_of, day_start

_KNOWN: Final = "SELECT 1 FROM calendar WHERE day = ?"
_ADD: Final = "INSERT INTO calendar (day, date, month, began, ended) VALUES (?, ?, ?, ?, ?)"
_YEARS: Final = "SELECT DISTINCT substr(month, 1, 4) FROM calendar"
_REACH: Final = (
    "SELECT min(bucket), max(bucket) + 300 FROM usage",
    "SELECT min(began), max(ended) FROM gap",
)
_DAYS: Final = "SELECT min(day), max(day) FROM daily"


def cover(connection: sqlite3.Connection, first: int, last: int, zone: ZoneInfo) -> None:
    """Write the years of the days from `first` to `last`, and of those beside them, where they are not written yet.

    Inside the caller's transaction.
    """
    for year in _years(first, last):
        if connection.execute(_KNOWN, (day_from(date(year, 1, 1)),)).fetchone() is None:
            connection.executemany(_ADD, _days(year, zone))


def recut(connection: sqlite3.Connection, zone: ZoneInfo) -> None:
    """Write all of it anew for a time zone, or for rules of it that changed, inside the caller's transaction."""
    years = {int(year) for (year,) in connection.execute(_YEARS)} or set(_reached(connection, zone))
    connection.execute("DELETE FROM calendar")
    for year in sorted(years):
        connection.executemany(_ADD, _days(year, zone))


def _reached(connection: sqlite3.Connection, zone: ZoneInfo) -> Iterator[int]:
    """The years of what is in an archive without a calendar."""
    for query in _REACH:
        start, end = connection.execute(query).fetchone()
        if start is not None:
            yield from _years(day_of(bucket_of(start + 1), zone), day_of(bucket_of(end), zone))
    first, last = connection.execute(_DAYS).fetchone()
    if first is not None:
        yield from _years(first, last)


def _years(first: int, last: int) -> range:
    # Another time zone may put a byte into the day before or after.
    return range(date_of(first - 1).year, date_of(last + 1).year + 1)


def _days(year: int, zone: ZoneInfo) -> Iterator[tuple[int, str, str, int, int]]:
    first, after = day_from(date(year, 1, 1)), day_from(date(year + 1, 1, 1))
    began = day_start(first, zone)
    for day in range(first, after):
        ended = day_start(day + 1, zone)
        written = date_of(day).isoformat()
        yield day, written, written[:7], began, ended
        began = ended
