"""Who used most, what changed, and what is unlike other days. Pure functions over plain rows.

A row is what a subject moved in a period: its name, download, upload. Shares and changes are of download and upload
together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from math import copysign, inf
from statistics import median
from typing import Final, NamedTuple

from msgspec import Struct

STEADY: Final = 20
"""Percent of the period before, up to which a change is none."""

DAYS: Final = 28
"""How many days back the same hour is looked at."""

ENOUGH: Final = 14
"""Samples that it takes to say what is usual."""

UNUSUAL: Final = 3.5
"""The score from which an hour is unusual (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993)."""

LEAST: Final = 50_000_000
"""Bytes by which an hour has to differ besides: ten times next to nothing is still next to nothing."""

_OF_MEDIAN: Final = 0.6745
"""The median of absolute deviations of a normal distribution, in standard deviations."""

_OF_MEAN: Final = 0.7979
"""The mean of them: the root of 2 / pi."""


class Moved(NamedTuple):
    """What a subject moved."""

    name: str
    download: int
    upload: int

    @property
    def both(self) -> int:
        """Download and upload."""
        return self.download + self.upload


class Ranked(NamedTuple):
    """rank: from 1; who moved as much has the same. share: of the bytes of all rows, 0 to 1."""

    rank: int
    moved: Moved
    share: float


def top(rows: Iterable[Moved], most: int) -> list[Ranked]:
    """The rows with most bytes, at most so many, largest first; of equal ones in the order of their names.

    share = bytes of the row / bytes of all rows, also of those that are not among the top. Rows without bytes are out.
    """
    moved = sorted((row for row in rows if row.both > 0), key=lambda row: (-row.both, row.name))
    whole = sum(row.both for row in moved)
    ranked: list[Ranked] = []
    for place, row in enumerate(moved[:most], 1):
        same = ranked and ranked[-1].moved.both == row.both
        ranked.append(Ranked(ranked[-1].rank if same else place, row, row.both / whole))
    return ranked


class Direction(Enum):
    """Where something is heading."""

    UP = "up"
    DOWN = "down"
    STEADY = "steady"
    NEW = "new"
    UNKNOWN = "nothing to compare with"


class Trend(NamedTuple):
    """change: of the bytes before, 0.5 for half as much again; None where nothing moved before, or nobody knows."""

    direction: Direction
    change: float | None


def trend(now: int, before: int | None) -> Trend:
    """How a period compares with the one before it, which has to be as long. None: it was not metered.

        change = (now - before) / before

    From -20 % to +20 %, both included, is steady.
    """
    if before is None:
        return Trend(Direction.UNKNOWN, None)
    if before <= 0:
        return Trend(Direction.NEW if now > 0 else Direction.STEADY, None)
    change = now - before
    if abs(change) * 100 <= before * STEADY:
        return Trend(Direction.STEADY, change / before)
    return Trend(Direction.UP if change > 0 else Direction.DOWN, change / before)


class Compared(NamedTuple):
    """A subject in two periods. change: bytes more than before, less than 0 for fewer."""

    name: str
    before: int
    now: int
    change: int
    trend: Trend


def compare(before: Iterable[Moved], now: Iterable[Moved]) -> list[Compared]:
    """Everybody who moved bytes in one of two periods that were both metered, the largest change first.

    Who is missing in one of them moved nothing there. Rows of one name are added up.
    """
    sums = [_sums(before), _sums(now)]
    compared = [
        Compared(name, was, is_, is_ - was, trend(is_, was))
        for name in {**sums[0], **sums[1]}
        if (was := sums[0].get(name, 0)) | (is_ := sums[1].get(name, 0))
    ]
    return sorted(compared, key=lambda each: (-abs(each.change), each.name))


def _sums(rows: Iterable[Moved]) -> Mapping[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row.name] = sums.get(row.name, 0) + row.both
    return sums


class Usual(Struct, frozen=True):
    """An hour beside the same hour of earlier days. score: how many standard deviations it lies off, if it is normal.

    score is infinite where all earlier hours had the same bytes and this one had others.
    """

    moved: int
    median: float
    score: float
    unusual: bool


def anomaly(moved: int, earlier: Sequence[int]) -> Usual | None:
    """How unlike the same hour of earlier days an hour is; None where these are too few to say what is usual.

    moved: bytes of the hour. earlier: those of the same local hour of the 28 days before, 0 where nothing moved and
    missing where a silence covers it or the meter was not there yet. With m the median of `earlier`,

        MAD   = median(|x - m|)
        score = 0.6745 * (moved - m) / MAD              the modified z-score
        score = 0.7979 * (moved - m) / mean(|x - m|)    where MAD is 0: more than half of them are the same

    It is unusual from a score of 3.5 up or down, if it differs from m by LEAST bytes as well.
    """
    if len(earlier) < ENOUGH:
        return None
    middle = median(earlier)
    off, deviations = moved - middle, [abs(each - middle) for each in earlier]
    spread = median(deviations) / _OF_MEDIAN or sum(deviations) / len(deviations) / _OF_MEAN
    score = off / spread if spread else copysign(inf, off) if off else 0.0
    return Usual(moved, middle, score, abs(score) >= UNUSUAL and abs(off) >= LEAST)
