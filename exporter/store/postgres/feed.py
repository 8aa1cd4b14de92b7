"""One batch into PostgreSQL: whose turn it is, and the rows, in one transaction.

The exporter's row there holds the name of the last batch that was taken. It is locked first, so a transaction of ours
that is still under way on a connection that broke is waited for; then its name tells whether that one was taken. Rows
are sent with the values that they have, so sending one twice changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace
from psycopg2.extras import execute_values

from exporter.model import SubjectKey
from exporter.store.outbox import TABLES, Batch, Feed

LEASE: Final = 900.0
"""Seconds without a batch until what another exporter feeds may be replaced: a copy of the state may be in use."""

PAGE: Final = 1_000
"""Rows of a statement."""

LONGEST: Final = 200
"""Characters of a text. Longer ones do not fit into an index."""


class Known(NamedTuple):
    """An exporter's row of our ledger. idle: seconds since it was fed, by the server's clock."""

    number: int
    id: str
    current: bool
    batch: int
    token: str
    calendar: str
    idle: float


class Go(Struct, frozen=True):
    """Feed on. row: ours, None where it has to be made."""

    feed: Feed
    row: Known | None


class Again(Struct, frozen=True):
    """Write the feed down and begin again with it; say the words."""

    feed: Feed
    words: str


class Wait(Struct, frozen=True):
    """It is not our turn; say the words."""

    words: str


def decide(feed: Feed, known: Sequence[Known], lease: float = LEASE) -> Go | Again | Wait:
    """What to do about what the database holds of our ledger."""
    mine = next((row for row in known if row.id == feed.id), None)
    other = next((row for row in known if row.current and row.id != feed.id), None)
    if mine is not None and mine.current:
        if mine.token in (feed.token, feed.sending or feed.token):
            return Go(replace(feed, batch=mine.batch, token=mine.token, sending=""), mine)
        if mine.batch < feed.batch:
            again = Feed(feed.id, mine.batch, mine.token, hides=feed.hides, drained_at=feed.drained_at)
            return Again(again, "the database was put back to an earlier time: everything is sent to it again")
        other = mine
    if other is not None and other.idle < lease:
        return Wait(
            "another exporter feeds what this state feeds. If a copy of the state file is in use elsewhere, stop it; if"
            f" this one was put back from a backup, it goes on {lease / 60:.0f} minutes after the last batch"
        )
    if mine is not None:
        return Again(
            Feed.new(feed.hides, feed.drained_at),
            "the database has more than this state, which was put back from a backup: all of the state is sent anew,"
            " and what the database had of it no longer counts",
        )
    if feed.batch:
        again = Feed(feed.id, hides=feed.hides, drained_at=feed.drained_at)
        return Again(again, "the database does not know this exporter any more: everything is sent to it again")
    return Go(replace(feed, sending="", token=""), None)


def look(cursor: Any, ledger: str) -> list[Known]:
    """All rows of a ledger, locked until the end of the transaction."""
    cursor.execute(
        "SELECT number, id, current, batch, token, calendar,"
        " CAST(extract(epoch FROM clock_timestamp() - fed_at) AS DOUBLE PRECISION)"
        " FROM exporter WHERE ledger = %s ORDER BY number FOR UPDATE",
        (ledger,),
    )
    return [Known(*row) for row in cursor.fetchall()]


def register(cursor: Any, ledger: str, feed: Feed) -> Known:
    """Make our row, the one of its ledger that counts."""
    cursor.execute("UPDATE exporter SET current = false WHERE ledger = %s AND current", (ledger,))
    cursor.execute(
        "INSERT INTO exporter (id, ledger, current, batch, token, timezone, calendar, made_hour, made_subject, fed_at)"
        " VALUES (%s, %s, true, 0, '', 'UTC', '', 0, 0, clock_timestamp()) RETURNING number",
        (feed.id, ledger),
    )
    return Known(cursor.fetchone()[0], feed.id, True, 0, "", "", 0.0)


def write(
    cursor: Any,
    row: Known,
    feed: Feed,
    batch: Batch,
    days: Iterable[tuple[int, str, str, int, int]],
    shown: Callable[[SubjectKey], str],
) -> None:
    """Write a batch and its name, `feed.sending`. days: the calendar, where it changed. shown: see Privacy.key."""
    number = row.number
    if batch.gone:
        cursor.execute(_FORGET, (number, batch.gone))
    subjects = (
        (number, each.id, *map(clean, (each.source, each.kind, each.site, shown(_key(each)))), *each[5:])
        for each in batch.subjects.values()
    )
    execute_values(cursor, _SET_SUBJECT, subjects, page_size=PAGE)
    execute_values(cursor, _SET_DAY, ((number, *day) for day in days), page_size=PAGE)
    for level in TABLES:
        rows = {(key.at, key.subject, clean(key.kind)): each for key, each in batch.rows.items() if key.level == level}
        values = ((number, *key, *each.values) for key, each in rows.items())
        execute_values(cursor, _SET[level], values, page_size=PAGE)
    cursor.execute(
        "UPDATE exporter SET batch = %s, token = %s, timezone = %s, calendar = %s, fed_at = clock_timestamp()"
        " WHERE number = %s",
        (feed.batch + 1, feed.sending, batch.zone, batch.calendar, number),
    )
    if batch.has_made:
        cursor.execute(
            "UPDATE exporter SET made_hour = %s, made_subject = %s WHERE number = %s", (*batch.progress, number)
        )


def clean(text: str) -> str:
    """The text as PostgreSQL can keep it, and index it."""
    text = text.replace("\0", "\\0")
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 20]}…{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text


def _key(subject: Any) -> SubjectKey:
    return SubjectKey(subject.kind, subject.site, subject.key)


_UPSERT: Final = "INSERT INTO {table} ({names}) VALUES %s ON CONFLICT ({key}) DO UPDATE SET {values}"


def _set(table: str, *columns: str, key: int) -> str:
    """A statement that gives a row, found by its first `key` columns, the values of the others."""
    return _UPSERT.format(
        table=table,
        names=", ".join(columns),
        key=", ".join(columns[:key]),
        values=", ".join(f"{name} = excluded.{name}" for name in columns[key:]),
    )


_SET: Final = {
    level: _set(table, "exporter", at, "subject", kind, *values, key=4)
    for level, (table, at, kind, values) in TABLES.items()
}
_SET_SUBJECT: Final = _set(
    "subject",
    *("exporter", "id", "source", "kind", "site", "key"),
    *("download", "upload", "opening_download", "opening_upload", "since"),
    key=2,
)
_SET_DAY: Final = _set("calendar", "exporter", "day", "date", "month", "began", "ended", key=2)
# Under every name that its ledger had.
_FORGET: Final = """
    UPDATE subject AS s SET kind = 'forgotten', key = '', download = NULL, upload = NULL, since = NULL
    FROM subject AS gone JOIN exporter AS ours ON ours.number = gone.exporter
    JOIN exporter AS e ON e.ledger = ours.ledger
    WHERE gone.exporter = %s AND gone.id = ANY(%s) AND s.exporter = e.number AND s.source = gone.source
        AND s.kind = gone.kind AND s.site = gone.site AND s.key = gone.key
"""
