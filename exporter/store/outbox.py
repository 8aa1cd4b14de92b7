"""What of the archive is still to be sent to PostgreSQL: a mark for each row that changed, and how far a walk is.

A mark says which row, not what is in it: the row is read when it is sent. So a row that changes a hundred times while
PostgreSQL is away is one mark, a mark never outlives the row's retention, and to send a row twice changes nothing.

The marks are made by triggers in the transaction that changes the row, on the one connection that writes history. They
are temporary, so a state without a PostgreSQL has none, and pays nothing. What was there before they were, is walked
through once in the order of its keys, and so is everything where PostgreSQL lost it.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from exporter.store import rows
from exporter.store.errors import explained
from exporter.store.usage import Progress

SUBJECT, USAGE, GAP, HOURLY, DAILY, EVENT = range(6)
"""The levels, in the order in which they are sent: no day before the five minutes that it is made of."""


class Level(NamedTuple):
    """A table of history: the column with its time, the one that tells rows of a subject apart, and what a row says."""

    table: str
    at: str
    kind: str
    values: tuple[str, ...]


_BYTES: Final = ("download", "upload", "flags")
TABLES: Final = {
    USAGE: Level("usage", "bucket", "class", _BYTES),
    GAP: Level("gap", "began", "class", (*_BYTES, "ended")),
    HOURLY: Level("hourly", "bucket", "class", _BYTES),
    DAILY: Level("daily", "day", "class", _BYTES),
    EVENT: Level("event", "bucket", "reason", ("count",)),
}

_CARRIER: Final = "kind NOT IN ('protocol', 'client_protocol')"
"""Subjects that rows name: the bytes of others are a class of these."""

_MARK: Final = """
    CREATE TEMP TRIGGER mark_{table}_{event} AFTER {event} ON main.{table} WHEN {when} BEGIN
        INSERT INTO outbox (level, at, subject, class, version) VALUES ({values}, 1)
        ON CONFLICT (level, at, subject, class) DO UPDATE SET version = version + 1;
    END
"""
# What is too old to be kept is not sent any more. A day that was emptied is, as zeros.
_UNMARK: Final = """
    CREATE TEMP TRIGGER unmark_{table} AFTER DELETE ON main.{table} WHEN {when} BEGIN
        DELETE FROM outbox WHERE level = {level} AND at = OLD.{at} AND subject = OLD.subject AND class = OLD.{kind};
    END
"""
_COUNT: Final = "SELECT count(*) FROM {table} WHERE ({at}, subject, {kind}) > (?, ?, ?)"


class Key(NamedTuple):
    """A row of the archive. A subject's is (SUBJECT, 0, its id, ""). kind: its class, or an event's reason."""

    level: int
    at: int
    subject: int
    kind: str


START: Final = Key(SUBJECT, 0, -1, "")
"""Before the first row of all."""


class Feed(Struct, frozen=True):
    """How far PostgreSQL has it, as far as we know.

    id: under what name our rows are there. batch: how many batches it took. token: the last one's name. sending: the
    name of one that is under way, of which nobody knows whether it was taken; or "". walk: the last row that the walk
    sent, None where it came to its end. hides: whether addresses were sent as pseudonyms. drained_at: Unix seconds when
    all was sent for the last time.
    """

    id: str
    batch: int = 0
    token: str = ""
    sending: str = ""
    walk: Key | None = START
    hides: bool = False
    drained_at: float = 0.0

    @classmethod
    def new(cls, hides: bool = False, drained_at: float = 0.0) -> Feed:
        """One that nothing was sent of, under a name of its own."""
        return cls(str(uuid.uuid4()), hides=hides, drained_at=drained_at)


class Row(NamedTuple):
    """A row of history, with what its table has (`TABLES`)."""

    key: Key
    values: tuple[int, ...]


class Subject(NamedTuple):
    """A subject as it is in the state."""

    id: int
    source: str
    kind: str
    site: str
    key: str
    download: int | None
    upload: int | None
    opening_download: int
    opening_upload: int
    since: int | None


@dataclass(slots=True)
class Batch:
    """What is sent at once, all as of one moment. marks: what is sent with it, each with its version.

    gone: subjects that were forgotten. walk: see Feed, once this is sent. drained: nothing is left behind it. calendar:
    what tells one state of `days` from another.
    """

    zone: str
    calendar: str
    progress: Progress
    walk: Key | None
    drained: bool = False
    marks: list[tuple[Key, int]] = field(default_factory=list)
    subjects: dict[int, Subject] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    rows: dict[Key, Row] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send."""
        return not (self.subjects or self.gone or self.rows)

    @property
    def has_made(self) -> bool:
        """Whether hours or days are in it, or all that there is: then it says how far these are made."""
        return self.drained or any(key.level in (HOURLY, DAILY) for key in self.rows)


