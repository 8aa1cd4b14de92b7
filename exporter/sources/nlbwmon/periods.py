"""nlbwmon's periods: how each is labelled, and when it began. Pure.

The label of a period names its file (`20261101.db.gz`) and is what `nlbw -t` takes (`2026-11-01`). It is kept as text
of eight digits: nlbwmon can label a month's period by a day which that month does not have (timing.c).
"""

from __future__ import annotations

import calendar
import math
import re
import time
from typing import Final, NamedTuple

DAY: Final = 86_400
HOUR: Final = 3_600
FURTHEST: Final = 800  # days that are looked back for the beginning of a monthly period
_is_fixed = re.compile(r"(\d{4})-(\d{2})-(\d{2})/(\d{1,5})").fullmatch
_is_monthly = re.compile(r"[+-]?\d{1,2}").fullmatch


class Period(NamedTuple):
    """One period: its label, and when it began, in Unix seconds on the router's clock."""

    label: str
    start: float


class Monthly(NamedTuple):
    """`database_interval` as a day of the month: 1 to 31, or 0 and below, counted from the month's end."""

    day: int


class Fixed(NamedTuple):
    """`database_interval` as so many days, the first of which began at `base`, a UTC midnight in Unix seconds."""

    base: int
    days: int


Interval = Monthly | Fixed


def interval_of(text: str, offset: int) -> Interval | None:
    """What a `database_interval` means, None where it is none that is known.

    offset: seconds by which the router's local time is ahead of UTC. A fixed interval's first day begins with the UTC
    midnight at or before its local one (nlbwmon reference, §1.5 mechanics).
    """
    fixed = _is_fixed(text.strip())
    if fixed:
        year, month, day, days = (int(part) for part in fixed.groups())
        if not (2000 <= year <= 3000 and 1 <= month <= 12 and 1 <= day <= days_in(year, month) and days):
            return None
        midnight = calendar.timegm((year, month, day, 0, 0, 0)) - offset
        return Fixed(midnight - midnight % DAY, days)
    return Monthly(int(text)) if _is_monthly(text.strip()) else None


def periods(interval: Interval, now: float, offset: int, number: int) -> list[Period]:
    """The period that `now` (Unix seconds on the router's clock) falls into and the ones before it, newest first."""
    if isinstance(interval, Fixed):
        start = _fixed_start(interval, now)
        starts = (start - back * interval.days * DAY for back in range(number))
        return [Period(_date(start + offset), float(start)) for start in starts]
    return _months(interval.day, now, offset, number)


def closed_at(start: float, written: float, late: float) -> float:
    """When a period ended whose file was written last at `written` and after which the next began at `start`.

    That is when it was written: on a full disk days after its end, and before it where the power was cut. Up to `late`
    seconds after the bound are the daemon's way to see that it passed. All are Unix seconds on the router's clock.
    """
    bounds = (start + hours * HOUR for hours in (0, -1, 1))  # long ago, the router's offset may have been another one
    return next((bound for bound in bounds if 0 <= written - bound <= late), written)


def days_in(year: int, month: int) -> int:
    """How many days a month has."""
    return calendar.monthrange(year, month)[1]


def dashed(label: str) -> str:
    """A label as `nlbw -t` takes it."""
    return f"{label[:4]}-{label[4:6]}-{label[6:]}"


def _fixed_start(interval: Fixed, now: float) -> int:
    midnight = int(now) - int(now) % DAY
    # As in C, the remainder has the sign of what is divided: before its base, the daemon is a period ahead.
    return midnight - int(math.fmod(midnight - interval.base, interval.days * DAY))


def _months(day: int, now: float, offset: int, number: int) -> list[Period]:
    """The label holds from the first local day that gives it, so the days are looked through backward."""
    local = int(now) + offset
    midnight = local - local % DAY
    found: list[Period] = []
    for back in range(FURTHEST):
        at = midnight - back * DAY
        label = _month_label(day, *_ymd(at))
        if found and found[-1].label == label:
            found[-1] = Period(label, float(at - offset))
        elif len(found) == number:
            break
        else:
            found.append(Period(label, float(at - offset)))
    return found


def _month_label(day: int, year: int, month: int, today: int) -> str:
    """timing.c, interval_timestamp_monthly: a day that is too high is never cut, one counted from the end is."""
    if today < (day if day > 0 else day + days_in(year, month)):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    if day <= 0:
        day = max(1, day + days_in(year, month))
    return f"{year:04}{month:02}{day:02}"


def _ymd(local: int) -> tuple[int, int, int]:
    date = time.gmtime(local)
    return date.tm_year, date.tm_mon, date.tm_mday


def _date(local: int) -> str:
    year, month, day = _ymd(local)
    return f"{year:04}{month:02}{day:02}"
