"""Memory and changes as rows, in plain SQL: this runs at every poll.

Two habits keep it fast. Rows are found by ids that are kept in memory. And NULL is never bound as a parameter, since
Python's sqlite3 asks its adapters about every None (four times the cost of a number): "" stands for it, and NULLIF
turns it back. A number never equals "".
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from exporter.model import Collection, Completed, Count, Counter, CounterKey, Memory, Source, SubjectKey, Write

PSEUDONYM_KEY = "pseudonym_key"
"""The entry of meta with the key of the pseudonyms, 32 bytes in hex."""

_SET_META = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_SET_SOURCE = """
    INSERT INTO source (name, identity, number, tick, at, gaps) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET identity = excluded.identity, number = excluded.number, tick = excluded.tick,
        at = excluded.at, gaps = excluded.gaps
"""
_SET_COLLECTION = """
    INSERT INTO collection (source, kind, site, tick, meter_at, mark) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (source, kind, site) DO UPDATE SET tick = excluded.tick, meter_at = excluded.meter_at,
        mark = excluded.mark
"""
_ADD_COUNTER = "INSERT INTO counter (id, source, kind, site, key) VALUES (?, ?, ?, ?, ?)"
_ADD_SUBJECT = "INSERT INTO subject (id, source, kind, site, key) VALUES (?, ?, ?, ?, ?)"
_SET_TAKEN = """
    UPDATE counter SET download = ?, upload = ?, download_packets = ?, upload_packets = ?, moved = ?,
        speed = NULLIF(?, ''), mark = ?, age = NULLIF(?, ''), aged = ?, session = ?, wide = ?, held_at = ?, doubt = ?,
        held_download = NULL, held_upload = NULL, held_download_packets = NULL, held_upload_packets = NULL
    WHERE id = ?
"""
_SET_HELD = """
    UPDATE counter SET download = ?, upload = ?, download_packets = ?, upload_packets = ?, moved = ?,
        speed = NULLIF(?, ''), mark = ?, age = NULLIF(?, ''), aged = ?, session = ?, wide = ?, held_at = ?, doubt = ?,
        held_download = ?, held_upload = ?, held_download_packets = ?, held_upload_packets = ?
    WHERE id = ?
"""
_DELETE_COUNTER = "DELETE FROM counter WHERE id = ?"
_SET_TOTAL = "UPDATE subject SET download = ?, upload = ?, download_packets = ?, upload_packets = ? WHERE id = ?"
_SET_SHOWN = """
    UPDATE subject SET shown_download = ?, shown_upload = ?, shown_download_packets = ?, shown_upload_packets = ?
    WHERE id = ?
"""
_CLEAR_SHOWN = """
    UPDATE subject SET shown_download = NULL, shown_upload = NULL, shown_download_packets = NULL,
        shown_upload_packets = NULL
    WHERE id = ?
"""
_SET_SINCE = "UPDATE subject SET since = ? WHERE id = ?"

_GET_META = "SELECT value FROM meta WHERE key = ?"
_GET_SOURCE = "SELECT identity, number, tick, at, gaps FROM source WHERE name = ?"
_GET_COLLECTIONS = "SELECT kind, site, tick, meter_at, mark FROM collection WHERE source = ?"
_GET_COUNTERS = """
    SELECT id, kind, site, key, download, upload, download_packets, upload_packets, moved, speed, mark, age, aged,
        session, wide, held_at, doubt, held_download, held_upload, held_download_packets, held_upload_packets
    FROM counter WHERE source = ? ORDER BY id
"""
_GET_SUBJECTS = """
    SELECT id, kind, site, key, download, upload, download_packets, upload_packets,
        shown_download, shown_upload, shown_download_packets, shown_upload_packets, since
    FROM subject WHERE source = ? ORDER BY id
"""
# A forgotten subject's id names it in a PostgreSQL, and is never another's.
_LAST_ID = """
    SELECT max((SELECT coalesce(max(id), 0) FROM counter), (SELECT coalesce(max(id), 0) FROM subject),
        (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE key = 'last_id'))
"""


@dataclass(slots=True)
class Ids:
    """The rows of one source's counters and subjects."""

    counters: dict[CounterKey, int] = field(default_factory=dict)
    subjects: dict[SubjectKey, int] = field(default_factory=dict)


def free_ids(connection: sqlite3.Connection) -> Iterator[int]:
    """Ids that no row has or had, in either table."""
    last = last_id(connection)
    while True:
        last += 1
        yield last


def last_id(connection: sqlite3.Connection) -> int:
    """The highest id that a row has, or had when it was forgotten."""
    (last,) = connection.execute(_LAST_ID).fetchone()
    return int(last)


