"""What the archive is asked, on SQLite and on PostgreSQL alike: it never goes through a whole table of history.

Time comes first in the keys, so what one subject moved is asked for by naming its moments one by one.
Periods are (start, end], both multiples of five minutes; sums are (download, upload) in bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from exporter.accounting.buckets import BUCKET, HOUR, share
from exporter.accounting.days import day_of, day_start
from exporter.accounting.percentile import Bin, Silence
from exporter.store.errors import StateError, explained
from exporter.store.usage import ALL, Progress

Pair = tuple[int, int]
"""Download and upload."""

Place = tuple[int, str]
"""A subject's id and a class: `all`, or a protocol."""

AT_ONCE: Final = 2_000
"""Moments named in one statement."""


def _table(name: str, *columns: str) -> sa.TableClause:
    # exporter: in PostgreSQL alone, where many feed one archive.
    return sa.table(name, *(sa.column(each) for each in ("exporter", *columns)))


_BYTES: Final = ("subject", "class", "download", "upload", "flags")
_subject = _table("subject", "id", "source", "kind", "site", "key")
_usage = _table("usage", "bucket", *_BYTES)
_hourly = _table("hourly", "bucket", *_BYTES)
_daily = _table("daily", "day", *_BYTES)
_gap = _table("gap", "began", "ended", *_BYTES)
_event = _table("event", "bucket", "subject", "reason", "count")
_meta = _table("meta", "key", "value")
_exporter = sa.table(
    "exporter", *map(sa.column, ("number", "ledger", "current", "timezone", "made_hour", "made_subject"))
)


class Subject(NamedTuple):
    """Whom bytes belong to; see exporter.model.SubjectKey."""

    source: str
    kind: str
    site: str
    key: str


