"""When an account begins anew: days, weeks and months by a local clock.

A period holds what moved in (start, end], as buckets do: its bounds are those of local days, which begin with the first
five minutes of their date. Periods of one cycle follow each other without holes.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from math import ceil
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import bucket_of
from exporter.accounting.days import date_of, day_of, day_start

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAILY: Final = "daily"
_EPOCH: Final = date_of(0).toordinal()


class Cycle(NamedTuple):
    """reset: a day of the month ("1" to "31"; a shorter month's last day stands for it), a day of the week, or DAILY.

    zone: by whose midnight it resets, as its IANA name.
    """

    reset: str
    zone: ZoneInfo


class Period(NamedTuple):
    """What moved in (start, end]; Unix seconds."""

    start: int
    end: int


def period_of(cycle: Cycle, at: float) -> Period:
    """The period that bytes are in which move up to `at`, Unix seconds: at a bound, the one that ends there."""
    today = date_of(day_of(bucket_of(ceil(at)), cycle.zone))
    first, after = _dates(cycle.reset, today)
    return Period(day_start(_day(first), cycle.zone), day_start(_day(after), cycle.zone))


def _day(of: date) -> int:
    return of.toordinal() - _EPOCH


def _dates(reset: str, today: date) -> tuple[date, date]:
    """The first date of the period that `today` is in, and that of the next one."""
    if reset == DAILY:
        return today, today + timedelta(days=1)
    if reset in WEEKDAYS:
        first = today - timedelta(days=(today.weekday() - WEEKDAYS.index(reset)) % 7)
        return first, first + timedelta(days=7)
    this = _in_month(today.year, today.month, int(reset))
    if today >= this:
        return this, _in_month(*_next_month(today), int(reset))
    last = today.replace(day=1) - timedelta(days=1)
    return _in_month(last.year, last.month, int(reset)), this


def _in_month(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, monthrange(year, month)[1]))


def _next_month(of: date) -> tuple[int, int]:
    after = of.replace(day=28) + timedelta(days=4)
    return after.year, after.month