def get_meta(connection: sqlite3.Connection, key: str) -> str | None:
    """One value about the file as a whole."""
    row = connection.execute(_GET_META, (key,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Write one value about the file as a whole."""
    connection.execute(_SET_META, (key, value))


def read(connection: sqlite3.Connection, name: str) -> tuple[Memory, Ids]:
    """All that is remembered of the source `name`, and where it is kept."""
    memory, ids = Memory(), Ids()
    for row in connection.execute(_GET_SOURCE, (name,)):
        memory.source = Source(*row)
    for kind, site, *completed in connection.execute(_GET_COLLECTIONS, (name,)):
        memory.collections[Collection(kind, site)] = Completed(*completed)
    # Kinds, sites and marks are the same few texts a hundred thousand times.
    for number, kind, site, key, *values in connection.execute(_GET_COUNTERS, (name,)):
        counter = CounterKey(intern(kind), intern(site), key)
        ids.counters[counter] = number
        memory.counters[counter] = _counter(values)
    for number, kind, site, key, *values in connection.execute(_GET_SUBJECTS, (name,)):
        subject = SubjectKey(intern(kind), intern(site), key)
        ids.subjects[subject] = number
        if values[0] is not None:
            memory.totals[subject] = Count(*values[:4])
        if values[4] is not None:
            memory.shown[subject] = Count(*values[4:8])
        if values[8] is not None:
            memory.since[subject] = values[8]
    return memory, ids


def _counter(values: Sequence[Any]) -> Counter:
    count, held = values[:4], values[13:]
    moved, speed, mark, age, aged, session, wide, held_at, doubt = values[4:13]
    return Counter(
        count=Count(*count),
        moved=moved,
        speed=speed,
        mark=intern(mark),
        age=age,
        aged=aged,
        session=session,
        wide=bool(wide),
        held=None if held[0] is None else Count(*held),
        held_at=held_at,
        doubt=intern(doubt),
    )


def write(connection: sqlite3.Connection, share: Write, ids: Ids, free: Iterator[int]) -> None:
    """Write one source's share inside the caller's transaction. `ids` is wrong after an error: read it anew."""
    changes, source = share.changes, share.changes.source
    values = (source.identity, source.number, source.tick, source.at, source.gaps)
    connection.execute(_SET_SOURCE, (share.name, *values))
    connection.executemany(
        _SET_COLLECTION,
        ((share.name, *key, last.tick, last.meter_at, last.mark) for key, last in changes.collections.items()),
    )
    _write_counters(connection, share, ids.counters, free)
    _write_subjects(connection, share, ids.subjects, free)


def _write_counters(
    connection: sqlite3.Connection, share: Write, ids: dict[CounterKey, int], free: Iterator[int]
) -> None:
    counters = share.changes.counters
    new = {key: next(free) for key in counters if key not in ids}
    connection.executemany(_ADD_COUNTER, ((number, share.name, *key) for key, number in new.items()))
    ids.update(new)
    connection.executemany(_SET_TAKEN, _taken(counters, ids))
    connection.executemany(_SET_HELD, _held(counters, ids))
    gone = [(ids.pop(key),) for key in share.changes.gone if key in ids]
    connection.executemany(_DELETE_COUNTER, gone)


def _write_subjects(
    connection: sqlite3.Connection, share: Write, ids: dict[SubjectKey, int], free: Iterator[int]
) -> None:
    totals = share.changes.totals
    shown = {key: count for key, count in share.shown.items() if count is not None}
    cleared = [key for key, count in share.shown.items() if count is None and key in ids]
    for keys in (totals, shown):
        name_subjects(connection, share.name, keys, ids, free)
    connection.executemany(_SET_TOTAL, _counts(totals, ids))
    connection.executemany(_SET_SHOWN, _counts(shown, ids))
    connection.executemany(_CLEAR_SHOWN, ((ids[key],) for key in cleared))
    connection.executemany(_SET_SINCE, ((at, ids[key]) for key, at in share.changes.noted.since.items()))


def name_subjects(
    connection: sqlite3.Connection,
    source: str,
    subjects: Iterable[SubjectKey],
    ids: dict[SubjectKey, int],
    free: Iterator[int],
) -> None:
    """Give a row to every one of the subjects that has none, inside the caller's transaction."""
    new = {key: next(free) for key in subjects if key not in ids}
    connection.executemany(_ADD_SUBJECT, ((number, source, *key) for key, number in new.items()))
    ids.update(new)


def _taken(counters: Mapping[CounterKey, Counter], ids: Mapping[CounterKey, int]) -> Iterable[tuple[object, ...]]:
    return ((*_values(counter), ids[key]) for key, counter in counters.items() if counter.held is None)


def _held(counters: Mapping[CounterKey, Counter], ids: Mapping[CounterKey, int]) -> Iterable[tuple[object, ...]]:
    for key, counter in counters.items():
        if (held := counter.held) is not None:
            count = (held.download, held.upload, held.download_packets, held.upload_packets)
            yield (*_values(counter), *count, ids[key])


def _values(counter: Counter) -> tuple[object, ...]:
    """The parameters that `_SET_TAKEN` and `_SET_HELD` begin with."""
    count, speed, age = counter.count, counter.speed, counter.age
    return (
        count.download,
        count.upload,
        count.download_packets,
        count.upload_packets,
        counter.moved,
        "" if speed is None else speed,
        counter.mark,
        "" if age is None else age,
        counter.aged,
        counter.session,
        1 if counter.wide else 0,
        counter.held_at,
        counter.doubt,
    )


def _counts(counts: Mapping[SubjectKey, Count], ids: Mapping[SubjectKey, int]) -> Iterable[tuple[int, ...]]:
    for key, count in counts.items():
        yield count.download, count.upload, count.download_packets, count.upload_packets, ids[key]
