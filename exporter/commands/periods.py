"""The periods that a person may ask for, in local days of the archive."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from exporter.accounting.days import day_from, day_start
from exporter.accounting.periods import DAILY, Cycle, Period, period_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

CYCLES: Final = {"today": DAILY, "week": "monday", "month": "1"}
PERIODS: Final = "today, yesterday, week, month, a month as 2026-07, a day as 2026-07-14, or 2026-07-01..2026-07-14"
LAST_DATE: Final = "9998-12-31"


class UnclearError(Exception):
    """What the user asks for does not exist; the message says what does."""


def period_named(text: str, now: float, zone: ZoneInfo) -> Period:
    """today, yesterday, week, month, a month as 2026-07, a day as 2026-07-14, or days as 2026-07-01..2026-07-14.

    Raises UnclearError.
    """
    if text in CYCLES:
        return period_of(Cycle(CYCLES[text], zone), now)
    if text == "yesterday":
        return period_of(Cycle(DAILY, zone), period_of(Cycle(DAILY, zone), now).start)
    first, dots, last = text.partition("..")
    try:
        days = _dates(first) if not dots else (_date(first), _date(last) + timedelta(days=1))
    except (ValueError, OverflowError):
        days = None
    if days is None or days[0] >= days[1]:
        raise UnclearError(f"There is no period {text!r}. Write {PERIODS}.")
    return Period(*(day_start(day_from(day), zone) for day in days))


def _dates(text: str) -> tuple[date, date]:
    """The first date of a month or a day, and the one after its last. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
        return _date(text), _date(text) + timedelta(days=1)
    first = _date(f"{text}-01")
    return first, (first.replace(day=28) + timedelta(days=4)).replace(day=1)


def _date(text: str) -> date:
    """Raises ValueError, also for a year that no archive has."""
    if not re.fullmatch(r"(19[7-9]|[2-9][0-9]{2})[0-9]-[0-9]{2}-[0-9]{2}", text) or text > LAST_DATE:
        raise ValueError(text)
    return date.fromisoformat(text)
