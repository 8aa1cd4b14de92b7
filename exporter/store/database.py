"""The state file as an SQLite database: made, recognised, checked and opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from exporter.store import history
from exporter.store.errors import StateError, explained, from_code, from_system

# Seconds to wait for a person's sqlite3 shell to end what it is writing.
_PATIENCE = 5.0
# Room for all pages that a poll of 100,000 clients changes, else SQLite writes them out and reads them back.
_CACHE_KIB = 65536


def open_checked(path: Path) -> sqlite3.Connection:
    """Open the file, made and upgraded where needed. Raises StateError or sqlite3.Error."""
    prepare(path)
    with closing(_connect(path)) as connection:
        revision = _revision(path, connection)
        _check(path, connection)
        _upgrade(path, connection, revision)
    connection = _connect(path)
    try:
        _tune(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def examine(path: Path) -> bool:
    """Whether the file holds a state already; StateError where `open_checked` would refuse it. Nothing is changed.

    For a file that nobody writes to.
    """
    with explained(path, "cannot open it"), closing(_connect_unchanging(path)) as connection:
        revision = _revision(path, connection)
        known = history.revisions(history.migrations())
        if revision is not None and revision not in known:
            raise _newer(path, revision, known[-1])
        log = path.with_name(path.name + "-wal")
        # After a crash, pages of the file may be in its log alone, which only opening it to write puts back.
        if not log.exists() or not log.stat().st_size:
            _check(path, connection)
    return revision is not None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. Holds the right to write from the start, so that it cannot fail half-way for a lock."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself where it could not go on.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def make_folder(path: Path) -> None:
    """Make the folder of the state file; StateError where it cannot be made."""
    try:
        there = path.exists()
    except OSError as error:
        raise from_system(path, "cannot look at it", error) from error
    if there and not path.is_file():
        raise StateError(
            f"state file {path}: it is a {'folder' if path.is_dir() else 'device'}. Set `state` in the configuration to"
            " the path of a file."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise from_system(path, f"cannot make its folder {path.parent}", error) from error


def prepare(path: Path) -> None:
    """Make sure that there is a file which may be written. A new one is for nobody else to read: it names devices."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sync_folder(path)
    except OSError as error:
        raise from_system(path, "cannot open it for writing", error) from error


def sync_folder(path: Path) -> None:
    """Make the file's name durable. Raises OSError."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)


def _connect_unchanging(path: Path) -> sqlite3.Connection:
    """A connection that makes no log and no lock, whatever the file's journal mode."""
    return sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True)


def _revision(path: Path, connection: sqlite3.Connection) -> str | None:
    """The file's revision, None where it is empty; nothing is written into it."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not tables and application in (0, history.APPLICATION_ID):
        return None
    if application != history.APPLICATION_ID or "alembic_version" not in tables:
        raise StateError(
            f"state file {path}: it is a database of another program. Set `state` in the configuration to a path of the"
            " exporter's own; this file was not changed."
        )
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _check(path: Path, connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise from_code(path, "cannot open it", sqlite3.SQLITE_CORRUPT, " ".join(verdict.split()))


def _upgrade(path: Path, connection: sqlite3.Connection, revision: str | None) -> None:
    folder = history.migrations()
    known = history.revisions(folder)
    if revision == known[-1]:
        return
    if revision is not None:
        if revision not in known:
            raise _newer(path, revision, known[-1])
        _copy(path, connection, revision)
    history.upgrade(partial(_connect, path), folder)


def _newer(path: Path, revision: str, newest: str) -> StateError:
    copy = _copy_path(path, newest)
    way_back = f", or put back the copy {copy}, without what was counted since" if copy.exists() else ""
    return StateError(
        f"state file {path}: it was written by a newer version of the exporter (schema {revision}, this version knows"
        f" them up to {newest}). Run that version or a newer one{way_back}; this file was not changed."
    )


def _copy_path(path: Path, revision: str) -> Path:
    return path.with_name(f"{path.name}.bak-{revision}")


def _copy(path: Path, connection: sqlite3.Connection, revision: str) -> None:
    """Copy the file as it is before an upgrade. The name is given last: a copy that has it is whole."""
    copy = _copy_path(path, revision)
    part = copy.with_name(copy.name + ".part")
    try:
        part.unlink(missing_ok=True)
        prepare(part)
        with closing(_connect(part)) as target:
            connection.backup(target)
        part.replace(copy)
        sync_folder(copy)
    except OSError as error:
        raise from_system(path, f"cannot copy it to {copy} before its upgrade", error) from error
    finally:
        part.unlink(missing_ok=True)


def _tune(path: Path, connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StateError(
            f"state file {path}: its file system cannot keep a write-ahead log (journal mode {mode}). Set `state` in"
            " the configuration to a path on a local disk."
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    # After a burst the log shrinks again.
    connection.execute(f"PRAGMA journal_size_limit = {16 << 20}")
