"""What a poll adds to the archive: by how much totals grew, and over which interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import floor
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import BUCKET, HOUR, Span, bucket_of, buckets, share, span
from exporter.accounting.days import day_of, day_start
from exporter.model import ZERO, Changes, Count, Parts, Source, SubjectKey

LONGEST: Final = HOUR
"""Seconds. A longer interval is kept as one, however seldom a source is polled."""


Moved = tuple[SubjectKey, int, int]
"""Bytes of one subject: download, upload. Less than 0 only where a poll is counted again (exporter.store.archive)."""

Stretch = tuple[int, int, int, int]
"""Bytes of one subject in (start, end]: both in Unix seconds, download, upload."""


class Growth(NamedTuple):
    """What one poll adds. whole: it is kept as intervals, because nobody knows in which buckets it moved.

    splits: of a whole one, the parts of what moved whose time is proved.
    """

    over: Span
    moved: list[Moved]
    whole: bool
    splits: Mapping[SubjectKey, Parts] = {}


def growth(before: Source, totals: Mapping[SubjectKey, Count], changes: Changes) -> Growth:
    """The difference between `totals` (as of `before`, the poll before) and what `changes` makes of them."""
    after = changes.source
    over = span(before.at if before.number else None, after.at, after.tick - before.tick)
    moved = [
        (subject, total.download - known.download, total.upload - known.upload)
        for subject, total in changes.totals.items()
        if (known := totals.get(subject, ZERO)).download != total.download or known.upload != total.upload
    ]
    silent = changes.gap or over.end - over.start > LONGEST
    whole = silent and len(buckets(over)) > 1
    return Growth(over, moved, whole, changes.splits if whole else {})


def stretches(added: Growth, moved: Moved) -> list[Stretch]:
    """The intervals that one subject's bytes moved in, oldest first: that of the poll, cut where a bound is proved.

    They are disjoint and hold all of the bytes. What may have moved on both sides of a cut is shared out by time.
    """
    subject, download, upload = moved
    start, end, _ = added.over
    rest = start, end, download, upload
    known: list[Stretch] = []
    for (after, until), count in added.splits.get(subject, {}).items():
        first = start if after is None else min(max(start, floor(after)), end)
        last = end if until is None else min(max(start, floor(until)), end)
        if first < last and (first, last) != (start, end):
            known.append((first, last, count.download, count.upload))
            rest = start, end, rest[2] - count.download, rest[3] - count.upload
    if not known or min(rest[2:]) < 0:  # less than 0 where part of it is in the file already: see Moved
        return [(start, end, download, upload)]
    pieces = [*known, rest]
    found: list[Stretch] = []
    for after, until in pairwise(sorted({moment for piece in pieces for moment in piece[:2]})):
        down = sum(share(piece[2], *piece[:2], until) - share(piece[2], *piece[:2], after) for piece in pieces)
        up = sum(share(piece[3], *piece[:2], until) - share(piece[3], *piece[:2], after) for piece in pieces)
        if down or up:
            found.append((after, until, down, up))
    return found


def by_bucket(added: Growth) -> Iterator[tuple[int, SubjectKey, int, int]]:
    """What moved in each bucket: its start, the subject, download and upload. `share` for all of a poll at once."""
    over = added.over
    touched, length = buckets(over), over.end - over.start
    if len(touched) == 1:
        (bucket,) = touched
        yield from ((bucket, *moved) for moved in added.moved)
        return
    ends = [(bucket, min(bucket + BUCKET, over.end) - over.start) for bucket in touched]
    for subject, download, upload in added.moved:
        down = up = 0
        for bucket, end in ends:
            before = down, up
            down, up = download * end // length, upload * end // length
            if before != (down, up):
                yield bucket, subject, down - before[0], up - before[1]


def at_midnight(totals: Mapping[SubjectKey, Count], added: Growth, day: int, zone: ZoneInfo) -> dict[SubjectKey, Count]:
    """The totals with which `day` began, on which `added` ends and before which `totals` stood."""
    return opening(totals, added, day_start(day, zone))


def opening(totals: Mapping[SubjectKey, Count], added: Growth, begun: int) -> dict[SubjectKey, Count]:
    """The totals at the moment `begun`, before which they stood at `totals` and grew by what `added` has until then."""
    found = dict(totals)
    if added.over.start < begun:
        for moved in added.moved:
            known = totals.get(moved[0], ZERO)
            download, upload = known.download, known.upload
            for start, end, down, up in stretches(added, moved):
                download, upload = download + share(down, start, end, begun), upload + share(up, start, end, begun)
            found[moved[0]] = Count(download, upload)
    return found


def last_day(over: Span, zone: ZoneInfo) -> int:
    """The day on which an interval ends."""
    return day_of(bucket_of(over.end), zone)
