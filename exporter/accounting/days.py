"""Local days. A day is counted from 1970-01-01, as its date says; where it begins, the time zone says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import BUCKET

_EPOCH: Final = date(1970, 1, 1).toordinal()


class Stretch(NamedTuple):
    """The buckets from `start` to before `end`, which belong to one day."""

    day: int
    start: int
    end: int


def day_of(bucket: int, zone: ZoneInfo) -> int:
    """The day on whose date the bucket begins."""
    return datetime.fromtimestamp(bucket, zone).toordinal() - _EPOCH


def date_of(day: int) -> date:
    """The date of a day."""
    return date.fromordinal(day + _EPOCH)


def day_from(of: date) -> int:
    """The day that has a date."""
    return of.toordinal() - _EPOCH


def day_start(day: int, zone: ZoneInfo) -> int:
    """The first bucket of a day. Days that a zone skipped are empty: they begin where the next one does."""
    midnight = datetime.combine(date_of(day), datetime.min.time(), zone).astimezone(UTC).timestamp()
    start = -int(-midnight // BUCKET) * BUCKET
    # Clocks that go from 23:30 to 0:30 have no midnight; Python then names a moment beside it.
    while day_of(start, zone) < day:
        start += BUCKET
    while day_of(start - BUCKET, zone) >= day:
        start -= BUCKET
    return start


def stretches(start: int, end: int, zone: ZoneInfo) -> Iterator[Stretch]:
    """The days of the buckets from `start` to before `end`."""
    for day, group in groupby(range(start, end, BUCKET), lambda bucket: day_of(bucket, zone)):
        run = list(group)
        yield Stretch(day, run[0], run[-1] + BUCKET)