@dataclass(frozen=True, slots=True)
class History:
    """The archive of one exporter. number: its number in PostgreSQL, None in the state. zone: days are cut by it.

    progress: how far hours and days are made.
    """

    connection: sa.Connection
    number: int | None
    zone: ZoneInfo
    progress: Progress

    @classmethod
    def of_state(cls, connection: sa.Connection) -> History:
        """That of a state file."""
        keys = ("timezone", "archive_hour", "archive_subject")
        query = sa.select(_meta.c.key, _meta.c.value).where(_meta.c.key.in_(keys))
        known = {str(key): str(value) for key, value in connection.execute(query)}
        progress = Progress(int(known.get("archive_hour", 0)), int(known.get("archive_subject", 0)))
        return cls(connection, None, ZoneInfo(known.get("timezone", "UTC")), progress)

    @classmethod
    def of_ledger(cls, connection: sa.Connection, ledger: str) -> History | None:
        """That of one exporter in PostgreSQL; None where it never fed it. ledger: see State.exporter_id."""
        names = ("number", "timezone", "made_hour", "made_subject")
        query = sa.select(*(_exporter.c[name] for name in names)).where(
            _exporter.c.ledger == ledger, _exporter.c.current == sa.true()
        )
        row = connection.execute(query).one_or_none()
        return None if row is None else cls(connection, row[0], ZoneInfo(row[1]), Progress(row[2], row[3]))

    def ours(self, table: sa.TableClause) -> list[sa.ColumnElement[bool]]:
        """The condition that a row of a table is this exporter's."""
        return [] if self.number is None else [table.c.exporter == self.number]

    def rows(self, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
        """What a query finds."""
        return (tuple(row) for row in self.connection.execute(query))


@contextmanager
def reading(path: Path) -> Iterator[History]:
    """The archive in a state file as of one moment, beside a running exporter. Raises StateError."""
    if not path.is_file():
        raise StateError(f"state file {path}: there is none. Check `state` in the configuration.")
    place = sa.URL.create("sqlite", database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
    engine = sa.create_engine(place)
    try:
        with _told(path), engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield History.of_state(connection)
    finally:
        engine.dispose()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    with explained(path, "cannot read it"):
        try:
            yield
        except sa.exc.DBAPIError as error:
            if error.orig is None:
                raise
            raise error.orig from error


def subjects(history: History, kinds: Collection[str], source: str | None = None) -> dict[int, Subject]:
    """The subjects of some kinds, of one source or of all."""
    named = _subject.c
    query = sa.select(named.id, named.source, named.kind, named.site, named.key).where(
        *history.ours(_subject), named.kind.in_(kinds)
    )
    if source is not None:
        query = query.where(named.source == source)
    return {row[0]: Subject(*row[1:]) for row in history.rows(query)}


def totals(history: History, start: int, end: int, *, classes: bool = False) -> dict[Place, Pair]:
    """What everybody moved in a period; with `classes`, in each protocol instead.

    From days where the period begins and ends at midnight, else from hours where it does so at a full hour of UTC, else
    from five minutes. Silences count by their share. What is no longer kept is missing: see `kept_since`.
    """
    sums: dict[Place, Pair] = {}
    first, last = (day_of(at, history.zone) for at in (start, end))
    made = None
    if all(day_start(day, history.zone) == at for day, at in ((first, start), (last, end))):
        made = _sums(history, _daily, _daily.c.day, first, last, classes)
    elif start % HOUR == end % HOUR == 0:
        made = _sums(history, _hourly, _hourly.c.bucket, start, end, classes)
    if made is None:
        _count(sums, history.rows(_sums(history, _usage, _usage.c.bucket, start, end, classes)))
    else:
        _count(sums, history.rows(made))
        live = _sums(history, _usage, _usage.c.bucket, max(start, history.progress.hour), end, classes)
        _count(sums, history.rows(live.where(_unmade(history))))
    for subject, kind, began, ended, *amounts in history.rows(_silences(history, start, end, classes)):
        moved = [share(each, began, ended, end) - share(each, began, ended, start) for each in amounts]
        _count(sums, [(subject, kind, *moved)])
    return sums


def _of_class(column: sa.ColumnElement[str], classes: bool) -> sa.ColumnElement[bool]:
    return column != ALL if classes else column == ALL


def _sums(
    history: History, table: sa.TableClause, when: sa.ColumnElement[int], first: int, end: int, classes: bool
) -> sa.Select[Any]:
    of = table.c
    return (
        sa.select(of.subject, of["class"], sa.func.sum(of.download), sa.func.sum(of.upload))
        .where(*history.ours(table), when >= first, when < end, _of_class(of["class"], classes))
        .group_by(of.subject, of["class"])
    )


def _unmade(history: History) -> sa.ColumnElement[bool]:
    hour, subject = history.progress
    return sa.or_(_usage.c.bucket >= hour + HOUR, _usage.c.subject >= subject)


def _silences(history: History, start: int, end: int, classes: bool) -> sa.Select[Any]:
    of = _gap.c
    # The index is that of `ended`: what is asked for is mostly recent.
    return sa.select(of.subject, of["class"], of.began, of.ended, of.download, of.upload).where(
        *history.ours(_gap), of.ended > start, of.began + 0 < end, _of_class(of["class"], classes)
    )


def _count(sums: dict[Place, Pair], rows: Iterable[Sequence[Any]]) -> None:
    for subject, kind, download, upload in rows:
        down, up = sums.get((subject, kind), (0, 0))
        sums[subject, kind] = down + int(download), up + int(upload)


def bins(history: History, subjects: Collection[int], start: int, end: int) -> list[Bin]:
    """The five minutes of a period in which these subjects moved anything, all of them together."""
    return [Bin(at, *pair) for at, pair in _named(history, _usage, subjects, range(start, end, BUCKET)).items()]


def hours(history: History, subjects: Collection[int], at: Iterable[int]) -> dict[int, Pair]:
    """What these subjects moved together in some hours of UTC that are made; those without bytes are missing."""
    return _named(history, _hourly, subjects, at)


def days(history: History, subjects: Collection[int], first: int, last: int) -> dict[int, Pair]:
    """What these subjects moved together on each day from `first` to `last`; those without bytes are missing.

    Silences count by their share.
    """
    sums = _named(history, _daily, subjects, range(first, last + 1))

    def count(day: int, download: int, upload: int) -> None:
        if download or upload:
            down, up = sums.get(day, (0, 0))
            sums[day] = down + download, up + upload

    starts = [day_start(day, history.zone) for day in range(first, last + 2)]
    live = max(starts[0], history.progress.hour)
    _, newest = five_minutes(history)
    if newest is not None:
        for each in _usage_of(history, subjects, range(live, min(starts[-1], newest + BUCKET), BUCKET)):
            bucket, subject, download, upload = each
            if (bucket // HOUR * HOUR, subject) >= history.progress:
                count(day_of(bucket, history.zone), download, upload)
    for silence in silences(history, subjects, starts[0], starts[-1]):
        began, ended, *amounts = silence
        for number in range(max(first, day_of(began, history.zone)), min(last, day_of(ended, history.zone)) + 1):
            bounds = starts[number - first], starts[number - first + 1]
            down, up = (share(each, began, ended, bounds[1]) - share(each, began, ended, bounds[0]) for each in amounts)
            count(number, down, up)
    return dict(sorted(sums.items()))


def silences(history: History, subjects: Collection[int], start: int, end: int) -> list[Silence]:
    """The silences that touch a period, each with all of its bytes."""
    query = _silences(history, start, end, classes=False).where(_gap.c.subject.in_(subjects))
    return [Silence(began, ended, down, up) for _, _, began, ended, down, up in history.rows(query)]


def _named(history: History, table: sa.TableClause, subjects: Collection[int], at: Iterable[int]) -> dict[int, Pair]:
    sums: dict[int, Pair] = {}
    for when, _, download, upload in _rows_of(history, table, subjects, at):
        down, up = sums.get(when, (0, 0))
        sums[when] = down + download, up + upload
    return sums


def _usage_of(history: History, subjects: Collection[int], at: Iterable[int]) -> Iterator[Sequence[Any]]:
    return _rows_of(history, _usage, subjects, at)


def _rows_of(
    history: History, table: sa.TableClause, subjects: Collection[int], at: Iterable[int]
) -> Iterator[Sequence[Any]]:
    """When, subject, download and upload."""
    of, moments = table.c, [*at]
    when = of.day if table is _daily else of.bucket
    for place in range(0, len(moments), AT_ONCE):
        yield from history.rows(
            sa.select(when, of.subject, of.download, of.upload).where(
                *history.ours(table),
                when.in_(moments[place : place + AT_ONCE]),
                of.subject.in_(subjects),
                of["class"] == ALL,
            )
        )


def five_minutes(history: History) -> tuple[int | None, int | None]:
    """The oldest and the newest bucket."""
    return _one(history, sa.func.min(_usage.c.bucket), _usage), _one(history, sa.func.max(_usage.c.bucket), _usage)


def _one(history: History, what: sa.ColumnElement[Any], table: sa.TableClause) -> int | None:
    found = history.connection.execute(sa.select(what).select_from(table).where(*history.ours(table))).scalar_one()
    return None if found is None else int(found)


class Kept(NamedTuple):
    """From when on there is something of each level, Unix seconds and a day; None where there is nothing."""

    five_minutes: int | None
    hours: int | None
    day: int | None
    silence: int | None


def kept_since(history: History) -> Kept:
    """How far back the archive reaches."""
    return Kept(
        _one(history, sa.func.min(_usage.c.bucket), _usage),
        _one(history, sa.func.min(_hourly.c.bucket), _hourly),
        _one(history, sa.func.min(_daily.c.day), _daily),
        _one(history, sa.func.min(_gap.c.began), _gap),
    )


class Beside(NamedTuple):
    """What moved in an hour of UTC, and in the same local hour of the days before: bytes of both directions.

    moved: None where a silence touches the hour. earlier: 0 where nothing moved; missing where a silence touches it, or
    nobody was there yet.
    """

    hour: int
    moved: int | None
    earlier: list[int]


@lru_cache(maxsize=4096)
def same_hours(hour: int, zone: ZoneInfo, days: int) -> Sequence[int]:
    """The hours of UTC in which it was as late by local clocks as at `hour`, on so many days before it."""
    local = datetime.fromtimestamp(hour, zone)
    earlier = (local.replace(tzinfo=None) - timedelta(days=back) for back in range(1, days + 1))
    return [int(each.replace(tzinfo=zone).astimezone(UTC).timestamp()) // HOUR * HOUR for each in earlier]


def beside_earlier(history: History, subjects: Collection[int], named: Collection[int], days: int) -> Iterator[Beside]:
    """Hours of UTC that are made, in which these subjects moved so much together: see Beside."""
    zone, since = history.zone, kept_since(history).hours
    if not named or since is None:
        return
    same = {hour: [each for each in same_hours(hour, zone, days) if each >= since] for hour in named}
    wanted = sorted({*same, *chain.from_iterable(same.values())})
    first, end = wanted[0], wanted[-1] + HOUR
    around = range(day_of(min(same), zone) - days, day_of(end, zone) + 1)
    present = sorted(_named(history, _daily, subjects, around))
    moved = hours(history, subjects, wanted)
    unknown = {
        hour
        for began, ended, *_ in silences(history, subjects, first, end)
        for hour in range(max(began, first) // HOUR * HOUR, min(ended, end), HOUR)
    }
    for hour, before in same.items():
        day = day_of(hour, zone)
        there = bisect_left(present, day - days)
        begun = day_start(present[there], zone) if there < len(present) and present[there] <= day else end
        yield Beside(
            hour,
            None if hour in unknown else sum(moved.get(hour, (0, 0))),
            [sum(moved.get(each, (0, 0))) for each in before if each >= begun and each not in unknown],
        )


METERED: Final = ("client", "site", "wan")
"""Kinds of subjects whose events are those of clients and lines."""


def happened(history: History, source: str, reasons: Collection[str], start: int, end: int) -> dict[str, int]:
    """How often these happened in a period to counters of the clients and lines of a source (exporter.events)."""
    named = [*reasons, *(f"wan|{each}" for each in reasons)]
    whose = sa.and_(_event.c.subject == _subject.c.id, *history.ours(_subject))
    query = (
        sa.select(_event.c.reason, sa.func.sum(_event.c["count"]))
        .select_from(_event.join(_subject, whose))
        .where(
            *history.ours(_event),
            _event.c.reason.in_(named),
            _event.c.bucket >= start,
            _event.c.bucket < end,
            _subject.c.source == source,
            _subject.c.kind.in_(METERED),
        )
        .group_by(_event.c.reason)
    )
    counts = dict.fromkeys(reasons, 0)
    for reason, count in history.rows(query):
        counts[reason.rpartition("|")[2]] += int(count)
    return counts


def by_name(sums: Mapping[Place, Pair], names: Mapping[int, str]) -> dict[str, Pair]:
    """Sums by a name that several subjects may share; subjects without one are left out."""
    named: dict[str, Pair] = {}
    for (subject, _), (download, upload) in sums.items():
        if subject in names:
            down, up = named.get(names[subject], (0, 0))
            named[names[subject]] = down + download, up + upload
    return named


def by_class(sums: Mapping[Place, Pair], sites: Collection[int]) -> dict[str, Pair]:
    """Sums of sites by protocol, both families together: the class of a site is `ipv4|https`."""
    named: dict[str, Pair] = {}
    for (subject, kind), (download, upload) in sums.items():
        if subject in sites:
            name = kind.partition("|")[2] or kind
            down, up = named.get(name, (0, 0))
            named[name] = down + download, up + upload
    return named
