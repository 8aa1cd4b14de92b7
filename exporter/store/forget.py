"""Takes single clients out of the state file, so that not a byte of them is left in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from exporter.model import CounterKey
from exporter.store import database, outbox, rows
from exporter.store.errors import StateError, explained
from exporter.store.lock import Lock


class Known(NamedTuple):
    """A client in the state. client: its MAC in lower case, or its IP."""

    source: str
    site: str
    client: str


_SUBJECTS = "SELECT id, source, site, key FROM subject WHERE kind IN ('client', 'client_protocol')"
_COUNTERS = "SELECT id, source, site, key FROM counter WHERE kind = 'client'"
_HISTORY = (
    "DELETE FROM usage WHERE subject = ?",
    "DELETE FROM hourly WHERE subject = ?",
    "DELETE FROM daily WHERE subject = ?",
    "DELETE FROM gap WHERE subject = ?",
    "DELETE FROM event WHERE subject = ?",
    "DELETE FROM outbox WHERE subject = ?",
)
"""Every table whose rows name a subject."""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The state file, to look something up in; also while an exporter runs. Raises StateError."""
    if not path.is_file():
        raise StateError(f"state file {path}: there is none. Check `state` in the configuration.")
    place = f"{path.resolve().as_uri()}?mode=ro"
    with explained(path, "cannot read it"), closing(sqlite3.connect(place, uri=True)) as connection:
        yield connection


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """The state file, to change it; never while an exporter runs. Raises StateError."""
    if not path.is_file():
        raise StateError(f"state file {path}: there is none. Check `state` in the configuration.")
    path = path.resolve()
    lock = Lock(path)
    try:
        with explained(path, "cannot change it"), closing(database.open_checked(path)) as connection:
            yield connection
    finally:
        lock.release()


def known(connection: sqlite3.Connection) -> set[Known]:
    """Every client that the state holds anything of."""
    clients = {Known(source, site, _of_subject(key)) for _, source, site, key in connection.execute(_SUBJECTS)}
    clients |= {Known(source, site, _of_counter(site, key)) for _, source, site, key in connection.execute(_COUNTERS)}
    return clients


def pseudonym_key(connection: sqlite3.Connection) -> bytes | None:
    """The key of the pseudonyms, None where none were ever made."""
    key = rows.get_meta(connection, rows.PSEUDONYM_KEY)
    return None if key is None else bytes.fromhex(key)


def forget(connection: sqlite3.Connection, clients: Iterable[Known]) -> None:
    """Delete all that belongs to these clients, and what SQLite would leave of it in the file.

    The sums that they are a part of keep their bytes. That these counters were read before is forgotten with them, so
    the last complete reading of their sites proves nothing any longer: else a row that is still there would be taken
    for one that was born since, and counted again.
    """
    gone = set(clients)
    subjects = [
        (number,) for number, source, site, key in connection.execute(_SUBJECTS)
        if Known(source, site, _of_subject(key)) in gone
    ]  # fmt: skip
    counters = [
        (number,) for number, source, site, key in connection.execute(_COUNTERS)
        if Known(source, site, _of_counter(site, key)) in gone
    ]  # fmt: skip
    connection.execute("PRAGMA secure_delete = ON")
    with database.transaction(connection):
        rows.set_meta(connection, "last_id", str(rows.last_id(connection)))
        for statement in _HISTORY:
            connection.executemany(statement, subjects)
        connection.executemany("DELETE FROM subject WHERE id = ?", subjects)
        connection.executemany("DELETE FROM counter WHERE id = ?", counters)
        outbox.mark_gone(connection, [number for (number,) in subjects])
        connection.executemany(
            "DELETE FROM collection WHERE kind = 'client' AND source = ? AND site = ?",
            {(each.source, each.site) for each in gone},
        )
    # Old pages may hold copies that a deletion does not reach, and so may the log.
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def copies(path: Path) -> list[Path]:
    """Copies of the state that upgrades left beside it; they still hold everybody."""
    return sorted(path.parent.glob(f"{path.name}.bak-*"))


def _of_subject(key: str) -> str:
    return key.partition("|")[0]


def _of_counter(site: str, key: str) -> str:
    return CounterKey("client", site, key).client