def install(connection: sqlite3.Connection) -> None:
    """Mark from now on what this connection changes."""
    connection.execute(
        _MARK.format(table="subject", event="INSERT", when=f"NEW.{_CARRIER}", values=f"{SUBJECT}, 0, NEW.id, ''")
    )
    for level, (table, at, kind, _) in TABLES.items():
        values = f"{level}, NEW.{at}, NEW.subject, NEW.{kind}"
        for event in ("INSERT", "UPDATE"):
            connection.execute(_MARK.format(table=table, event=event, when="TRUE", values=values))
        when = "OLD.download <> 0 OR OLD.upload <> 0" if level == DAILY else "TRUE"
        connection.execute(_UNMARK.format(table=table, level=level, at=at, kind=kind, when=when))


def read_feed(connection: sqlite3.Connection) -> Feed | None:
    """None where PostgreSQL was never fed."""
    text = rows.get_meta(connection, "archive_feed")
    return None if text is None else msgspec.json.decode(text, type=Feed)


def write_feed(connection: sqlite3.Connection, feed: Feed) -> None:
    """Inside the caller's transaction."""
    rows.set_meta(connection, "archive_feed", msgspec.json.encode(feed).decode())


def unmark(connection: sqlite3.Connection, marks: Iterable[tuple[Key, int]]) -> None:
    """Take away marks inside the caller's transaction, but for rows that changed since their version."""
    connection.executemany(
        "DELETE FROM outbox WHERE level = ? AND at = ? AND subject = ? AND class = ? AND version = ?",
        ((*key, version) for key, version in marks),
    )


def mark_gone(connection: sqlite3.Connection, subjects: Iterable[int]) -> None:
    """Have PostgreSQL forget subjects, inside the caller's transaction, where one is fed."""
    if read_feed(connection) is not None:
        values = ((SUBJECT, 0, number, "", 1) for number in subjects)
        connection.executemany("INSERT INTO outbox (level, at, subject, class, version) VALUES (?, ?, ?, ?, ?)", values)


def rest(connection: sqlite3.Connection, feed: Feed) -> None:
    """Marks are not made from now on, so all is walked through when they are again. Inside the caller's transaction."""
    write_feed(connection, replace(feed, walk=START))
    connection.execute("DELETE FROM outbox WHERE level <> 0")


