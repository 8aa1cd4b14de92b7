"""The rows of the archive in plain SQL: what a poll adds, and what a start needs to know again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import HOUR, bucket_of, buckets, share
from exporter.accounting.days import day_of, day_start
from exporter.accounting.growth import Growth, by_bucket, stretches
from exporter.model import Noted, SubjectKey

ALL: Final = "all"
"""The class of all of a subject's bytes; any other is a protocol."""

PROTOCOLS: Final = frozenset({"protocol", "client_protocol"})
"""Kinds of subjects whose bytes are a class of another one."""

Place = tuple[int, str]
"""Where the bytes of a subject are: the id of its row in `subject`, and the class."""

Row = tuple[int, int, str, int, int, int]
"""When (a bucket, an hour, a day), subject, class, download, upload, flags."""

_ADD: Final = """
    INSERT INTO {0} ({1}, subject, class, download, upload, flags) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT ({1}, subject, class) DO UPDATE SET download = download + excluded.download,
        upload = upload + excluded.upload, flags = flags | excluded.flags
"""
_ADD_USAGE: Final = _ADD.format("usage", "bucket")
_ADD_HOURLY: Final = _ADD.format("hourly", "bucket")
_ADD_DAILY: Final = _ADD.format("daily", "day")
_ADD_GAP: Final = """
    INSERT INTO gap (began, ended, subject, class, download, upload, flags) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (began, subject, class) DO UPDATE SET ended = max(ended, excluded.ended),
        download = download + excluded.download, upload = upload + excluded.upload, flags = flags | excluded.flags
"""
_ADD_EVENT: Final = """
    INSERT INTO event (bucket, subject, reason, count) VALUES (?, ?, ?, ?)
    ON CONFLICT (bucket, subject, reason) DO UPDATE SET count = count + excluded.count
"""
_SINCE_DAILY: Final = "SELECT subject, class, download, upload FROM daily WHERE day >= ?"
_SINCE_USAGE: Final = """
    SELECT subject, class, download, upload FROM usage WHERE bucket >= ? AND (bucket >= ? OR subject >= ?)
"""
_SINCE_GAP: Final = "SELECT subject, class, download, upload, began, ended FROM gap WHERE ended > ?"


class Progress(NamedTuple):
    """How far hours and days are made: all hours before `hour`, and of `hour` the subjects before `subject`."""

    hour: int
    subject: int


def place_of(subject: SubjectKey) -> tuple[SubjectKey, str]:
    """The subject under which bytes are kept, and their class: protocols are classes of a client or of a site."""
    if subject.kind not in PROTOCOLS:
        return subject, ALL
    if subject.kind == "protocol":
        return SubjectKey("site", subject.site, ""), subject.key
    client, _, protocol = subject.key.partition("|")
    return SubjectKey("client", subject.site, client), protocol


def add(
    connection: sqlite3.Connection,
    added: Growth,
    ids: Mapping[SubjectKey, int],
    progress: Progress,
    zone: ZoneInfo,
) -> None:
    """Write what one poll adds inside the caller's transaction."""
    if added.whole:
        gaps = (
            (began, ended, *_place(moved[0], ids), download, upload, added.over.flags)
            for moved in added.moved
            for began, ended, download, upload in stretches(added, moved)
        )
        connection.executemany(_ADD_GAP, gaps)
        return
    rows = [
        (bucket, *_place(subject, ids), download, upload, added.over.flags)
        for bucket, subject, download, upload in by_bucket(added)
    ]
    connection.executemany(_ADD_USAGE, rows)
    if buckets(added.over)[0] // HOUR * HOUR <= progress.hour:
        _add_late([row for row in rows if (row[0] // HOUR * HOUR, row[1]) < progress], connection, zone)


def add_events(connection: sqlite3.Connection, noted: Noted, ids: Mapping[SubjectKey, int]) -> None:
    """Write what happened in a poll inside the caller's transaction."""
    bucket = bucket_of(noted.at)
    rows = ((bucket, ids[subject], reason, count) for (subject, reason), count in noted.counts.items())
    connection.executemany(_ADD_EVENT, rows)


def _place(subject: SubjectKey, ids: Mapping[SubjectKey, int]) -> Place:
    if subject.kind not in PROTOCOLS:  # by far the most
        return ids[subject], ALL
    carrier, kind = place_of(subject)
    return ids[carrier], kind


def _add_late(rows: Iterable[Row], connection: sqlite3.Connection, zone: ZoneInfo) -> None:
    """Their hours are made already."""
    for bucket, *rest in rows:
        connection.execute(_ADD_HOURLY, (bucket // HOUR * HOUR, *rest))
        connection.execute(_ADD_DAILY, (day_of(bucket, zone), *rest))


def since(connection: sqlite3.Connection, day: int, progress: Progress, zone: ZoneInfo) -> dict[Place, tuple[int, int]]:
    """Download and upload since a day began."""
    begun = day_start(day, zone)
    sums: dict[Place, tuple[int, int]] = {}

    def count(subject: int, kind: str, download: int, upload: int) -> None:
        down, up = sums.get((subject, kind), (0, 0))
        sums[subject, kind] = down + download, up + upload

    for row in connection.execute(_SINCE_DAILY, (day,)):
        count(*row)
    unfinished = (max(begun, progress.hour), progress.hour + HOUR, progress.subject)
    for row in connection.execute(_SINCE_USAGE, unfinished):
        count(*row)
    for subject, kind, download, upload, began, ended in connection.execute(_SINCE_GAP, (begun,)):
        down, up = (amount - share(amount, began, ended, begun) for amount in (download, upload))
        count(subject, kind, down, up)
    return sums
