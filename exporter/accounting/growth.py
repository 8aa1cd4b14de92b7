"""What a poll adds to the archive: by how much totals grew, and over which interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import BUCKET, HOUR, Span, bucket_of, buckets, share, span
from exporter.accounting.days import day_of, day_start
from exporter.model import ZERO, Changes, Count, Source, SubjectKey

LONGEST: Final = HOUR
"""Seconds. A longer interval is kept as one, however seldom a source is polled."""


Moved = tuple[SubjectKey, int, int]
"""Bytes of one subject: download, upload. Less than 0 only where a poll is counted again (exporter.store.archive)."""


class Growth(NamedTuple):
    """What one poll adds. whole: it is kept as an interval, because nobody knows in which buckets it moved."""

    over: Span
    moved: list[Moved]
    whole: bool


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
    return Growth(over, moved, silent and len(buckets(over)) > 1)


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
    begun, (start, end, _) = day_start(day, zone), added.over
    opening = dict(totals)
    if start < begun:
        for subject, download, upload in added.moved:
            known = totals.get(subject, ZERO)
            opening[subject] = Count(
                known.download + share(download, start, end, begun), known.upload + share(upload, start, end, begun)
            )
    return opening


def last_day(over: Span, zone: ZoneInfo) -> int:
    """The day on which an interval ends."""
    return day_of(bucket_of(over.end), zone)
