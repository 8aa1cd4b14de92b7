"""`prune`: what is too old is removed from the archive by its owner, a little in each transaction."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import HOUR, bucket_of
from exporter.accounting.days import day_of
from exporter.store.postgres.connection import ArchiveError, connect, explained, revision_trouble, transaction
from exporter.store.postgres.target import Target
from exporter.store.upkeep import Retention

ROWS: Final = 20_000
"""Rows of a transaction."""

_DELETE: Final = """
    DELETE FROM {0} WHERE exporter = %s AND ({1}, subject, {3}) IN
        (SELECT {1}, subject, {3} FROM {0} WHERE exporter = %s AND {2} ORDER BY {1}, subject, {3} LIMIT %s)
"""
_EXPORTERS: Final = "SELECT number, timezone, made_hour FROM exporter ORDER BY number"


class Removed(NamedTuple):
    """So many rows of a table."""

    table: str
    rows: int


def prune(target: Target, keep: Retention, now: float) -> Generator[Removed, None, None]:
    """Remove what is too old at `now`, and say so by table. It may be interrupted anywhere. Raises ArchiveError.

    Five minutes go only where their hour and day are made.
    """
    connection: Any = connect(target)
    try:
        with explained(target, "cannot prune"):
            with transaction(connection) as cursor:
                trouble = revision_trouble(cursor, target)
                if trouble:
                    raise ArchiveError(trouble)
                cursor.execute(_EXPORTERS)
                exporters = cursor.fetchall()
            for number, zone, made in exporters:
                for table, at, until in _bounds(keep, now, ZoneInfo(zone), made):
                    yield Removed(table, _delete(connection, number, table, at, until))
    finally:
        connection.close()


def _bounds(keep: Retention, now: float, zone: ZoneInfo, made: int) -> Iterator[tuple[str, str, int]]:
    """Each table, its column of time, and before which time it is pruned."""
    if keep.five_minutes < math.inf:
        yield "usage", "bucket", min(int(now - keep.five_minutes) // HOUR * HOUR, made)
    if keep.hourly < math.inf:
        until = int(now - keep.hourly) // HOUR * HOUR
        yield "hourly", "bucket", until
        yield "event", "bucket", until
    if keep.daily < math.inf:
        until = int(now - keep.daily)
        yield "daily", "day", day_of(bucket_of(until), zone)
        yield "gap", "began", until


def _delete(connection: Any, number: int, table: str, at: str, until: int) -> int:
    old = "began < %s AND ended <= %s" if table == "gap" else f"{at} < %s"
    bounds = (until, until) if table == "gap" else (until,)
    kind = "reason" if table == "event" else "class"
    removed = 0
    while True:
        with transaction(connection) as cursor:
            cursor.execute(_DELETE.format(table, at, old, kind), (number, number, *bounds, ROWS))
            rows: int = cursor.rowcount
        removed += rows
        if rows < ROWS:
            return removed
