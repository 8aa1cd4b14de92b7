"""What a line costs where it is billed by its 95th percentile. Pure.

A period is cut into bins of five minutes, aligned to the clock. A bin in which nothing moved counts as 0. Of each
direction the bins are sorted, and the one whose rank is

    rank = ceil(percent / 100 * bins)        (nearest rank, counted from 1; no interpolation)

is the percentile: of a month of 30 days, 8,640 bins, the 432 highest cost nothing. Nothing is clamped to the speed of a
link: what was metered, was metered. `larger` is the larger one of the two percentiles, not that of the larger bins.

**What moved in a silence is spread evenly over its bins.** The meters are cumulative, so the volume is known and only
its shape is not. To leave it in the bin in which it landed would bill a peak that never was. To leave the bins out, or
at 0, would make a bill smaller by an outage of the exporter. What the shape can have done is said: `least` and `most`
are the bounds of the percentile over every way in which these bytes can have moved.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

from msgspec import Struct

from exporter.accounting.buckets import BUCKET, Span, buckets, share

PERCENT: Final = 95


class Bin(NamedTuple):
    """What moved in (start, start + 300]."""

    start: int
    download: int
    upload: int


class Silence(NamedTuple):
    """Bytes of which only the interval is known in which they moved: after `began`, not after `ended`."""

    began: int
    ended: int
    download: int
    upload: int


class Level(Struct, frozen=True):
    """A percentile of one direction, in bytes in five minutes, and its bounds."""

    value: int
    least: int
    most: int

    @property
    def bits_per_second(self) -> float:
        """As lines are sold."""
        return self.value * 8 / BUCKET


class Percentile(Struct, frozen=True):
    """bins: how many there were. unknown: in how many of them a silence is."""

    bins: int
    unknown: int
    download: Level
    upload: Level

    @property
    def larger(self) -> Level:
        """The one that is billed, where the larger direction is."""
        return max(self.download, self.upload, key=lambda level: level.value)


def rank(bins: int, percent: int = PERCENT) -> int:
    """The rank of the percentile among so many bins, the lowest being 1."""
    return -(-bins * percent // 100)


def percentile(
    start: int, end: int, moved: Iterable[Bin], silences: Iterable[Silence] = (), percent: int = PERCENT
) -> Percentile:
    """The percentiles of a period (start, end], both multiples of 300; percent: from 1 to 100.

    Bins may come in any order, those without bytes may be missing, and what is outside of the period is left out, also
    of silences. Raises ValueError where the period has no bin or is not aligned.
    """
    if start >= end or start % BUCKET or end % BUCKET:
        raise ValueError(f"a period from {start} to {end} has no whole bins of five minutes")
    bins = range(start, end, BUCKET)
    known = [[0] * len(bins), [0] * len(bins)]
    spread: list[dict[int, int]] = [{}, {}]
    for each in moved:
        if each.start in bins:
            place = bins.index(each.start)
            known[0][place] += each.download
            known[1][place] += each.upload
    for silence in silences:
        began, ended, *amounts = silence
        for at in buckets(Span(began, ended)):
            if at in bins:
                place = bins.index(at)
                for side, amount in enumerate(amounts):
                    part = share(amount, began, ended, at + BUCKET) - share(amount, began, ended, at)
                    spread[side][place] = spread[side].get(place, 0) + part
    download, upload = (_level(known[side], spread[side], rank(len(bins), percent)) for side in (0, 1))
    return Percentile(len(bins), len(spread[0]), download, upload)


def _level(known: list[int], spread: dict[int, int], place: int) -> Level:
    """known: the bytes of each bin; spread: what silences have in some of them. place: the rank of the percentile."""
    together = [value + spread.get(at, 0) for at, value in enumerate(known)]
    lowest = sorted(known)[place - 1]
    return Level(sorted(together)[place - 1], lowest, _most(known, spread, place) if spread else lowest)


def _most(known: list[int], spread: dict[int, int], place: int) -> int:
    """The highest level that so many bins can reach as lie at or above the percentile, whatever was when.

    Silences share their bytes here, so where there are several the bound may be too high, never too low.
    """
    above, budget = len(known) - place + 1, sum(spread.values())
    fillable = sorted((known[at] for at in spread), reverse=True)
    ordered = sorted(known)
    low, high = ordered[place - 1], ordered[-1] + budget
    while low < high:
        level = (low + high + 1) // 2
        missing = above - (len(ordered) - bisect_left(ordered, level))
        below = [value for value in fillable if value < level][: max(missing, 0)]
        if len(below) >= missing and sum(level - value for value in below) <= budget:
            low = level
        else:
            high = level - 1
    return low