def left(connection: sqlite3.Connection, walk: Key | None) -> tuple[int, int]:
    """How many rows are marked, and how many the walk still has before it."""
    (marked,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    ahead = 0
    if walk is not None and walk.level == SUBJECT:
        (ahead,) = connection.execute(_COUNT_SUBJECTS, (walk.subject,)).fetchone()
    for level, (table, at, kind, _) in TABLES.items():
        if walk is not None and level >= walk.level:
            after = walk[1:] if level == walk.level else _BEFORE
            ahead += connection.execute(_COUNT.format(table=table, at=at, kind=kind), after).fetchone()[0]
    return marked, ahead


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """The state file as of one moment, beside whoever writes to it. Raises StateError."""
    place = f"{path.resolve().as_uri()}?mode=ro"
    with (
        explained(path, "cannot read what is to be sent to PostgreSQL"),
        closing(sqlite3.connect(place, uri=True, isolation_level=None)) as connection,
    ):
        connection.execute("BEGIN")
        yield connection


def read(connection: sqlite3.Connection, walk: Key | None, most: int) -> Batch:
    """The next rows to send, at most so many, inside the caller's transaction: marked ones, then those of the walk."""
    hour, subject = (rows.get_meta(connection, key) for key in ("archive_hour", "archive_subject"))
    zone = rows.get_meta(connection, "timezone") or "UTC"
    calendar = " ".join(map(str, (zone, *connection.execute(_CALENDAR).fetchone())))
    batch = Batch(zone, calendar, Progress(int(hour or 0), int(subject or 0)), walk)
    _read_marked(connection, batch, most)
    room = most - len(batch.marks)
    if room and batch.walk is not None:
        batch.walk = _walk(connection, batch, batch.walk, room)
    batch.drained = len(batch.marks) < most and batch.walk is None
    return batch


def days(connection: sqlite3.Connection) -> list[tuple[int, str, str, int, int]]:
    """The calendar: day, date, month, beginning and end of each."""
    return connection.execute(_DAYS).fetchall()


def _read_marked(connection: sqlite3.Connection, batch: Batch, most: int) -> None:
    for number, version, *names in connection.execute(_MARKED_SUBJECTS, (most,)):
        batch.marks.append((Key(SUBJECT, 0, number, ""), version))
        if names[1] is None:
            batch.gone.append(number)
        else:
            batch.subjects[number] = Subject(number, *names)
    for level, statement in _MARKED.items():
        for at, subject, kind, version, *values in connection.execute(statement, (most - len(batch.marks),)):
            key = Key(level, at, subject, kind)
            batch.marks.append((key, version))
            if values[0] is not None:
                batch.rows[key] = Row(key, tuple(values))
            elif level == DAILY:
                batch.rows[key] = Row(key, (0,) * len(values))
    moved = {key.subject for key in batch.rows if key.level in (USAGE, GAP, EVENT)}
    for values in connection.execute(_TOTALS, (str([*moved]),)):
        batch.subjects[values[0]] = Subject(*values)


def _walk(connection: sqlite3.Connection, batch: Batch, walk: Key, room: int) -> Key | None:
    """Where the walk stands then."""
    if walk.level == SUBJECT:
        for values in connection.execute(_WALK_SUBJECTS, (walk.subject, room)):
            subject = Subject(*values)
            batch.subjects[subject.id] = subject
            walk, room = Key(SUBJECT, 0, subject.id, ""), room - 1
        if not room:
            return walk
    for level, statement in _WALK.items():
        if level < walk.level:
            continue
        after = walk[1:] if level == walk.level else _BEFORE
        for at, subject_id, kind, *values in connection.execute(statement, (*after, room)):
            walk = Key(level, at, subject_id, kind)
            batch.rows[walk] = Row(walk, tuple(values))
            room -= 1
        if not room:
            return walk
    return None


def _statements(template: str) -> Iterator[tuple[int, str]]:
    for level, (table, at, kind, values) in TABLES.items():
        named = ", ".join(f"r.{each}" for each in values)
        yield level, template.format(level=level, table=table, at=at, kind=kind, values=named)


_BEFORE: Final = (-(2**63), 0, "")
_MARKED_SUBJECTS: Final = """
    SELECT o.subject, o.version, s.source, s.kind, s.site, s.key, s.download, s.upload, s.opening_download,
        s.opening_upload, s.since FROM outbox o LEFT JOIN subject s ON s.id = o.subject
    WHERE o.level = 0 ORDER BY o.subject LIMIT ?
"""
_WALK_SUBJECTS: Final = """
    SELECT id, source, kind, site, key, download, upload, opening_download, opening_upload, since FROM subject
    WHERE id > ? AND kind NOT IN ('protocol', 'client_protocol') ORDER BY id LIMIT ?
"""
_TOTALS: Final = """
    SELECT id, source, kind, site, key, download, upload, opening_download, opening_upload, since FROM subject
    WHERE id IN (SELECT value FROM json_each(?))
"""
_CALENDAR: Final = "SELECT count(*), sum(ended) FROM calendar"
_DAYS: Final = "SELECT day, date, month, began, ended FROM calendar ORDER BY day"
_COUNT_SUBJECTS: Final = "SELECT count(*) FROM subject WHERE id > ? AND kind NOT IN ('protocol', 'client_protocol')"
_MARKED: Final = dict(
    _statements("""
    SELECT o.at, o.subject, o.class, o.version, {values} FROM outbox o
    LEFT JOIN {table} r ON r.{at} = o.at AND r.subject = o.subject AND r.{kind} = o.class
    WHERE o.level = {level} ORDER BY o.at, o.subject, o.class LIMIT ?
""")
)
_WALK: Final = dict(
    _statements("""
    SELECT r.{at}, r.subject, r.{kind}, {values} FROM {table} r
    WHERE (r.{at}, r.subject, r.{kind}) > (?, ?, ?) ORDER BY r.{at}, r.subject, r.{kind} LIMIT ?
""")
)
