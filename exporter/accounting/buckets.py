"""When bytes moved: the intervals between two polls, and the five-minute buckets that they fall into.

Times are whole Unix seconds. Bytes move *after* the poll that begins an interval and *not after* the one that ends it,
so a bucket `b` holds what moved in (b, b + 300], and a poll at midnight exactly ends the day before.
Nobody knows when in an interval its bytes moved: they are taken as spread evenly over it, in whole bytes.
"""

from __future__ import annotations

from math import ceil, floor
from typing import Final, NamedTuple

BUCKET: Final = 300
HOUR: Final = 3600

CLOCK: Final = 1
"""Flag: our clock stood still or was set back, so some of these bytes moved later than the bucket says."""
IMPORTED: Final = 2
"""Flag: brought in from elsewhere, and in no total."""


class Span(NamedTuple):
    """The interval (start, end] in which bytes moved. With start = end it is a moment. flags: see above."""

    start: int
    end: int
    flags: int = 0


def span(before: float | None, at: float, elapsed: float) -> Span:
    """What lies between two polls: at `before` (None: there was none) and `at`, `elapsed` seconds of tick apart.

    A clock that was set forward does not make the interval longer than the time that passed. Where it was set back the
    last good time counts, which is `before`.
    """
    if before is None:
        return Span(ceil(at), ceil(at))
    if at <= before:
        return Span(ceil(before), ceil(before), CLOCK)
    return Span(floor(min(at, max(before, at - elapsed))), ceil(at))


def bucket_of(end: int) -> int:
    """The bucket that bytes which moved up to `end` are in."""
    return (end - 1) // BUCKET * BUCKET


def buckets(over: Span) -> range:
    """The buckets that an interval touches, oldest first; at least one."""
    return range(min(bucket_of(over.start + 1), bucket_of(over.end)), over.end, BUCKET)


def share(amount: int, start: int, end: int, until: int) -> int:
    """How many of `amount` bytes, spread evenly over (start, end], moved up to `until`. Shares add up to the amount."""
    if until >= end:
        return amount
    return 0 if until <= start else amount * (until - start) // (end - start)
