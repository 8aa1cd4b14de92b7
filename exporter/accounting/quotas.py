"""How far a quota is used, and where it is heading. Pure.

The projection is linear: what was used so far, at the mean rate of the period so far, for all of it,

    projected = used * (end - start) / (now - start)

and the limit is passed when that line crosses it. In the first twentieth of a period it says nothing: a download on the
first morning is no month. It knows no week-ends and no last month: what it says can be checked by hand.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from exporter.accounting.periods import Cycle, Period
from exporter.model import Count

SILENT: Final = 0.05
"""The share of a period in which nothing is projected."""

BOTH: Final = "both"


class Quota(Struct, frozen=True):
    """What may be used in a period.

    scope: "client", "owner", "category", "wan", "source" or "all". source, site: of a line or a source, "" elsewhere.
    subject: the MAC, the owner, the category, the line; "" for a source and for all. count: "download", "upload" or
    BOTH. limit: bytes. thresholds: shares of the limit, smallest first.
    """

    name: str
    scope: str
    cycle: Cycle
    limit: int
    source: str = ""
    site: str = ""
    subject: str = ""
    count: str = BOTH
    thresholds: tuple[float, ...] = (0.75, 0.9, 1.0)


class Standing(Struct, frozen=True):
    """Where a quota stands. used: bytes that count. Ratios are of the limit.

    projected: None while there is too little to tell from. passed_at: Unix seconds, where the limit will be passed
    within the period; None where it will not be, or is already.
    """

    period: Period
    used: int
    ratio: float
    projected: float | None = None
    passed_at: float | None = None


def as_percent(ratio: float) -> str:
    """A threshold as it is written: 75%, 99.5%."""
    return f"{round(ratio * 100, 2):g}%"


def counted(moved: Count, count: str) -> int:
    """The bytes that a quota counts."""
    return (moved.download if count != "upload" else 0) + (moved.upload if count != "download" else 0)


def standing(moved: Count, period: Period, now: float, *, limit: int, count: str = BOTH) -> Standing:
    """Where a quota stands at `now` (Unix seconds), of which `moved` was used since the period began."""
    used = counted(moved, count)
    length, elapsed = period.end - period.start, min(now, period.end) - period.start
    if elapsed < SILENT * length or elapsed <= 0:
        return Standing(period, used, used / limit)
    projected = used * length / elapsed
    passed_at = period.start + elapsed * limit / used if used < limit < projected else None
    return Standing(period, used, used / limit, projected / limit, passed_at)
